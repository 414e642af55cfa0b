//! `model.verify`, `list`, `card`, `export` and `reduce` on imported packages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod harness;
#[path = "../../../trainer/model/tests/support/pth.rs"]
mod pth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use harness::Bench;
use serde_json::{Value, json};
use skysense_contract::{Module, Package};
use skysense_infer::{Model, Options};
use skysense_model::checkpoint::{WeightFile, parameters};
use skysense_model::preset;
use skysense_train::{ImportConfig, ImportFiles, Precision, Reduction, ShapeSettings, import};

/// A package of the tiny preset, with graphs and weights cut at these sizes.
fn package(folder: &Path, name: &str, graph_limit: u64, shard_limit: u64) -> Package {
    let model = preset("tiny").unwrap().init(&Device::default()).unwrap();
    let shapes = parameters(&model, "");
    let path = folder.join(format!("{name}.pth"));
    pth::write(&path, &["state_dict"], &shapes, &mut |index| {
        let count: usize = shapes[index].1.iter().product();
        (0..count).map(|place| 0.1 * ((place * 31 + index * 17) % 41) as f32 / 41.0 - 0.04).collect()
    });
    let config = ImportConfig {
        files: ImportFiles { full: Some(path), ..ImportFiles::default() },
        shapes: ShapeSettings { window: Some(4), ..ShapeSettings::default() },
        name: Some("tiny".into()),
        graph_limit,
        shard_limit,
        ..ImportConfig::default()
    };
    import(&config, &folder.join(name)).unwrap().package
}

fn whole(folder: &Path, name: &str) -> Package {
    package(folder, name, u64::MAX, u64::MAX)
}

fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = WeightFile::open(path, None).unwrap();
    file.tensors().map(|(key, stored)| (key.into(), (stored.shape().to_vec(), stored.floats().unwrap()))).collect()
}

