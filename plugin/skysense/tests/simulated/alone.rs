//! Encoders without a fusion: out of a package, into one of their own, and applied to a scene.

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_edges::{MapBatch, MapFacts};

use crate::bench::{CHIPS, Way, chips, package, scene};
use crate::harness::{Bench, Planned, good, messages};

/// A package of the encoders of both satellites: Sentinel-2 with its up head, Sentinel-1 without.
fn encoders(bench: &Bench) {
    let export = json!({"model": package(), "out": "files", "modules": ["s2", "s1"], "weights_only": true});
    bench.call("model.export", &export).unwrap();
    let import = json!({"out": "encoders", "s2": "files/skysense_model_backbone_s2.safetensors",
        "head_s2": "files/skysense_model_head_s2.safetensors", "s1": "files/skysense_model_backbone_s1.safetensors"});
    let answer = bench.call("model.import", &import).unwrap();
    assert_eq!((&answer["missing"], &answer["unexpected"]), (&json!([]), &json!([])), "{answer}");
    let verified = bench.call("model.verify", &json!({"model": "encoders"})).unwrap();
    assert_eq!(verified["ok"], true, "{verified}");
}

fn embed(bench: &Bench, model: Value) -> (Planned, Vec<RecordBatch>) {
    let chips = chips(&json!({"dates": {"max": 1}}));
    Way { chips, apply: "skysense.embed", model, ..Way::of(scene()) }.run(bench).unwrap()
}

/// Values of all chips, `[chip][channel · area]`, and the channels.
fn values((maps, batches): &(Planned, Vec<RecordBatch>)) -> (usize, Vec<Vec<f32>>) {
    let facts: MapFacts = serde_json::from_value(maps.plan.facts.clone()).unwrap();
    let rows = |batch: &RecordBatch| {
        let maps = MapBatch::features(batch).unwrap();
        (0..maps.len()).map(|row| maps.values(row).to_vec()).collect::<Vec<_>>()
    };
    (facts.channels, batches.iter().flat_map(rows).collect())
}

#[test]
fn encoders_give_their_features_side_by_side_and_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    encoders(&bench);
    let model = folder.path().join("encoders");
    let (channels, both) = values(&embed(&bench, json!({"model": model, "device": "cpu"})));
    let (wide, s2) = values(&embed(&bench, json!({"model": model, "device": "cpu", "modality": "s2"})));
    let (narrow, s1) = values(&embed(&bench, json!({"model": model, "device": "cpu", "modality": "s1"})));
    assert_eq!((channels, both.len()), (wide + narrow, CHIPS));
    for (both, (s2, s1)) in both.iter().zip(s2.iter().zip(&s1)) {
        assert_eq!(both[..s2.len()], s2[..], "Sentinel-2 comes first");
        assert_eq!(both[s2.len()..], s1[..]);
        assert!(s2.iter().any(|value| *value != 0.0) && s1.iter().any(|value| *value != 0.0));
    }
    // The whole model gives the same for one of its encoders.
    let (of_whole, whole) = values(&embed(&bench, json!({"model": package(), "device": "cpu", "modality": "s2"})));
    assert_eq!(of_whole, wide);
    for (whole, s2) in whole.iter().zip(&s2) {
        crate::tiny::hold("s2", whole, s2);
    }
    // A modality that chips lack keeps its place, with zeros.
    let radar = Way {
        collections: &["sentinel-1-rtc"],
        chips: chips(&json!({"dates": {"max": 1}})),
        apply: "skysense.embed",
        model: json!({"model": model, "device": "cpu"}),
        ..Way::of(scene())
    };
    let (channels, radar) = values(&radar.run(&bench).unwrap());
    assert_eq!(channels, wide + narrow);
    for radar in &radar {
        let (absent, there) = radar.split_at(radar.len() * wide / channels);
        assert!(absent.iter().all(|value| *value == 0.0) && there.iter().any(|value| *value != 0.0));
    }
}

#[test]
fn what_an_encoder_cannot_give_is_told_while_planning() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    encoders(&bench);
    let cut = |more: &Value, collections: &[&str]| {
        let scenes = good(bench.plan("stac.search", crate::bench::search(scene(), collections), &[]));
        good(bench.plan("raster.chips", chips(more), &[("items", &scenes)]))
    };
    let (one, many) = (cut(&json!({"dates": {"max": 1}}), &["sentinel-2-l2a"]), cut(&json!({}), &["sentinel-2-l2a"]));
    let told = |model: Value, chips: &Planned| {
        messages(&bench.plan("skysense.embed", model, &[("chips", chips)]).err().unwrap())
    };
    let model = folder.path().join("encoders");
    let dates = told(json!({"model": model}), &many);
    assert!(dates.contains("dates: {max: 1}"), "{dates}");
    let dates = told(json!({"model": package(), "modality": "s2"}), &many);
    assert!(dates.contains("takes one date") && dates.contains("dates: {max: 1}"), "{dates}");
    let lacks = told(json!({"model": model, "modality": "s1"}), &one);
    assert!(lacks.contains("no s1") && lacks.contains("they have s2"), "{lacks}");
    let headless =
        messages(&bench.plan("skysense.segment", json!({"model": model}), &[("chips", &one)]).err().unwrap());
    assert!(headless.contains("encoders alone have no head"), "{headless}");
}
