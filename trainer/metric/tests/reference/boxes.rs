//! Overlaps of boxes and their suppression against shapely.

use std::collections::BTreeMap;

use serde_json::Value;
use skysense_metric::{ChipBox, Merge, Quad, Rect, Scored, Shape, merge_chips, nms};

use super::{cases, floats, rows, same, wholes};

pub(crate) fn quad(value: &Value) -> Quad {
    serde_json::from_value(value.clone()).unwrap()
}

pub(crate) fn rect(value: &Value) -> Rect {
    let numbers = floats(value);
    Rect::new([numbers[0], numbers[1]], [numbers[2], numbers[3]]).unwrap()
}

#[test]
fn rotated_overlaps() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (at, case) in cases("quads.json", 600).iter().enumerate() {
        let (one, other) = (quad(&case["one"]), quad(&case["other"]));
        let what = format!("case {at} ({})", case["kind"]);
        let areas = floats(&case["areas"]);
        assert!((one.area() - areas[0]).abs() < 1e-9 * areas[0].max(1.0), "{what}: area {}", one.area());
        assert!((other.area() - areas[1]).abs() < 1e-9 * areas[1].max(1.0), "{what}: area {}", other.area());
        same(Some(one.intersection(&other)), &case["intersection"], &format!("{what}, intersection"));
        same(Some(one.iou(&other)), &case["iou"], &format!("{what}, IoU"));
        same(Some(other.iou(&one)), &case["iou"], &format!("{what}, the other way round"));
        assert!((0.0..=1.0).contains(&one.iou(&other)), "{what}");
        *kinds.entry(case["kind"].to_string()).or_default() += 1;
    }
    assert!(kinds.len() >= 12 && kinds.values().all(|count| *count >= 50), "{kinds:?}");
}

fn kept<S: Shape>(case: &Value, shape: fn(&Value) -> S) -> Vec<usize> {
    let (labels, scores) = (wholes(&case["labels"]), floats(&case["scores"]));
    let shapes = rows(&case["shapes"], shape).into_iter().zip(labels.into_iter().zip(scores));
    let boxes: Vec<Scored<S>> = shapes.map(|(shape, (class, score))| Scored { shape, class, score }).collect();
    let kept = nms(&boxes, case["threshold"].as_f64().unwrap()).unwrap();
    // Boxes of one chip that reach no rim are merged as they are suppressed.
    let whole: Vec<_> = boxes.iter().map(|found| ChipBox { found: found.clone(), chip: 0, cut: false }).collect();
    let merge = Merge { iou: case["threshold"].as_f64().unwrap(), covered: 0.5 };
    assert_eq!(merge_chips(&whole, merge).unwrap(), kept);
    kept
}

#[test]
fn suppression() {
    for (at, case) in cases("nms.json", 120).iter().enumerate() {
        let rotated = case["rotated"].as_bool().unwrap();
        let kept = if rotated { kept(case, quad) } else { kept(case, rect) };
        assert_eq!(kept, wholes(&case["kept"]), "case {at}");
    }
}

/// Numbers that look random, the same on every machine.
fn numbers() -> impl FnMut() -> f64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The index by place must not hide a neighbour, whatever the sizes.
#[test]
fn boxes_of_all_sizes_find_their_neighbours() {
    let mut number = numbers();
    for spread in [1.0, 100.0, 1e7] {
        let boxes: Vec<Scored<Quad>> = (0..700)
            .map(|_| {
                let size = [number() * 10_f64.powf(4.0 * number() - 1.0), number() * 10_f64.powf(4.0 * number() - 1.0)];
                let centre = [spread * (number() - 0.5), spread * (number() - 0.5)];
                let shape = Quad::from_centre(centre, size, 7.0 * number()).unwrap();
                Scored { shape, class: 0, score: number() }
            })
            .collect();
        let mut order: Vec<usize> = (0..boxes.len()).collect();
        order.sort_by(|a, b| boxes[*b].score.total_cmp(&boxes[*a].score));
        let mut plain: Vec<usize> = Vec::new();
        for at in order {
            if plain.iter().all(|kept| boxes[at].shape.iou(&boxes[*kept].shape) <= 0.1) {
                plain.push(at);
            }
        }
        assert_eq!(nms(&boxes, 0.1).unwrap(), plain, "spread {spread}");
        assert!(spread > 1e6 || plain.len() < 690, "nothing is suppressed at {spread}");
    }
}