fn problems(answer: &Value) -> Vec<String> {
    answer["problems"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_sound_package_is_verified_and_all_that_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    for (name, graphs, shards) in [("whole", u64::MAX, u64::MAX), ("pieces", 1000, 500_000)] {
        let package = package(folder.path(), name, graphs, shards);
        let answer = bench.call("model.verify", &json!({"model": name})).unwrap();
        assert_eq!((&answer["ok"], &answer["problems"]), (&json!(true), &json!([])), "{answer}");
        assert_eq!(answer["graphs"], json!(["hr", "s2", "s1", "fusion"]));
        assert_eq!(answer["tensors"], json!(tensors(&package.weights()).len()));
        assert!(answer["probe"]["values"].as_u64().unwrap() > 1000);
    }
    // Three faults at once, in three files: each is named.
    let model = folder.path().join("whole");
    let graph = std::fs::read(model.join("s1.onnx")).unwrap();
    std::fs::write(model.join("s1.onnx"), &graph[..graph.len() / 2]).unwrap();
    let mut weights = std::fs::read(model.join("weights.safetensors")).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    std::fs::write(model.join("weights.safetensors"), weights).unwrap();
    std::fs::remove_file(model.join("mlm.json")).unwrap();
    let answer = bench.call("model.verify", &json!({"model": "whole"})).unwrap();
    assert_eq!((&answer["ok"], &answer["files"], &answer["probe"]), (&json!(false), &json!(false), &Value::Null));
    let found = problems(&answer);
    for part in ["s1.onnx has", "weights.safetensors has SHA-256", "mlm.json", "s1.onnx cannot be loaded"] {
        assert!(found.iter().any(|line| line.contains(part)), "{part}: {found:?}");
    }
    assert_eq!(answer["graphs"], json!(["hr", "s2", "fusion"]), "the others open");
    assert!(bench.call("model.verify", &json!({"model": "nowhere"})).unwrap_err().message.contains("nowhere"));
}

/// Files may be as their checksums say and still be of another model than the contract.
#[test]
fn weights_and_graphs_of_another_model_are_named_by_tensor_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let package = whole(folder.path(), "model");
    let file = package.folder().join("model.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut contract: Value = serde_yaml::from_str(&text).unwrap();
    // The package says that its Sentinel-2 encoder has a layer more, and its fusion wider ones.
    let layers = preset("tiny").unwrap().s2.unwrap().0.layers;
    contract["architecture"]["s2"][0]["layers"] = json!(layers + 1);
    contract["architecture"]["fusion"]["mlp_ratio"] = json!(8);
    std::fs::write(&file, serde_yaml::to_string(&contract).unwrap()).unwrap();
    let answer = bench.call("model.verify", &json!({"model": "model"})).unwrap();
    let found = problems(&answer);
    assert_eq!((&answer["ok"], &answer["files"]), (&json!(false), &json!(true)));
    let layer = format!("no backbone_s2.layers.{layers}.ln1.weight, expected shape");
    assert!(found.iter().any(|line| line.contains(&layer)), "{layer}: {found:?}");
    let width = "fusion.layers.0.ffn.layers.0.0.weight has shape";
    assert!(found.iter().any(|line| line.contains(width) && line.contains("expected")), "{found:?}");
    contract = serde_yaml::from_str(&text).unwrap();
    contract["modalities"]["s2"]["bands"].as_array_mut().unwrap().pop();
    for field in ["mean", "std"] {
        contract["modalities"]["s2"][field].as_array_mut().unwrap().pop();
    }
    std::fs::write(&file, serde_yaml::to_string(&contract).unwrap()).unwrap();
    let found = problems(&bench.call("model.verify", &json!({"model": "model"})).unwrap());
    let band = "backbone_s2.patch_embed.projection.weight has shape";
    assert!(found.iter().any(|line| line.contains(band)), "{found:?}");
    assert!(found.iter().any(|line| line.contains("s2.onnx does not keep its contract")), "{found:?}");
    contract = serde_yaml::from_str(&text).unwrap();
    contract["chip_size"] = json!(32);
    std::fs::write(&file, serde_yaml::to_string(&contract).unwrap()).unwrap();
    let found = problems(&bench.call("model.verify", &json!({"model": "model"})).unwrap());
    assert!(found.iter().any(|line| line.contains("s2.onnx") && line.contains("32")), "{found:?}");
}

#[test]
fn packages_below_folders_are_listed_and_broken_ones_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    std::fs::create_dir_all(folder.path().join("models/deep")).unwrap();
    whole(&folder.path().join("models"), "a");
    let broken = whole(&folder.path().join("models/deep"), "b");
    std::fs::write(broken.folder().join("hr.onnx"), b"cut").unwrap();
    std::fs::create_dir_all(folder.path().join("models/.hidden")).unwrap();
    std::fs::write(folder.path().join("models/.hidden/model.yaml"), "no model").unwrap();
    std::fs::create_dir_all(folder.path().join("models/other")).unwrap();
    std::fs::write(folder.path().join("models/other/model.yaml"), "layers: 3\n").unwrap();
    let small = json!({"model": "models/a", "to": "int8", "out": "models/a8"});
    bench.call("model.reduce", &small).unwrap();
    let answer = bench.call("model.list", &json!({"folders": ["models"]})).unwrap();
    let models = answer["models"].as_array().unwrap();
    assert_eq!(models.len(), 2, "{answer}");
    assert_eq!((&models[0]["name"], &models[0]["precision"]), (&json!("tiny"), &json!("f32")));
    assert_eq!((&models[1]["name"], &models[1]["precision"]), (&json!("tiny-int8"), &json!("int8")));
    assert_eq!(models[0]["modules"], json!(["hr", "s2", "s1", "fusion"]));
    assert_eq!(models[0]["bands"]["s1"], json!(["VV", "VH"]));
    assert!(models[0]["bytes"].as_u64() > models[1]["bytes"].as_u64());
    let broken = answer["broken"].as_array().unwrap();
    assert_eq!(broken.len(), 2, "{answer}");
    assert!(broken[0]["reason"].as_str().unwrap().contains("hr.onnx has 3 bytes"), "{answer}");
    assert!(broken[1]["path"].as_str().unwrap().ends_with("other"), "{answer}");
    // Without folders: where the caller is.
    assert_eq!(bench.call("model.list", &json!({})).unwrap()["models"].as_array().unwrap().len(), 2);
    assert!(bench.call("model.list", &json!({"folders": ["gone"]})).unwrap_err().message.contains("gone"));
}

