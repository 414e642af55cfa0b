//! Training data through the real binary: from a catalog to shards and a model that learns from them, broken off by a kill
//! and gone on with, and the commands that look into it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(unix)]

mod command;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use command::{Done, wait_for};

/// The binary beside its plugin, in a folder.
fn skysense(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skysense"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("SKYSENSE_PLUGIN_PATH").env_remove("SKYSENSE_RUNS").env("XDG_DATA_HOME", folder.join("data"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Done {
    Done::from(skysense(folder, arguments).output().expect("the binary starts"))
}

/// A folder with a workflow that makes a shard of every sample, so that a kill falls between two of them.
fn folder(of: &Path, name: &str, catalog: &str) -> std::path::PathBuf {
    let folder = of.join(name);
    std::fs::create_dir(&folder).expect("a folder");
    let text = format!(
        "skysense: 1
name: shards
nodes:
  scenes: {{uses: stac.search, with: {{href: {catalog}, collections: [sentinel-2-l2a, sentinel-1-rtc]}}}}
  places: {{uses: sample.locations, from: scenes, with: {{method: grid, spacing: 80, size: 8}}}}
  samples: {{uses: raster.samples, from: {{items: scenes, locations: places}}}}
  shards:
    uses: data.write
    from: samples
    with: {{href: set, shard_size: 1, validation: {{share: 0.3, block: 0.3}}}}
"
    );
    std::fs::write(folder.join("shards.yaml"), text).expect("a file");
    folder
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    entries.map(|path| (name(&path), std::fs::read(&path).expect("a file"))).collect()
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes_and_the_commands_look_into_them() {
    let place = tempfile::tempdir().expect("a folder");
    let scene = ["simulate", "scene", "--out", "scene", "--size", "128", "--dates", "3", "--radar-dates", "2"];
    run(place.path(), &scene).exits(0);
    let catalog = place.path().join("scene/catalog.json").display().to_string();
    let (whole, broken) = (folder(place.path(), "whole", &catalog), folder(place.path(), "broken", &catalog));
    run(&whole, &["run", "shards.yaml"]).exits(0);

    let mut child = skysense(&broken, &["run", "shards.yaml"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    wait_for("the third shard", || broken.join("set/train-00002.index.arrow").exists());
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    assert!(!broken.join("set/manifest.json").exists(), "it was killed before the end");
    let told = run(&broken, &["data", "inspect", "set"]).exits(3);
    assert!(told.stderr.contains("manifest.json") && told.stderr.contains("runs resume"), "{}", told.stderr);
    run(&broken, &["runs", "resume"]).exits(0);
    let (found, expected) = (files(&broken.join("set")), files(&whole.join("set")));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == expected, "the same bytes");

    let about = run(&broken, &["data", "inspect", "set", "-o", "pictures", "--json"]).exits(0).json();
    let shards = expected.keys().filter(|name| name.ends_with(".index.arrow")).count();
    assert_eq!(about["samples"], shards);
    assert!(broken.join("pictures/map.png").exists() && broken.join("pictures/samples.png").exists());
    let told = run(&broken, &["data", "stats", "set", "-o", "bands.json"]).exits(0);
    assert!(told.stdout.contains("B04") && told.stdout.contains("mean"), "{}", told.stdout);
    assert!(std::fs::read_to_string(broken.join("bands.json")).expect("a file").contains("\"std\""));
    run(&broken, &["data", "verify", "set"]).exits(0);
    let shard = broken.join("set/train-00001.arrow");
    let mut bytes = std::fs::read(&shard).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&shard, bytes).expect("a file");
    let bad = run(&broken, &["data", "verify", "set"]).exits(3);
    assert!(bad.stdout.contains("train-00001.arrow"), "{}", bad.stdout);
}

/// The weights of a package.
fn weights(package: &Path) -> Vec<u8> {
    std::fs::read(package.join("weights.safetensors")).expect("a package")
}

#[test]
fn a_model_learns_from_shards_and_goes_on_to_the_same_bits_when_it_is_killed() {
    let place = tempfile::tempdir().expect("a folder");
    let scene = ["simulate", "scene", "--out", "scene", "--size", "96", "--dates", "3", "--radar-dates", "2"];
    run(place.path(), &scene).exits(0);
    let catalog = place.path().join("scene/catalog.json").display().to_string();
    let model = "preset: tiny, steps: 20, batch: 4, every: 2, out: model, views: {size: 12, pixels: 16},
      prototypes: {regions: 64, count: 4}, heads: {hidden: 32, bottleneck: 16, outputs: 32}, validation: {every: 5, places: 4}";
    let text = format!(
        "skysense: 1
name: shards to model
nodes:
  scenes: {{uses: stac.search, with: {{href: {catalog}, collections: [sentinel-2-l2a, sentinel-1-rtc]}}}}
  places: {{uses: sample.locations, from: scenes, with: {{method: grid, spacing: 80, size: 16}}}}
  samples: {{uses: raster.samples, from: {{items: scenes, locations: places}}}}
  data:
    uses: data.write
    from: samples
    with: {{href: set, shard_size: 3, validation: {{share: 0.5, block: 0.4}}}}
  model:
    uses: skysense.pretrain
    from: data
    with: {{{model}}}
"
    );
    let folder = |name: &str, text: &str| {
        let folder = place.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("w.yaml"), text).expect("a file");
        folder
    };
    let (whole, broken) = (folder("whole", &text), folder("broken", &text));
    let report = run(&whole, &["run", "w.yaml", "--json"]).exits(0).json();
    assert_eq!(report["outcome"], "done", "{report}");
    let told = std::fs::read_to_string(whole.join("model-metrics/metrics.jsonl")).expect("metrics");
    assert!(told.contains("validation.loss"), "the part that validates is not measured");

    let mut child = skysense(&broken, &["run", "w.yaml"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let runs = broken.join(".skysense/runs");
    let checkpoint = || {
        let runs = std::fs::read_dir(&runs).into_iter().flatten().flatten();
        runs.into_iter().any(|run| holds(&run.path(), "step-4"))
    };
    wait_for("the second checkpoint", checkpoint);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    assert!(!broken.join("model").exists(), "it was killed before the end");
    // It goes on where it stood, and does not begin again.
    let told = run(&broken, &["runs", "resume", "--progress", "json"]).exits(0).stderr;
    let steps = told.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let first =
        steps.filter(|event| event["event"] == "progress" && event["unit"] == "steps").find_map(|e| e["done"].as_u64());
    assert!(first.is_some_and(|first| first > 4), "{first:?}: {told}");
    assert!(weights(&broken.join("model")) == weights(&whole.join("model")), "other weights");

    // Several processes would each write the folder: that is said before anything is done.
    let several = folder("several", &text);
    let told = run(&several, &["run", "w.yaml", "--processes", "2"]).exits(1).stderr;
    assert!(told.contains("same folder of shards") && told.contains("name the folder with `shards`"), "{told}");
    assert!(!several.join("set").exists(), "a folder that nobody finishes");

    // The folder that is there, named by a setting: the same samples, so the same model.
    let named = text[..text.find("  data:").expect("a node")].split("  scenes:").next().expect("a head").to_owned();
    let set = whole.join("set").display().to_string();
    let named = format!("{named}  model:\n    uses: skysense.pretrain\n    with: {{shards: {set}, {model}}}\n");
    let named = folder("named", &named);
    let plan = run(&named, &["plan", "w.yaml", "--json"]).exits(0).json();
    assert_eq!(plan["nodes"][0]["name"], "model");
    run(&named, &["run", "w.yaml"]).exits(0);
    assert!(weights(&named.join("model")) == weights(&whole.join("model")), "other weights from the folder");
    // Several processes read it, each its share.
    std::fs::remove_dir_all(named.join("model")).expect("a package");
    run(&named, &["run", "w.yaml", "--processes", "2"]).exits(0);
    run(&named, &["model", "verify", "model"]).exits(0);
}

/// Whether a folder of this name lies somewhere below.
fn holds(folder: &Path, name: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name() == name || (entry.path().is_dir() && holds(&entry.path(), name)))
}
