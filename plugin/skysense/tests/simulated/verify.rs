//! `verify.item` on what a run wrote: a changed byte, a lost file, another model.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bench::{Way, names, scene, write, write_package};
use crate::harness::Bench;
use crate::tiny::Tiny;

/// A map of its own with a model of its own, so that both can be spoiled.
struct Made {
    _folder: tempfile::TempDir,
    bench: Bench,
    model: PathBuf,
    item: PathBuf,
}

fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, scene());
    let model = write_package(&folder.path().join("model"), &Tiny::new(1), None);
    let collections = ["sentinel-2-l2a"];
    let way = Way { collections: &collections, model: json!({"model": model, "device": "cpu"}), ..Way::of(scene()) };
    let out = folder.path().join("out");
    write(&bench, &way.run(&bench).unwrap(), &out, &json!({"outputs": ["class", "entropy"]})).unwrap();
    let item = out.join("land-cover-all/land-cover-all.json");
    Made { _folder: folder, bench, model, item }
}

impl Made {
    fn verify(&self) -> Value {
        self.bench.call("verify.item", &json!({"item": self.item})).unwrap()
    }

    /// What did not pass, with what was found.
    fn bad(&self) -> Vec<(String, String)> {
        let answer = self.verify();
        let checks = answer["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false);
        let bad: Vec<_> = checks
            .map(|check| (check["what"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(answer["ok"], json!(bad.is_empty()), "the whole says what its parts say");
        bad
    }

    fn file(&self, name: &str) -> PathBuf {
        self.item.with_file_name(name)
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn what_a_run_wrote_passes_every_check() {
    let made = made();
    let answer = made.verify();
    assert!(made.bad().is_empty(), "{answer}");
    let checked: Vec<&str> = answer["checks"].as_array().unwrap().iter().map(|c| c["what"].as_str().unwrap()).collect();
    for what in ["asset class", "asset entropy", "link collection ../collection.json", "model tiny-random"] {
        assert!(checked.contains(&what), "{what}: {checked:?}");
    }
    let told = answer.to_string();
    assert!(told.contains("values of its probe are within the tolerance on cpu with ONNX Runtime"), "{told}");
    assert!(!told.contains("ProbeReport"), "{told}");
    // Every source item, and the model's record.
    assert_eq!(checked.iter().filter(|what| what.starts_with("link derived_from")).count(), 3 + 1, "{checked:?}");
}

#[test]
fn a_changed_byte_is_caught() {
    let made = made();
    let file = made.file("class.tif");
    flip(&file, std::fs::metadata(&file).unwrap().len() as usize - 1);
    let bad = made.bad();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(bad[0].0 == "asset class" && bad[0].1.starts_with("checksum 1220"), "{bad:?}");
}

#[test]
fn a_lost_or_shortened_file_is_caught() {
    let made = made();
    std::fs::remove_file(made.file("entropy.tif")).unwrap();
    let bytes = std::fs::read(made.file("class.tif")).unwrap();
    std::fs::write(made.file("class.tif"), &bytes[..bytes.len() - 1]).unwrap();
    let bad = made.bad();
    let of =
        |what: &str| bad.iter().find(|(name, _)| name == what).map(|(_, found)| found.as_str()).unwrap_or_default();
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert!(of("asset entropy").contains("entropy.tif"), "{bad:?}");
    let expected = format!("{} bytes, the item says {}", bytes.len() - 1, bytes.len());
    assert_eq!(of("asset class"), expected);
}

#[test]
fn another_model_in_its_place_is_caught() {
    let made = made();
    // Every package is whole in itself: only what the item says tells them apart.
    std::fs::remove_dir_all(&made.model).unwrap();
    write_package(&made.model, &Tiny::new(2), None);
    let bad = made.bad();
    let whats: Vec<&str> = bad.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(whats, ["link derived_from ../../model/mlm.json", "model tiny-random"], "{bad:?}");
    assert!(bad[1].1.contains("the item says"), "{bad:?}");
}

#[test]
fn an_item_that_lost_what_is_to_be_checked_does_not_pass() {
    let made = made();
    let whole = crate::bench::read(&made.item);
    let spoiled = |change: &dyn Fn(&mut Value)| {
        let mut item = whole.clone();
        change(&mut item);
        std::fs::write(&made.item, item.to_string()).unwrap();
        made.bad()
    };
    let without = |item: &mut Value, lost: &dyn Fn(&Value) -> bool| {
        item["links"].as_array_mut().unwrap().retain(|link| !lost(link));
    };
    let bad = spoiled(&|item| without(item, &|link| link["mlm:name"].is_string()));
    assert!(bad.len() == 1 && bad[0].0 == "model tiny-random" && bad[0].1.contains("no link leads to it"), "{bad:?}");
    // Either of what the item states is enough to ask for the model.
    let bad = spoiled(&|item| {
        without(item, &|link| link["mlm:name"].is_string());
        item["properties"].as_object_mut().unwrap().remove("mlm:name");
    });
    assert!(bad.len() == 1 && bad[0].0.starts_with("model "), "{bad:?}");
    let bad = spoiled(&|item| drop(item["properties"].as_object_mut().unwrap().remove("skysense:model_sha256")));
    assert!(bad.len() == 1 && bad[0].1.ends_with("the item says none"), "{bad:?}");
    let bad = spoiled(&|item| item["assets"] = json!({}));
    assert!(bad.len() == 1 && bad[0].0 == "assets", "{bad:?}");
    let bad = spoiled(&|item| without(item, &|link| link["rel"] == "collection"));
    assert!(bad.len() == 1 && bad[0].0 == "link collection", "{bad:?}");
    let bad = spoiled(&|item| item["links"] = json!([]));
    assert_eq!(bad.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(), ["link collection", "model tiny-random"]);
}

#[test]
fn a_damaged_model_is_caught() {
    let made = made();
    let graph =
        names(&made.model).into_iter().find(|name| name.starts_with("fusion") && name.ends_with(".onnx")).unwrap();
    let graph = made.model.join(graph);
    flip(&graph, std::fs::metadata(&graph).unwrap().len() as usize / 2);
    let bad = made.bad();
    assert!(bad.len() == 1 && bad[0].0 == "model tiny-random" && bad[0].1.contains("fusion"), "{bad:?}");
    std::fs::remove_dir_all(&made.model).unwrap();
    let whats: Vec<String> = made.bad().into_iter().map(|(what, _)| what).collect();
    assert_eq!(whats, ["link derived_from ../../model/mlm.json", "model tiny-random"]);
}

#[test]
fn a_package_tells_what_it_promises_and_whether_it_holds() {
    let made = made();
    let inspect = || made.bench.call("model.inspect", &json!({"model": made.model})).unwrap();
    let whole = inspect();
    assert_eq!((&whole["ok"], &whole["problem"]), (&json!(true), &Value::Null));
    assert!(whole["probe"]["values"].as_u64().unwrap() > 0);
    assert_eq!(whole["contract"]["modalities"]["s2"]["bands"].as_array().map(Vec::len), Some(10));
    let weights = made.model.join("weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let spoiled = inspect();
    assert_eq!(spoiled["ok"], json!(false));
    assert!(spoiled["problem"].as_str().unwrap().contains("weights.safetensors"), "{spoiled}");
    let nothing = made.bench.call("model.inspect", &json!({"model": made.model.join("none")})).unwrap_err();
    assert!(nothing.to_string().contains("none"), "{nothing}");
}
