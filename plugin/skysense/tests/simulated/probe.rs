//! `model.probe` on a simulated scene with its true classes, and `metrics.plot` of a run.

use serde_json::{Value, json};
use skysense_edges::{MetricBatch, MetricRow};
use skysense_train::Recorder;
use skysense_train::pretrain::Measures;

use crate::bench::{SATELLITES, chips, package, read, scene, search};
use crate::harness::{Bench, good, messages};

fn arguments(more: &Value) -> Value {
    let mut arguments = json!({
        "search": search(scene(), &SATELLITES), "chips": chips(&json!({"overlap": 0})),
        "labels": search(scene(), &["labels"]), "seeds": [3, 4], "block": 16, "pixels": 2000,
    });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

#[test]
fn a_model_is_measured_beside_random_weights_and_the_pixels_own_values() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let answer = bench.call("model.probe", &arguments(&json!({"models": [package()], "out": "probe"}))).unwrap();
    let names: Vec<&str> = answer["entries"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["model", "random weights", "statistics"]);
    // Ten bands of one satellite and two of the other, four numbers each.
    assert_eq!(answer["entries"][2]["channels"], 48);
    assert!(answer["pixels"].as_u64() > Some(600), "{answer}");
    for scores in answer["entries"].as_array().unwrap().iter().flat_map(|entry| entry["scores"].as_array().unwrap()) {
        // Fields are larger than pixels and their classes differ in their spectra: any feature tells some of that.
        assert!(scores["linear"]["kappa"].as_f64() > Some(0.2), "{}", answer["text"]);
        assert!(scores["nearest"]["pixels"].as_u64() > Some(100), "{answer}");
    }
    let table = std::fs::read_to_string(folder.path().join("probe/probe.md")).unwrap();
    assert_eq!((table.as_str(), table.contains("model over statistics")), (answer["text"].as_str().unwrap(), true));
    assert_eq!(read(&folder.path().join("probe/probe.json"))["entries"], answer["entries"]);
    let same = bench.call("model.probe", &arguments(&json!({"models": [package()]}))).unwrap();
    assert_eq!(same, answer, "the same arguments give the same numbers");
}

#[test]
fn models_of_several_names_are_rows_of_one_table_and_a_strip_can_be_looked_at_alone() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let groups = json!([{"name": "all terms", "models": [package()]}, {"name": "image alone", "models": [package()]}]);
    let strip = json!({"groups": groups, "holdout": {"share": 0.5, "side": "east"}, "block": 8, "pixels": 100_000});
    let answer = bench.call("model.probe", &arguments(&strip)).unwrap();
    let names: Vec<&str> = answer["entries"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["all terms", "image alone", "random weights", "statistics"]);
    assert!(answer["text"].as_str().unwrap().contains("all terms over image alone"), "{answer}");
    let whole =
        bench.call("model.probe", &arguments(&json!({"models": [package()], "block": 8, "pixels": 100_000}))).unwrap();
    let pixels = |answer: &Value| answer["pixels"].as_f64().unwrap();
    assert!(pixels(&answer) > 100.0 && pixels(&answer) < 0.9 * pixels(&whole), "{answer} of {whole}");
    let told = |more: Value| bench.call("model.probe", &arguments(&more)).unwrap_err().to_string();
    assert!(told(json!({"groups": [{"name": "none", "models": []}]})).contains("\"none\" has no models"));
    assert!(told(json!({"groups": groups, "models": [package()]})).contains("both given"));
    assert!(told(json!({"holdout": {"share": 0.01}})).contains("wider than a chip"));
}

#[test]
fn what_cannot_be_probed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let told = |more: Value| bench.call("model.probe", &arguments(&more)).unwrap_err().to_string();
    let missing = told(json!({"models": ["no/model"]}));
    assert!(missing.contains("no/model"), "{missing}");
    assert!(told(json!({"seeds": []})).contains("seeds"));
    let few = told(json!({"models": [package(), package(), package()]}));
    assert!(few.contains("3 packages"), "{few}");
    let coarse = told(json!({"block": 1_000_000}));
    assert!(coarse.contains("1 regions of 1000000"), "{coarse}");
    let unlabelled = told(json!({"labels": search(scene(), &SATELLITES[1..])}));
    assert!(unlabelled.contains("labels"), "{unlabelled}");
    let strange = told(json!({"chips": {"sizes": 3}}));
    assert!(strange.contains("sizes") && strange.contains("raster.chips"), "{strange}");
}

#[test]
fn the_metrics_of_a_run_become_figures_and_rows() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let mut recorder = Recorder::new(&folder.path().join("metrics"));
    for step in 1..=5 {
        let values = [("loss".to_owned(), 5.0 / step as f64), ("learning_rate".to_owned(), 0.1)].into();
        recorder.record(&Measures { step, steps: 5, epoch: 0.0, values }).unwrap();
    }
    let answer = bench.call("metrics.plot", &json!({"metrics": "metrics/metrics.jsonl", "out": "plots"})).unwrap();
    assert_eq!(answer["steps"], 5);
    let figures: Vec<&str> = answer["figures"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert_eq!(figures.len(), 4, "{figures:?}");
    assert!(figures.iter().all(|figure| std::path::Path::new(figure).metadata().unwrap().len() > 500));
    let rows = good(bench.plan("metrics.read", json!({"metrics": "metrics/metrics.jsonl"}), &[]));
    let batches = bench.run(&rows, &[]).unwrap();
    let rows: Vec<MetricRow> =
        batches.iter().flat_map(|batch| MetricBatch::try_new(batch).unwrap().rows().collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[3], MetricRow { step: 2, name: "loss".into(), value: 2.5 });
    let nowhere = bench.plan("metrics.read", json!({"metrics": "none.jsonl"}), &[]).err().unwrap_or_default();
    assert!(messages(&nowhere).contains("none.jsonl"), "{}", messages(&nowhere));
    std::fs::write(folder.path().join("empty.jsonl"), "").unwrap();
    let empty = bench.call("metrics.plot", &json!({"metrics": "empty.jsonl", "out": "plots"})).unwrap_err();
    assert!(empty.message.contains("empty.jsonl"), "{empty}");
    let none = bench.call("metrics.plot", &json!({"metrics": "none.jsonl", "out": "plots"})).unwrap_err();
    assert!(none.message.contains("none.jsonl"), "{none}");
}
