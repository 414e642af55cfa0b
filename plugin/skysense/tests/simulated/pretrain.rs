//! `skysense.pretrain` as a workflow uses it: chips without labels in, a package without a head out.

use std::path::PathBuf;

use serde_json::{Value, json};
use skysense_contract::Package;

use crate::bench::{SATELLITES, Way, chips, package, read, scene, search};
use crate::harness::{Bench, Planned, good, messages};

/// Chips of both satellites, planned.
fn planned_chips(bench: &Bench) -> (Planned, Planned) {
    let scenes = good(bench.plan("stac.search", search(scene(), &SATELLITES), &[]));
    let chips = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    (scenes, chips)
}

/// Settings that take moments.
fn quick(more: &Value) -> Value {
    let mut settings = json!({
        "steps": 2, "batch": 4, "name": "pretrained", "out": "pretrained", "prototypes": {"regions": 64, "count": 4},
        "heads": {"hidden": 32, "bottleneck": 16, "outputs": 32}, "views": {"size": 12, "pixels": 16},
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

#[test]
fn a_model_of_chips_alone_gives_features_with_prototypes() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let (scenes, all) = planned_chips(&bench);
    let model = good(bench.plan("skysense.pretrain", quick(&json!({})), &[("chips", &all)]));
    // What is known before anything is trained: the nodes behind plan with it.
    let contract = &model.plan.facts["contract"];
    assert_eq!(
        (&contract["head"], &contract["chip_size"], &contract["geo_context"]["division"]),
        (&Value::Null, &json!(12), &json!("equal_area:64"))
    );
    for cost in ["training_steps", "training_flop", "device_days", "checkpoint_storage"] {
        let found = model.plan.costs.iter().find(|found| found.name == cost);
        assert!(found.is_some_and(|found| found.value > 0.0), "{cost}");
    }
    let batches = bench.run(&all, &[("items", &scenes, Vec::new())]).unwrap();
    let rows = bench.run(&model, &[("chips", &all, batches)]).unwrap();
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);

    let out = folder.path().join("pretrained");
    let written = Package::open(&out).unwrap();
    written.verify().unwrap();
    assert_eq!(written.contract().notes["pretrained"]["regions_seen"], json!(1), "the scene lies in one region");
    assert!(read(&out.join("mlm.json"))["properties"]["mlm:total_parameters"].as_u64() > Some(0));
    let told = bench.told.of("measures");
    assert_eq!(told.len(), 2);
    assert!(told[0]["values"]["loss.pixel.s2"].as_f64() > Some(0.0), "{}", told[0]);
    let outputs = bench.told.of("output");
    for role in ["checkpoint", "metrics", "figure"] {
        let found = outputs.iter().find(|output| output["role"] == role);
        let href = found.and_then(|output| output["href"].as_str());
        assert!(href.is_some_and(|href| std::path::Path::new(href).exists()), "{role}: {outputs:?}");
    }

    // Features with the prototypes of the region: the graphs give what Burn gave for the probe.
    let embed = Way {
        collections: &SATELLITES,
        apply: "skysense.embed",
        model: json!({"model": out, "device": "cpu"}),
        chips: chips(&json!({"size": 12, "overlap": 4})),
        ..Way::of(scene())
    };
    let (maps, batches) = embed.run(&bench).unwrap();
    assert_eq!(maps.plan.facts["channels"], contract["channels"]);
    assert!(!batches.is_empty());
}

#[test]
fn samples_go_straight_from_a_catalog_to_the_trainer() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let scenes = good(bench.plan("stac.search", search(scene(), &SATELLITES), &[]));
    let places = json!({"method": "grid", "spacing": 160, "size": 16});
    let places = good(bench.plan("sample.locations", places, &[("items", &scenes)]));
    let inputs = [("items", &scenes), ("locations", &places)];
    let samples = good(bench.plan("raster.samples", json!({}), &inputs));
    let model = good(bench.plan("skysense.pretrain", quick(&json!({})), &[("chips", &samples)]));
    let rows = |node: &Planned| node.plan.rows.clone().unwrap();
    let batches = bench.run(&samples, &[("items", &scenes, rows(&scenes)), ("locations", &places, rows(&places))]);
    let written = bench.run(&model, &[("chips", &samples, batches.unwrap())]).unwrap();
    assert_eq!(written.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
    let written = Package::open(folder.path().join("pretrained")).unwrap();
    written.verify().unwrap();
    assert!(written.contract().notes["pretrained"]["places"].as_u64() > Some(3));
}

#[test]
fn what_is_measured_is_recorded_drawn_and_probed_on_labels() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let (scenes, all) = planned_chips(&bench);
    let labels = good(bench.plan("stac.search", search(scene(), &["labels"]), &[]));
    let settings = quick(&json!({"steps": 3, "probe": {"every": 2, "block": 16, "pixels": 1000}}));
    let inputs = [("chips", &all), ("probe", &all), ("labels", &labels)];
    let model = good(bench.plan("skysense.pretrain", settings, &inputs));
    let batches = bench.run(&all, &[("items", &scenes, Vec::new())]).unwrap();
    bench
        .run(&model, &[("chips", &all, batches.clone()), ("probe", &all, batches), ("labels", &labels, Vec::new())])
        .unwrap();
    let metrics = folder.path().join("pretrained-metrics");
    let steps = skysense_train::read_measures(&metrics.join("metrics.jsonl")).unwrap();
    let probed = |name: &str| steps.iter().map(|step| step.values.get(name).copied()).collect::<Vec<_>>();
    assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), [1, 2, 3]);
    for name in ["probe.knn.accuracy", "probe.linear.miou", "loss"] {
        assert!(probed(name).iter().all(|value| value.is_some_and(|value| value > 0.0)), "{name}: {:?}", probed(name));
    }
    assert!(metrics.join("plots/metrics.svg").is_file() && metrics.join("plots/loss.png").is_file());
    let roles: Vec<Value> = bench.told.of("output").iter().map(|output| output["role"].clone()).collect();
    for role in ["metrics", "tensorboard", "figure", "checkpoint"] {
        assert!(roles.contains(&json!(role)), "{role} is not among {roles:?}");
    }
    // A probe changes no weight. In a folder of its own, for there are the checkpoints of the other.
    let apart = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, apart.path());
    let (scenes, all) = planned_chips(&bench);
    let plain = quick(&json!({"steps": 3, "out": "plain", "metrics": "elsewhere"}));
    let plain = good(bench.plan("skysense.pretrain", plain, &[("chips", &all)]));
    let batches = bench.run(&all, &[("items", &scenes, Vec::new())]).unwrap();
    bench.run(&plain, &[("chips", &all, batches)]).unwrap();
    let weights = |path: PathBuf| Package::open(path).unwrap().contract().weights_sha256.clone();
    assert_eq!(weights(apart.path().join("plain")), weights(folder.path().join("pretrained")));
    assert!(apart.path().join("elsewhere/metrics.jsonl").is_file());
    let one = bench.plan("skysense.pretrain", quick(&json!({"out": "other"})), &[("chips", &all), ("probe", &all)]);
    assert!(messages(&one.err().unwrap_or_default()).contains("both ports"));
}

