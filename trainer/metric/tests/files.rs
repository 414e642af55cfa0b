//! What processes write of their parts, others read and add up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use skysense_metric::{
    Accumulator, AveragePrecision, BiasPlot, Binary, Blocks, Coco, CocoSettings, Confusion, Dota, MultiLabel, Quad,
    Rect, Regression, Reliability, Scored, TopK, Truth,
};

/// Written, read and added to itself: twice of all.
#[track_caller]
fn comes_back<A: Accumulator + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(part: &A) {
    let written = serde_json::to_string(part).unwrap();
    let mut read: A = serde_json::from_str(&written).unwrap();
    assert_eq!(read, *part);
    let mut twice = part.clone();
    twice.merge(part).unwrap();
    read.merge(part).unwrap();
    assert_eq!(read, twice);
    assert_ne!(read, *part, "nothing was counted");
}

fn found<S>(shape: S) -> Scored<S> {
    Scored { shape, class: 1, score: 0.5 }
}

#[test]
fn parts_come_back() {
    let mut binary = Binary::default();
    binary.add(true, false);
    comes_back(&binary);
    let mut confusion = Confusion::new(3);
    confusion.add(1, 2);
    comes_back(&confusion);
    let mut labels = MultiLabel::new(2);
    labels.add(&[true, false], &[true, true]).unwrap();
    comes_back(&labels);
    let mut best = TopK::new(2);
    best.add(&[0.5, 0.25, 0.125], 1).unwrap();
    comes_back(&best);
    let mut ranked = AveragePrecision::new(2);
    ranked.add(&[true, false], &[0.5, 0.25]).unwrap();
    comes_back(&ranked);
    let mut pairs = Regression::default();
    pairs.add(&[1.0, 2.0], &[1.5, 2.5]).unwrap();
    comes_back(&pairs);
    let mut plot = BiasPlot::new(0.0, 4.0, 2).unwrap();
    plot.add(&[1.0, 5.0], &[1.5, 2.5]).unwrap();
    comes_back(&plot);
    let mut sure = Reliability::new(4).unwrap();
    sure.add(0.75, true).unwrap();
    comes_back(&sure);
    let rect = Rect::new([0.0, 0.0], [40.0, 40.0]).unwrap();
    let settings = CocoSettings { recalls: vec![0.0, 0.5, 1.0], thresholds: vec![0.5], ..CocoSettings::default() };
    for settings in [settings, CocoSettings::default()] {
        let exact = settings.thresholds.len() == 1;
        let mut coco = Coco::new(2, settings).unwrap();
        coco.add(3, &[Truth { shape: rect, class: 1, ignored: false, area: None }], &[found(rect)]).unwrap();
        if exact {
            comes_back(&coco);
        }
        // Long numbers lose their last digits in JSON, and still ask the same.
        let read: Coco = serde_json::from_str(&serde_json::to_string(&coco).unwrap()).unwrap();
        coco.merge(&read).unwrap();
        assert_eq!(coco.scores().map_by_threshold[0], Some(1.0));
    }
    let quad = Quad::from_centre([0.0, 0.0], [4.0, 2.0], 0.5).unwrap();
    let mut dota = Dota::new(2, 0.5).unwrap();
    dota.add(3, &[Truth { shape: quad, class: 1, ignored: false, area: None }], &[found(quad)]).unwrap();
    comes_back(&dota);
    let mut blocks = Blocks::new(10.0, Confusion::new(2)).unwrap();
    blocks.at([-5.0, 25.0]).unwrap().add(1, 1);
    comes_back(&blocks);
}

#[test]
fn broken_parts_are_refused() {
    fn refused<A: DeserializeOwned>(value: Value) -> bool {
        serde_json::from_value::<A>(value).is_err()
    }
    assert!(refused::<Confusion>(json!([[1, 2], [3]])));
    assert!(refused::<BiasPlot>(json!({"from": 0.0, "to": 1.0, "bins": [], "outside": 0})));
    assert!(refused::<Reliability>(json!({"bins": []})));
    assert!(refused::<Blocks<Confusion>>(json!({"side": 0.0, "empty": [], "blocks": []})));
    assert!(refused::<Blocks<Confusion>>(json!({"side": 1.0, "empty": [[0]], "blocks": [[[0, 0], []]]})));
    let mut coco = serde_json::to_value(Coco::new(1, CocoSettings::default()).unwrap()).unwrap();
    coco["classes"][0]["truths"] = json!([0]);
    assert!(refused::<Coco>(coco));
}