#[test]
fn a_card_tells_what_was_imported() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let package = whole(folder.path(), "model");
    let card = bench.call("model.card", &json!({"model": "model"})).unwrap()["card"].as_str().unwrap().to_owned();
    for part in ["# tiny\n", "| B12 |", "backscatter in dB", "imported from", "model.pth", "| hr.onnx |", "proprietary"]
    {
        assert!(card.contains(part), "{part} is not in:\n{card}");
    }
    assert!(card.contains(&package.contract().weights_sha256));
    assert!(!card.contains(&folder.path().display().to_string()));
    bench.call("model.reduce", &json!({"model": "model", "to": "fp16", "out": "half"})).unwrap();
    let card = bench.call("model.card", &json!({"model": "half"})).unwrap()["card"].as_str().unwrap().to_owned();
    assert!(card.contains("| Precision | fp16 |") && card.contains("cosine of features"), "{card}");
}

/// What was exported can be imported again, and is the same.
#[test]
fn weights_go_out_under_the_published_keys_and_come_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let package = whole(folder.path(), "model");
    let asked = json!({"model": "model", "out": "files", "weights_only": true});
    let answer = bench.call("model.export", &asked).unwrap();
    assert_eq!(answer["graphs"], json!({}));
    let file = |part: &str| folder.path().join(format!("files/skysense_model_{part}.safetensors"));
    let s2 = tensors(&file("backbone_s2"));
    assert!(s2.contains_key("layers.0.attn.attn.in_proj_weight") && s2.contains_key("patch_embed.projection.weight"));
    let fusion = tensors(&file("fusion"));
    assert!(fusion.contains_key("porj_linear.weight") && fusion.contains_key("ctpe"));
    assert_eq!(tensors(&file("head_s1"))["decoder.0.weight"].0[2..], [1, 1]);
    let back = json!({"out": "back", "window": 4, "name": "tiny",
        "hr": file("backbone_hr"), "s2": file("backbone_s2"), "s1": file("backbone_s1"),
        "head_s2": file("head_s2"), "head_s1": file("head_s1"), "fusion": file("fusion")});
    let imported = bench.call("model.import", &back).unwrap();
    assert_eq!((&imported["missing"], &imported["unexpected"]), (&json!([]), &json!([])), "{imported}");
    let again = Package::open(folder.path().join("back")).unwrap();
    assert_eq!(tensors(&again.weights()), tensors(&package.weights()));
    assert_eq!(again.contract().weights_sha256, package.contract().weights_sha256, "byte for byte");
    // The same graphs come of the same weights.
    for module in [Module::Hr, Module::S2, Module::S1, Module::Fusion] {
        let graph = |package: &Package| std::fs::read(package.graph(module).unwrap()).unwrap();
        assert_eq!(graph(&again), graph(&package), "{module}");
    }
    let stands = bench.call("model.export", &asked).unwrap_err();
    assert_eq!(stands.code, "output.exists");
}

