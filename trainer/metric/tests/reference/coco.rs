//! Average precision of upright boxes against pycocotools.

use serde_json::Value;
use skysense_metric::{Coco, CocoSettings, Scored, Truth};

use super::boxes::rect;
use super::{cases, floats, rows, same, together, whole};

/// `[x, y, width, height, class, area, crowd]`.
fn truth(value: &Value) -> Truth<skysense_metric::Rect> {
    let numbers = floats(value);
    Truth { shape: rect(value), class: numbers[4] as usize, area: Some(numbers[5]), ignored: numbers[6] != 0.0 }
}

/// `[x, y, width, height, class, score]`.
fn found(value: &Value) -> Scored<skysense_metric::Rect> {
    let numbers = floats(value);
    Scored { shape: rect(value), class: numbers[4] as usize, score: numbers[5] }
}

fn evaluated(case: &Value, settings: &CocoSettings) -> Coco {
    let images = case["images"].as_array().unwrap();
    let part = |(at, image): (usize, &Value)| {
        let mut part = Coco::new(whole(&case["classes"]), settings.clone()).unwrap();
        part.add(at as u64, &rows(&image["truths"], truth), &rows(&image["boxes"], found)).unwrap();
        part
    };
    together(images.iter().enumerate().map(part).collect())
}

#[test]
fn the_twelve_numbers_and_those_of_each_class() {
    let (mut without, mut scored) = (0, 0);
    for (at, case) in cases("coco.json", 300).iter().enumerate() {
        let scores = evaluated(case, &CocoSettings::default()).scores();
        let [by_threshold, by_area] = [&scores.map_by_threshold, &scores.map_by_area];
        let [boxes, areas] = [&scores.recall.by_boxes, &scores.recall.by_area];
        let twelve = [
            scores.map,
            by_threshold[0],
            by_threshold[5],
            by_area[1],
            by_area[2],
            by_area[3],
            boxes[0],
            boxes[1],
            boxes[2],
            areas[1],
            areas[2],
            areas[3],
        ];
        super::all_same(&twelve, &case["expected"]["stats"], &format!("case {at}, number"));
        assert_eq!((scores.map, boxes[2]), (by_area[0], areas[0]));
        without += twelve.iter().filter(|number| number.is_none()).count();
        scored += twelve.iter().filter(|number| number.is_some_and(|number| number > 0.0 && number < 1.0)).count();
        for (class, value) in scores.by_class_at_first.iter().enumerate() {
            same(*value, &case["expected"]["precision"][class][0], &format!("case {at}, AP50 of class {class}"));
        }
    }
    assert!(without > 300 && scored > 1000, "the cases have become too easy: {without} and {scored}");
}

/// One threshold alone says more of the matching than the mean over ten.
#[test]
fn single_thresholds() {
    for (at, case) in cases("coco.json", 300).iter().enumerate() {
        for (place, threshold) in [0.5, 0.75, 0.95].into_iter().enumerate() {
            let settings = CocoSettings { thresholds: vec![threshold], ..CocoSettings::default() };
            let one = evaluated(case, &settings);
            let scores = one.scores();
            for (class, value) in scores.by_class.iter().enumerate() {
                let expected = &case["expected"]["precision"][class][place];
                same(*value, expected, &format!("case {at}, class {class} at {threshold}"));
            }
            let recalls =
                case["expected"]["recall"].as_array().unwrap().iter().filter_map(|class| class[place].as_f64());
            let recalls: Vec<f64> = recalls.collect();
            let mean = (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64);
            same(scores.recall.by_boxes[2], &serde_json::json!(mean), &format!("case {at}, recall at {threshold}"));
        }
    }
}
