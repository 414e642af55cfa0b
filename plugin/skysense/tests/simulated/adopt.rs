//! `data.adopt` on made-up copies of the data sets, and what nodes make of the catalogs: chips with pixels, labels, models.

#[path = "../../../../stac/layouts/tests/copies/mod.rs"]
mod copies;

use std::path::Path;

use serde_json::{Value, json};
use skysense_edges::ChipBatch;
use skysense_layouts::LAYOUTS;

use crate::harness::{Bench, Planned, good, messages};

fn adopted(bench: &Bench, folder: &Path, layout: &str) -> Value {
    copies::copy(layout, &folder.join("data"));
    bench.call("data.adopt", &json!({"layout": layout, "folder": "data", "out": "catalog"})).unwrap()
}

/// What a search finds in a catalog that was adopted.
fn found(bench: &Bench, answer: &Value, collections: &[&str], more: Value) -> Planned {
    let mut settings = json!({
        "href": answer["catalog"], "collections": collections, "allow_paths": answer["allow_paths"],
        "sensors": sensors(answer, collections),
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    good(bench.plan("stac.search", settings, &[]))
}

fn sensors(answer: &Value, collections: &[&str]) -> Value {
    collections.iter().filter_map(|name| Some(((*name).to_owned(), answer["sensors"].get(name)?.clone()))).collect()
}

/// Chips of what was found, with how many have any pixel.
fn chips(
    bench: &Bench,
    answer: &Value,
    (collections, items): (&[&str], &Planned),
    size: u64,
    more: Value,
) -> (Planned, usize) {
    let mut settings = json!({"size": size, "overlap": 0, "sensors": sensors(answer, collections)});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let planned = good(bench.plan("raster.chips", settings, &[("items", items)]));
    let batches = bench.run(&planned, &[("items", items, Vec::new())]).unwrap();
    let seen = batches.iter().map(|batch| {
        let chips = ChipBatch::try_new(batch).unwrap();
        (0..chips.len()).filter(|row| ["hr", "s2", "s1"].iter().any(|name| chips.series(name, *row).is_some())).count()
    });
    let seen = seen.sum();
    (planned, seen)
}

#[test]
fn chips_are_cut_of_every_layout() {
    for layout in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::new(2, folder.path());
        let answer = adopted(&bench, folder.path(), layout.name);
        assert_eq!(answer["task"], layout.task);
        let images: Vec<&str> = answer["sensors"].as_object().unwrap().keys().map(String::as_str).collect();
        // A change is of two times, each of which is cut by itself.
        let times: Vec<Vec<&str>> = match layout.task {
            "change" => images.iter().map(|name| vec![*name]).collect(),
            _ => vec![images],
        };
        for collections in times {
            let part = if layout.name == "aid" || layout.name == "resisc45" { "rank < 0.4" } else { "split = 'train'" };
            let items = found(&bench, &answer, &collections, json!({"filter": part}));
            let size = answer["chip_size"].as_u64().unwrap_or(16);
            let (_, seen) = chips(&bench, &answer, (&collections, &items), size, json!({}));
            assert!(seen > 0, "{}: no chip has pixels", layout.name);
            // Of sets whose images have one side each chip is an image, and the test's are not among them.
            let count: usize = match layout.name {
                "aid" => 30,
                "resisc45" => 45,
                "levir-cd" => 2,
                "fmow-s2" | "bigearthnet-s2" | "bigearthnet-mm" => 1,
                _ => continue,
            };
            assert_eq!(seen, count, "{}", layout.name);
        }
    }
}

#[test]
fn models_are_trained_on_scenes_and_on_objects_of_images_that_say_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let answer = adopted(&bench, folder.path(), "resisc45");
    let images = found(&bench, &answer, &["resisc45"], json!({"filter": "rank < 0.4"}));
    let labels = found(&bench, &answer, &["resisc45-labels"], json!({"filter": "rank < 0.4"}));
    let (planned, _) = chips(&bench, &answer, (&["resisc45"], &images), 8, json!({}));
    let settings = json!({"task": "classification", "preset": "tiny", "steps": 1, "batch": 2, "holdout": {"share": 0}, "out": "model"});
    let model = good(bench.plan("skysense.finetune", settings, &[("chips", &planned), ("labels", &labels)]));
    let batches = bench.run(&planned, &[("items", &images, Vec::new())]).unwrap();
    bench.run(&model, &[("chips", &planned, batches), ("labels", &labels, Vec::new())]).unwrap();
    let contract = std::fs::read_to_string(folder.path().join("model/model.yaml")).unwrap();
    assert!(contract.contains("Class44") && contract.contains("classification"), "{contract}");

    let other = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, other.path());
    let answer = adopted(&bench, other.path(), "fair1m");
    let images = found(&bench, &answer, &["fair1m"], json!({"filter": "split = 'train'"}));
    let labels = found(&bench, &answer, &["fair1m-labels"], json!({"filter": "split = 'train'"}));
    let (planned, _) = chips(&bench, &answer, (&["fair1m"], &images), 16, json!({}));
    let settings = json!({
        "task": "oriented_detection", "preset": "tiny", "steps": 1, "batch": 1, "holdout": {"share": 0}, "out": "model",
    });
    let inputs = [("chips", &planned), ("labels", &labels), ("images", &images)];
    let model = good(bench.plan("skysense.finetune", settings, &inputs));
    assert!(model.plan.facts.to_string().contains("Dry-Cargo-Ship"), "{}", model.plan.facts);
}

#[test]
fn what_cannot_be_adopted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    copies::levir(&folder.path().join("data"));
    std::fs::remove_dir_all(folder.path().join("data/train/B")).unwrap();
    let told = |layout: &str| {
        bench.call("data.adopt", &json!({"layout": layout, "folder": "data", "out": "catalog"})).unwrap_err()
    };
    let error = told("levir-cd");
    assert_eq!(error.code, "data.layout");
    assert!(error.to_string().contains("expected a folder B/") && error.to_string().contains("train"), "{error}");
    assert!(error.hint.unwrap_or_default().contains("DATASETS.md"));
    let error = told("levir");
    assert!(error.hint.unwrap_or_default().contains("levir-cd"));
    // Files outside of the catalog are opened only where that is allowed.
    copies::levir(&folder.path().join("data"));
    let answer = bench.call("data.adopt", &json!({"layout": "levir-cd", "folder": "data", "out": "catalog"})).unwrap();
    let items = found(&bench, &answer, &["levir-cd-after"], json!({"allow_paths": []}));
    let settings = json!({"size": 32, "sensors": sensors(&answer, &["levir-cd-after"])});
    let refused = bench.plan("raster.chips", settings, &[("items", &items)]).err().unwrap_or_default();
    assert!(messages(&refused).contains("allow_paths"), "{}", messages(&refused));
}
