//! `model.import`: from files of weights to a package whose probe holds in ONNX Runtime.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod harness;
#[path = "../../../trainer/model/tests/support/pth.rs"]
mod pth;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use harness::Bench;
use serde_json::{Value, json};
use skysense_model::checkpoint::parameters;
use skysense_model::preset;
use skysense_train::{ImportConfig, ImportFiles, ShapeSettings, import};

/// A combined file of the tiny preset.
fn file(folder: &Path) -> PathBuf {
    let model = preset("tiny").unwrap().init(&Device::default()).unwrap();
    let shapes = parameters(&model, "");
    let path = folder.join("tiny.pth");
    pth::write(&path, &["state_dict"], &shapes, &mut |index| {
        let count: usize = shapes[index].1.iter().product();
        (0..count).map(|place| 0.1 * ((place * 31 + index * 17) % 41) as f32 / 41.0 - 0.04).collect()
    });
    path
}

/// What inspection says of a package: its checksums, and its probe in ONNX Runtime.
fn holds(bench: &Bench, model: &Path) -> Value {
    let answer = bench.call("model.inspect", &json!({"model": model})).unwrap();
    assert_eq!(answer["ok"], true, "{}", answer["problem"]);
    answer
}

#[test]
fn an_imported_package_passes_inspection() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let _file = file(folder.path());
    // Paths are relative to where the caller is.
    let answer = bench.call("model.import", &json!({"full": "tiny.pth", "out": "model", "window": 4})).unwrap();
    assert_eq!(answer["preset"], "tiny");
    assert_eq!(answer["missing"], json!([]));
    assert_eq!(answer["files"][0]["containers"], json!(["state_dict"]));
    assert_eq!(answer["loaded"][0]["element"], "f32");
    let inspected = holds(&bench, &folder.path().join("model"));
    assert!(inspected["probe"]["values"].as_u64().unwrap() > 1000);
    let again = bench.call("model.import", &json!({"full": "tiny.pth", "out": "model", "window": 4})).unwrap_err();
    assert_eq!(again.code, "output.exists");
}

#[test]
fn graphs_with_weights_beside_and_weights_in_shards_pass_inspection() {
    let folder = tempfile::tempdir().unwrap();
    let config = ImportConfig {
        files: ImportFiles { full: Some(file(folder.path())), ..ImportFiles::default() },
        shapes: ShapeSettings { window: Some(4), ..ShapeSettings::default() },
        graph_limit: 1000,
        shard_limit: 500_000,
        ..ImportConfig::default()
    };
    let package = import(&config, &folder.path().join("model")).unwrap().package;
    assert!(package.contract().graphs.values().all(|graph| graph.data.is_some()));
    let _inspected = holds(&Bench::new(1, folder.path()), package.folder());
}

#[test]
fn what_is_wrong_with_files_is_told_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let evil = folder.path().join("evil.pth");
    let mut zip = pth::Zip::create(&evil);
    zip.entry("archive/data.pkl", b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.");
    zip.finish();
    let refused = bench.call("model.import", &json!({"hr": "evil.pth", "out": "model"})).unwrap_err();
    assert_eq!(refused.code, "weights.refused");
    assert!(refused.message.contains("posix.system") && refused.message.contains("evil.pth"), "{}", refused.message);
    assert!(refused.hint.is_some());
    let missing = bench.call("model.import", &json!({"hr": "none.pth", "out": "model"})).unwrap_err();
    assert_eq!(missing.code, "weights.invalid");
    let nothing = bench.call("model.import", &json!({"out": "model"})).unwrap_err();
    assert!(nothing.hint.unwrap_or_default().contains("--hr"), "{}", nothing.message);
}
