//! Several processes that do one run through the real binary: trained as one, answered by one, ended by any.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(unix)]

#[path = "command/mod.rs"]
mod command;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use command::Done;
use serde_json::Value;
use tempfile::TempDir;

/// The binary beside its plugin, in a folder, as no rank of anything.
fn skysense(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skysense"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in ["SKYSENSE_PLUGIN_PATH", "SKYSENSE_RUNS", "RANK", "WORLD_SIZE", "SLURM_PROCID"] {
        command.env_remove(name);
    }
    command.env("XDG_DATA_HOME", folder.join("data"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Done {
    Done::from(skysense(folder, arguments).output().expect("the binary starts"))
}

/// A folder with a scene, and a workflow that trains on it.
fn ground(steps: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = ["simulate", "scene", "--out", "scene", "--size", "64", "--dates", "3", "--cloud", "0.05"];
    run(folder.path(), &[&scene[..], &["--season", "120,240", "--year", "2021"]].concat()).exits(0);
    let train = format!(
        "skysense: 1
params:
  out: {{type: path, default: model}}
  steps: {{type: integer, default: {steps}}}
nodes:
  scenes: {{uses: stac.search, with: {{href: scene/catalog.json, collections: [sentinel-2-l2a]}}}}
  truth: {{uses: stac.search, with: {{href: scene/catalog.json, collections: [labels]}}}}
  chips: {{uses: raster.chips, from: scenes, with: {{size: 16, overlap: 4}}}}
  model:
    uses: skysense.finetune
    from: {{chips: chips, labels: truth}}
    with: {{preset: tiny, steps: $steps, batch: 4, out: $out}}
"
    );
    std::fs::write(folder.path().join("train.yaml"), train).expect("a file");
    folder
}

/// The weights of a package as single precision, in the order of the file.
fn weights(package: &Path) -> Vec<f32> {
    let bytes = std::fs::read(package.join("weights.safetensors")).expect("a package");
    let head = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + head..].chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
}

fn runs(folder: &Path) -> Vec<Value> {
    run(folder, &["runs", "list", "--json"]).exits(0).json()["runs"].as_array().unwrap().clone()
}

#[test]
fn processes_of_one_host_train_as_one_and_one_answers() {
    let ground = ground(4);
    let folder = ground.path();
    run(folder, &["run", "train.yaml", "-p", "out=alone"]).exits(0);
    let done = run(folder, &["run", "train.yaml", "--processes", "2", "-p", "out=two", "--json"]).exits(0);
    let answer = done.json();
    assert_eq!((answer["ok"].as_bool(), answer["outcome"].as_str()), (Some(true), Some("done")), "{answer}");
    let (alone, two) = (weights(&folder.join("alone")), weights(&folder.join("two")));
    assert_eq!(alone.len(), two.len());
    let apart = alone.iter().zip(&two).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    // AdamW moves weights whose true gradient is zero by its rate, whichever way rounding points.
    let far = alone.iter().zip(&two).filter(|(a, b)| (*a - *b).abs() > 1e-4).count();
    assert!(far * 100 < alone.len() && apart < 0.05, "{far} of {} weights are apart, by up to {apart}", alone.len());
    run(folder, &["model", "verify", "two"]).exits(0);
    // Helpers leave no run behind.
    assert_eq!(runs(folder).len(), 2);
    assert_eq!(std::fs::read_dir(folder.join(".skysense/runs/ranks")).map_or(0, Iterator::count), 0);
}

/// Ranks as a launcher starts them.
fn ranks(folder: &Path, size: usize, arguments: &[&str]) -> Vec<Child> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let one = |rank: usize| {
        let mut command = skysense(folder, arguments);
        command.envs([("RANK", rank.to_string()), ("WORLD_SIZE", size.to_string())]);
        command.envs([("MASTER_ADDR", "localhost"), ("MASTER_PORT", port.as_str())]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    };
    (0..size).map(one).collect()
}

fn ended(ranks: Vec<Child>) -> Vec<Done> {
    ranks.into_iter().map(|rank| Done::from(rank.wait_with_output().unwrap())).collect()
}

#[test]
fn a_killed_rank_ends_the_run_and_it_is_resumed_to_the_same_bits() {
    let ground = ground(30);
    let folder = ground.path();
    let whole = ended(ranks(folder, 2, &["run", "train.yaml", "-p", "out=whole"]));
    whole.into_iter().for_each(|rank| drop(rank.exits(0)));

    let arguments = ["run", "train.yaml", "-p", "out=again", "--progress", "json"];
    let mut started = ranks(folder, 2, &arguments);
    // Checkpoints are 50 steps apart, so it begins again: from the same weights to the same weights.
    let mut lines = BufReader::new(started[0].stderr.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("\"steps\"") && line.contains("\"done\":5")).expect("it tells of its steps");
    started[1].kill().unwrap();
    let rest: Vec<String> = lines.collect();
    let ends = ended(started);
    assert!(!folder.join("again").exists());
    assert_eq!(ends[0].code, Some(4), "the machine's fault: {}", rest.join("\n"));
    let said = rest.join("\n");
    assert!(said.contains("rank 1 (host ") && said.contains("ended without a word"), "{said}");

    let resumed = ended(ranks(folder, 2, &["runs", "resume", "latest"]));
    resumed.into_iter().for_each(|rank| drop(rank.exits(0)));
    assert!(weights(&folder.join("again")) == weights(&folder.join("whole")));
}

#[test]
fn ranks_that_do_not_fit_and_work_for_one_alone_are_refused() {
    let ground = ground(2);
    let folder = ground.path();
    let patient = |_: usize| vec![("SKYSENSE_JOIN_SECONDS".to_string(), "60".to_string())];
    // Another param is another workflow.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let rank = |rank: usize, steps: &str| {
        let mut command = skysense(folder, &["run", "train.yaml", "-p", steps]);
        command.envs([("RANK", rank.to_string()), ("WORLD_SIZE", "2".into()), ("MASTER_PORT", port.clone())]);
        command.env("MASTER_ADDR", "localhost").envs(patient(rank));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for done in ended(vec![rank(0, "steps=2"), rank(1, "steps=3")]) {
        assert_eq!(done.code, Some(4), "{}", done.stderr);
        assert!(done.stderr.contains("rank 1 (host ") && done.stderr.contains(" has "), "{}", done.stderr);
    }

    std::fs::write(
        folder.join("search.yaml"),
        "skysense: 1\nnodes:\n  scenes: {uses: stac.search, with: {href: scene/catalog.json, collections: [labels]}}\n",
    )
    .unwrap();
    let done = run(folder, &["run", "search.yaml", "--processes", "2"]).exits(4);
    assert!(done.stderr.contains("none of its nodes is done by several"), "{}", done.stderr);
    run(folder, &["run", "search.yaml", "--processes", "1"]).exits(0);
    let mut inside = skysense(folder, &["run", "train.yaml", "--processes", "2"]);
    inside.envs([("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "h"), ("MASTER_PORT", "1")]);
    let done = Done::from(inside.output().unwrap()).exits(2);
    assert!(done.stderr.contains("rank 0 of 2") && done.stderr.contains("leave --processes out"), "{}", done.stderr);
    let mut half = skysense(folder, &["run", "train.yaml"]);
    let done = Done::from(half.env("RANK", "0").output().unwrap()).exits(2);
    assert!(done.stderr.contains("WORLD_SIZE is not set"), "{}", done.stderr);
}