#[test]
fn graphs_of_chosen_modules_are_written_for_another_chip_size() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let package = whole(folder.path(), "model");
    let asked = |out: &str, modules: Value, size: Option<usize>| {
        bench.call("model.export", &json!({"model": "model", "out": out, "modules": modules, "chip_size": size}))
    };
    let answer = asked("same", json!(["s2", "fusion"]), None).unwrap();
    assert_eq!(answer["graphs"], json!({"s2": ["s2.onnx"], "fusion": ["fusion.onnx"]}));
    for module in [Module::S2, Module::Fusion] {
        let own = std::fs::read(package.graph(module).unwrap()).unwrap();
        assert_eq!(std::fs::read(folder.path().join(format!("same/{module}.onnx"))).unwrap(), own, "{module}");
    }
    assert!(!folder.path().join("same/hr.onnx").exists());
    assert!(!folder.path().join("same/skysense_model_backbone_hr.safetensors").exists());
    // Chips of 32 pixels: the graph takes them, and is the one that an import for that size writes.
    asked("wide", json!(["s2"]), Some(32)).unwrap();
    let wide = json!({"full": "model.pth", "out": "imported", "window": 4, "chip_size": 32});
    bench.call("model.import", &wide).unwrap();
    let read = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert_eq!(read("wide/s2.onnx"), read("imported/s2.onnx"));
    assert_ne!(read("wide/s2.onnx"), read("same/s2.onnx"));
    for (modules, size, told) in
        [(json!(["head"]), None, "modules"), (json!([]), Some(6), "chip"), (json!([]), Some(0), "chip_size")]
    {
        let error = asked("none", modules, size).unwrap_err();
        assert!(error.message.contains(told), "{told}: {error}");
        assert!(!folder.path().join("none").exists());
    }
    bench.call("model.reduce", &json!({"model": "model", "to": "int8", "out": "small"})).unwrap();
    let error = bench.call("model.export", &json!({"model": "small", "out": "none"})).unwrap_err();
    assert!(error.message.contains("does not hold the weights"), "{error}");
}

/// Graphs whose weights lie beside them are made small tensor by tensor, and give what the whole graphs give.
#[test]
fn graphs_with_their_weights_beside_are_made_small_too() {
    let folder = tempfile::tempdir().unwrap();
    let (one, pieces) = (whole(folder.path(), "one"), package(folder.path(), "pieces", 1000, 500_000));
    let options = Options { cache: Some(folder.path().join("cache")), threads: 1, ..Options::default() };
    for precision in Precision::ALL {
        let made = |package: &Package, name: &str| {
            let place = |what: &str| -> PathBuf { folder.path().join(format!("{precision}-{name}-{what}")) };
            let original = Reduction::read(package).unwrap().with_shard_limit(200_000);
            let seen = if precision == Precision::Int8Static {
                let watched = original.clone().watched().write(&place("watched")).unwrap();
                skysense_infer::ranges(&watched, &[&package.probe()], &options).unwrap().0
            } else {
                BTreeMap::new()
            };
            original.reduced(precision, &seen).write(&place("small")).unwrap()
        };
        let (whole, beside) = (made(&one, "one"), made(&pieces, "pieces"));
        assert!(whole.contract().graphs.values().all(|graph| graph.data.is_none()));
        let data = |package: &Package| -> u64 {
            let graphs = package.contract().graphs.values();
            graphs.map(|graph| graph.data.as_ref().map_or(0, |data| data.size)).sum()
        };
        let (before, after) = (data(&pieces), data(&beside));
        assert!(after > 0 && after < before * 7 / 10, "{precision}: {after} of {before} bytes");
        for (module, graph) in &beside.contract().graphs {
            let inside = whole.contract().graphs[module].size;
            assert!(graph.data.is_some() && graph.size < inside, "{precision}, {module}: nothing lies beside it");
        }
        assert_eq!(tensors(&whole.weights()), tensors(&beside.weights()), "{precision}");
        if matches!(precision, Precision::Fp16 | Precision::Bf16) {
            assert!(beside.contract().weights_shards.len() > 3, "{precision}: in shards as asked");
        }
        // The same bits come out, not only numbers within a tolerance.
        let of = |package: &Package| {
            let found = skysense_infer::likeness(&one, package, &options).unwrap();
            (found.largest_difference.to_bits(), found.feature_cosine.to_bits(), found.least_cosine.to_bits())
        };
        assert_eq!(of(&whole), of(&beside), "{precision}");
        let report = Model::verify(&beside, &options).unwrap();
        assert!(report.values > 1000);
    }
}
