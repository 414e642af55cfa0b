//! Average precision of rotated boxes against DOTA's evaluation kit.

use serde_json::Value;
use skysense_metric::{Dota, PrecisionRule, Scored, Truth};

use super::boxes::quad;
use super::{all_same, cases, rows, together, whole};

#[test]
fn both_rules() {
    let mut scored = 0;
    for (at, case) in cases("dota.json", 150).iter().enumerate() {
        let truth = |value: &Value| Truth {
            shape: quad(&value["corners"]),
            class: whole(&value["class"]),
            ignored: whole(&value["difficult"]) != 0,
            area: None,
        };
        let found = |value: &Value| Scored {
            shape: quad(&value["corners"]),
            class: whole(&value["class"]),
            score: value["score"].as_f64().unwrap(),
        };
        let part = |(image, content): (usize, &Value)| {
            let mut part = Dota::new(whole(&case["classes"]), 0.5).unwrap();
            part.add(image as u64, &rows(&content["truths"], truth), &rows(&content["boxes"], found)).unwrap();
            part
        };
        let dota = together(case["images"].as_array().unwrap().iter().enumerate().map(part).collect());
        for (name, rule) in [("area", PrecisionRule::Area), ("eleven_points", PrecisionRule::ElevenPoints)] {
            let by_class = dota.by_class(rule);
            all_same(&by_class, &case["expected"][name], &format!("case {at}, {name}"));
            scored += by_class.iter().flatten().filter(|value| **value > 0.0 && **value < 1.0).count();
        }
    }
    assert!(scored > 150, "the cases have become too easy: {scored}");
}
