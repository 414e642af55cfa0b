//! `model.reduce` as a user calls it.

use serde_json::{Value, json};
use skysense_abi::NodeError;

use crate::bench::{SATELLITES, chips, names, package, read, scene, search};
use crate::harness::{Bench, good, messages};

#[test]
fn a_package_is_made_smaller_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    for precision in ["fp16", "bf16", "int8", "int8-dynamic", "int8-static"] {
        let out = folder.path().join(precision);
        let answer = bench.call("model.reduce", &json!({"model": package(), "to": precision, "out": out})).unwrap();
        let bytes = |field: &str| answer[field].as_u64().unwrap();
        let on_disk = |folder: &std::path::Path| -> u64 {
            let files = names(folder).into_iter().filter(|name| name.ends_with(".onnx") || name.starts_with("weights"));
            files.map(|name| std::fs::metadata(folder.join(name)).unwrap().len()).sum()
        };
        assert_eq!((bytes("bytes_before"), bytes("bytes_after")), (on_disk(package()), on_disk(&out)), "{precision}");
        assert!(bytes("bytes_after") < bytes("bytes_before") * 7 / 10, "{precision}: {answer}");
        assert_eq!(answer["batch_dependent"], json!(precision == "int8-dynamic"));
        assert_eq!(answer["calibration"].is_string(), precision == "int8-static");

        let inspected = bench.call("model.inspect", &json!({"model": out})).unwrap();
        assert_eq!((&inspected["ok"], &inspected["precision"]), (&json!(true), &json!(precision)), "{inspected}");
        let note = &inspected["contract"]["notes"]["reduced"];
        let original = bench.call("model.inspect", &json!({"model": package()})).unwrap();
        assert_eq!(note["from_weights_sha256"], original["contract"]["weights_sha256"]);
        assert_eq!(original["precision"], "f32");
        assert_eq!(read(&out.join("mlm.json"))["id"], format!("tiny-random-{precision}"));
    }
    // Nothing that was there to be measured is left.
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["bf16", "fp16", "int8", "int8-dynamic", "int8-static"]);
}

#[test]
fn more_samples_widen_what_inputs_are_scaled_by() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    // The probe of another model of the same inputs holds other pixels.
    let other = crate::tiny::Tiny::new(9).write(&folder.path().join("other"), &crate::tiny::Chip::new(5, [3, 1]), 0.0);
    let make = |name: &str, samples: Value| {
        let out = folder.path().join(name);
        let asked = json!({"model": package(), "to": "int8-static", "out": out, "samples": samples});
        let answer = bench.call("model.reduce", &asked).unwrap();
        (answer["calibration"].as_str().unwrap().to_owned(), std::fs::read(out.join("s2.onnx")).unwrap())
    };
    let (alone, one) = make("one", json!([]));
    let (more, two) = make("two", json!([other.join("probe.safetensors")]));
    assert!(alone.contains("chips: 1, probe: 1") && more.contains("chips: 2, probe: 1, samples: 1"), "{alone}; {more}");
    assert_ne!(one, two);
}

#[test]
fn what_cannot_be_reduced_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let small = folder.path().join("small");
    bench.call("model.reduce", &json!({"model": package(), "to": "int8", "out": small})).unwrap();
    let out = folder.path().join("out");
    let told = |arguments: Value| -> NodeError { bench.call("model.reduce", &arguments).unwrap_err() };
    let twice = told(json!({"model": small, "to": "fp16", "out": out}));
    assert!(twice.message.contains("int8 already") && twice.message.contains("float model"), "{twice}");
    let unknown = told(json!({"model": package(), "to": "int4", "out": out}));
    assert!(unknown.code == "settings.invalid" && unknown.message.contains("int8-static"), "{unknown}");
    let samples = told(json!({"model": package(), "to": "fp16", "out": out, "samples": ["a.safetensors"]}));
    assert!(samples.message.contains("not calibrated"), "{samples}");
    let lost = told(json!({"model": package(), "to": "int8-static", "out": out, "samples": ["a.safetensors"]}));
    assert!(lost.message.contains("a.safetensors"), "{lost}");
    let stands = told(json!({"model": package(), "to": "fp16", "out": small}));
    assert_eq!(stands.code, "output.exists", "{stands}");
    assert!(told(json!({"model": "no/model", "to": "fp16", "out": out})).message.contains("no/model"));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["small"]);
}

#[test]
fn chips_of_a_workflow_calibrate() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let scenes = good(bench.plan("stac.search", search(scene(), &SATELLITES), &[]));
    let cut = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    let batches = bench.run(&cut, &[("items", &scenes, Vec::new())]).unwrap();
    let mut made = Vec::new();
    for (name, count) in [("three", 3), ("all", 1000)] {
        let settings = json!({"model": package(), "out": folder.path().join(name), "chips": count});
        let node = good(bench.plan("skysense.reduce", settings.clone(), &[("chips", &cut)]));
        assert_eq!(node.plan.facts["contract"]["name"], "tiny-random-int8-static");
        let rows = bench.run(&node, &[("chips", &cut, batches.clone())]).unwrap();
        let model = skysense_edges::ModelBatch::try_new(&rows[0]).unwrap().path().to_owned();
        let inspected = bench.call("model.inspect", &json!({"model": model})).unwrap();
        assert_eq!((&inspected["ok"], &inspected["precision"]), (&json!(true), &json!("int8-static")), "{inspected}");
        let note = inspected["contract"]["notes"]["reduced"]["calibration"].as_str().unwrap().to_owned();
        let seen = count.min(crate::bench::CHIPS);
        assert!(note.contains(&format!("chips of a workflow: {seen}, probe: 1")), "{note}");
        made.push(std::fs::read(folder.path().join(name).join("s2.onnx")).unwrap());
        // A second run does not write over it.
        let again = bench.plan("skysense.reduce", settings, &[("chips", &cut)]).err().unwrap();
        assert_eq!(again[0].code, "output.exists", "{}", messages(&again));
    }
    assert_ne!(made[0], made[1], "more chips widen what inputs are scaled by");
    // The probe alone gives other ranges than chips with it.
    let out = folder.path().join("probe");
    bench.call("model.reduce", &json!({"model": package(), "to": "int8-static", "out": out})).unwrap();
    assert_ne!(std::fs::read(out.join("s2.onnx")).unwrap(), made[0]);
    // Bands are bound by name, and chips that do not fit are told while planning.
    let few = good(bench.plan("raster.chips", chips(&json!({"bands": {"s2": ["B02"]}})), &[("items", &scenes)]));
    let settings = json!({"model": package(), "out": folder.path().join("few")});
    let told = messages(&bench.plan("skysense.reduce", settings, &[("chips", &few)]).err().unwrap());
    assert!(told.contains("s2 lacks band B03"), "{told}");
    let settings = json!({"model": out, "out": folder.path().join("twice")});
    let told = messages(&bench.plan("skysense.reduce", settings, &[("chips", &cut)]).err().unwrap());
    assert!(told.contains("int8-static already") && told.contains("float model"), "{told}");
    // A workflow that makes no chip makes no model.
    let settings = json!({"model": package(), "out": folder.path().join("none")});
    let node = good(bench.plan("skysense.reduce", settings, &[("chips", &cut)]));
    let error = bench.run(&node, &[("chips", &cut, Vec::new())]).unwrap_err();
    assert_eq!(error.code, "chips.none");
    assert!(!folder.path().join("none").exists());
}