#[test]
fn what_does_not_fit_is_told_while_planning() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let (_, all) = planned_chips(&bench);
    let told = |more: Value| {
        messages(&bench.plan("skysense.pretrain", quick(&more), &[("chips", &all)]).err().unwrap_or_default())
    };
    assert_eq!(told(json!({})), "");
    for (more, field, words) in [
        (json!({"views": {"size": 32}}), "/views", "within places of 16 pixels"),
        (json!({"views": {"overlap": 0.0}}), "/views", "overlap"),
        (json!({"views": {"size": 12, "locals": 1, "local_size": 14}}), "/views", "small views"),
        (json!({"preset": "huge"}), "/preset", "tiny"),
        (json!({"start": "no/model"}), "/start", "no/model"),
        (json!({"steps": 1, "epochs": 2.0}), "/epochs", "keep one"),
        (json!({"epochs": -1.0, "steps": null}), "/epochs", "more than 0"),
        (json!({"heads": {"outputs": 1}}), "/heads", "sizes of 2"),
        (json!({"objects": {"clusters": 0}}), "/objects", "clusters"),
        (json!({"device": "abacus"}), "/device", "abacus"),
        (json!({"terms": {"pixel": 0, "object": 0, "image": 0, "alignment": 0}}), "", "at least one term"),
        (json!({"accumulate": 5}), "", "no more parts than places"),
        (json!({"tflops": 0}), "/tflops", "more than 0"),
        (json!({"devices": 9}), "/devices", "a place of each batch"),
        (json!({"teacher": {"targets": "balanced", "iterations": 0}}), "/teacher", "1 iteration"),
        (json!({"validation": {"every": 0}}), "/validation", "1 step"),
        (json!({"shards": "no/set"}), "", "keep one"),
        (json!({"assume": {"places": 9, "size": 16, "s2": 2}}), "", "keep one"),
        (json!({"out": package()}), "/out", "exists: replace"),
    ] {
        let found = told(more.clone());
        assert!(found.contains(field) && found.contains(words), "{more}: {found}");
    }
    let alone = |more: Value| messages(&bench.plan("skysense.pretrain", quick(&more), &[]).err().unwrap_or_default());
    for (more, field, words) in [
        (json!({}), "", "nothing to learn from"),
        (json!({"shards": "no/set"}), "/shards", "no such folder"),
        (json!({"assume": {"places": 9, "size": 16}}), "/assume", "one modality"),
        (json!({"assume": {"places": 9, "size": 16, "s2": 2}, "holdout": {}}), "/holdout", "in common"),
    ] {
        let found = alone(more.clone());
        assert!(found.contains(field) && found.contains(words), "{more}: {found}");
    }
    let endless = told(json!({"batch": u64::MAX, "steps": u64::MAX}));
    assert!(endless.contains("65536"), "{endless}");
}
