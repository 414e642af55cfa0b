//! `model.compare` on a simulated scene with its true classes.

use serde_json::{Value, json};

use crate::bench::{SATELLITES, chips, package, read, scene, search};
use crate::harness::Bench;

fn arguments(more: &Value) -> Value {
    let mut arguments = json!({
        "search": search(scene(), &SATELLITES), "chips": chips(&json!({"overlap": 0})),
        "labels": search(scene(), &["labels"]), "seeds": [3], "shares": [0.2, 1.0], "steps": 3, "block": 16, "trees": 10,
    });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

#[test]
fn all_take_part_on_the_same_ground_and_the_table_lies_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let answer = bench.call("model.compare", &arguments(&json!({"models": [package()], "out": "table"}))).unwrap();
    let entries = answer["entries"].as_array().unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let expected = [
        "pretrained",
        "tiny from random weights",
        "U-Net",
        "UNet3D",
        "TSViT",
        "random forest of 10 trees",
        "logistic regression",
    ];
    assert_eq!(names, expected);
    let scores = |entry: &Value, share: usize| entry["shares"][share]["scores"][0].clone();
    let pixels = scores(&entries[0], 0)["pixels"].clone();
    assert!(pixels.as_u64() > Some(100), "{answer}");
    for entry in entries {
        assert_eq!((&scores(entry, 0)["pixels"], &scores(entry, 1)["pixels"]), (&pixels, &pixels), "the same for all");
    }
    // Fields are larger than pixels and their classes differ in their spectra: a pixel's own values tell some of that.
    for entry in &entries[5..] {
        assert!(scores(entry, 1)["kappa"].as_f64() > Some(0.3), "{}", answer["text"]);
    }
    let table = std::fs::read_to_string(folder.path().join("table/comparison.md")).unwrap();
    assert_eq!(table, answer["text"].as_str().unwrap());
    assert_eq!(read(&folder.path().join("table/comparison.json"))["entries"], answer["entries"]);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let told = |more: Value| bench.call("model.compare", &arguments(&more)).unwrap_err().to_string();
    assert!(told(json!({"models": ["no/model"], "rivals": ["pretrained"]})).contains("no/model"));
    assert!(told(json!({"rivals": ["pretrained"]})).contains("nobody takes part"));
    assert!(told(json!({"rivals": ["forest"], "shares": []})).contains("one or more of each"));
    assert!(told(json!({"rivals": ["forest"], "block": 1_000_000})).contains("1 of 1000000"));
    assert!(told(json!({"rivals": ["giant"]})).contains("giant"));
    assert!(told(json!({"labels": search(scene(), &SATELLITES[1..])})).contains("labels"));
}
