//! What a good workflow resolves to: order, edges, values, paths, hash, secrets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod types;

use std::path::Path;

use serde_json::json;
use skysense_engine::{Bindings, Edge, Faults, Source, Spec, Surroundings};

const WORKFLOW: &str = "\
skysense: 1
name: crop map
params:
  catalog: {type: uri, default: data/catalog.json, doc: where the scenes are}
  model: {type: model}
  size: {type: integer, default: 128, min: 16}
nodes:
  map: {uses: stac.write, from: classes, with: {href: out/, collection: crop-map}}
  classes: {uses: skysense.segment, from: {chips: chips}, with: {model: $model}}
  chips: {uses: raster.chips, from: scenes, with: {size: $size, mask: clouds}}
  scenes: {uses: stac.search, with: {href: $catalog, token: \"${secret:TOKEN}\", datetime: \"${env:DATES}\"}}
triggers:
  new-scene: {uses: stac.poll, with: {nodes: [scenes], every: 15m}}
";

struct Fixed;

impl Surroundings for Fixed {
    fn env(&self, name: &str) -> Option<String> {
        (name == "DATES").then(|| "2021".to_owned())
    }

    fn secret(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "hunter2".to_owned())
    }
}

fn load(text: &str, params: &[(&str, &str)], require: bool) -> Result<Spec, Faults> {
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let bindings = Bindings { params: &params, folder: "/here".into(), surroundings: &Fixed, require };
    Spec::from_source(&Source::from_text("/w/flow.yaml", text), &types::types(), &bindings)
}

#[test]
fn nodes_are_ordered_and_edges_bound() {
    let spec = load(WORKFLOW, &[("model", "pkg")], true).expect("a good workflow");
    let names: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["scenes", "chips", "classes", "map"]);
    let edge = |port: &str, from: &str| vec![Edge { port: port.to_owned(), from: from.to_owned() }];
    assert_eq!(spec.node("chips").expect("a node").inputs, edge("items", "scenes"));
    assert_eq!(spec.node("map").expect("a node").inputs, edge("predictions", "classes"));
    assert_eq!(spec.name, "crop map");
    assert_eq!(spec.triggers[0].with, json!({"nodes": ["scenes"], "every": "15m"}));
    let mermaid = spec.mermaid(&types::types());
    assert!(mermaid.contains("n0 -- item --> n1"), "{mermaid}");
}

#[test]
fn a_long_chain_written_backwards_is_put_in_order() {
    let count = 500;
    let mut text = String::from("skysense: 1\nnodes:\n");
    for n in (1..count).rev() {
        text.push_str(&format!("  n{n}: {{uses: test.pass, from: n{}}}\n", n - 1));
    }
    text.push_str("  n0: {uses: test.pass}\n");
    let pass = json!({"name": "test.pass", "summary": "Passes", "output": "any", "settings": {},
        "inputs": [{"name": "in", "optional": true}]});
    let pass: skysense_engine::NodeType = serde_json::from_value(pass).expect("a node type");
    let bindings = Bindings { params: &[], folder: "/here".into(), surroundings: &Fixed, require: true };
    let source = Source::from_text("w.yaml", &text);
    let spec = Spec::from_source(&source, &[pass].into_iter().collect(), &bindings).expect("a good workflow");
    let names: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>());
}

#[test]
fn paths_start_at_the_file_and_those_of_the_command_line_where_one_stands() {
    let spec = load(WORKFLOW, &[("model", "pkg"), ("size", "64")], true).expect("a good workflow");
    let settings = |name: &str| spec.node(name).expect("a node").settings.clone();
    assert_eq!(settings("scenes")["href"], "/w/data/catalog.json");
    assert_eq!(settings("classes")["model"], "/here/pkg");
    assert_eq!(settings("map")["href"], "/w/out/");
    assert_eq!(settings("chips")["size"], 64);
    assert_eq!(spec.params["size"], 64);
    assert_eq!(spec.folder, Path::new("/w"));
}

#[test]
fn secrets_reach_the_node_and_nothing_else() {
    let spec = load(WORKFLOW, &[("model", "pkg")], true).expect("a good workflow");
    let scenes = spec.node("scenes").expect("a node");
    assert_eq!(scenes.settings["token"], "hunter2");
    assert_eq!(scenes.settings["datetime"], "2021");
    assert_eq!(scenes.public_settings["token"], "${secret:TOKEN}");
    assert!(!spec.canonical.to_string().contains("hunter2"));
    // A fault about a setting that is a secret shows its name and not its value.
    let broken = WORKFLOW.replace("datetime: \"${env:DATES}\"", "limit: \"${secret:TOKEN}\"");
    let faults = load(&broken, &[("model", "pkg")], true).expect_err("a limit is a number");
    assert!(faults.to_string().contains("found: \"${secret:TOKEN}\""), "{faults}");
    assert!(!faults.to_string().contains("hunter2"));
}

#[test]
fn the_hash_follows_what_changes_the_result() {
    let hash = |text: &str, params: &[(&str, &str)]| load(text, params, true).expect("a good workflow").hash;
    let plain = hash(WORKFLOW, &[("model", "pkg")]);
    assert_eq!(plain.len(), 64);
    // Order, comments, layout and names of files on this machine do not.
    let formatted = skysense_engine::format(&Source::from_text("w.yaml", WORKFLOW)).expect("canonical form");
    assert_eq!(hash(&formatted, &[("model", "/elsewhere/pkg")]), plain);
    assert_eq!(hash(&WORKFLOW.replace("name: crop map", "name: other # comment"), &[("model", "pkg")]), plain);
    assert_eq!(hash(WORKFLOW, &[("model", "pkg"), ("size", "128")]), plain);
    // Settings do, also through params.
    assert_ne!(hash(WORKFLOW, &[("model", "pkg"), ("size", "64")]), plain);
    assert_ne!(hash(WORKFLOW, &[("model", "pkg"), ("catalog", "https://example.com/c.json")]), plain);
    assert_ne!(hash(&WORKFLOW.replace("mask: clouds", "mask: none"), &[("model", "pkg")]), plain);
}

#[test]
fn check_lets_params_stay_open() {
    assert!(load(WORKFLOW, &[], false).is_ok());
    // What does not hang on the open param is still judged, in the same node too.
    let broken = WORKFLOW.replace("{href: out/, collection: crop-map}", "{collection: $model}");
    let codes: Vec<String> =
        load(&broken, &[], false).expect_err("href is missing").into_iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["missing-setting"]);
    let faults = load(WORKFLOW, &[], true).expect_err("the model has no value");
    assert_eq!(faults.iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>(), ["unset-param"]);
}

#[test]
fn faults_of_a_plan_find_their_line() {
    let spec = load(WORKFLOW, &[("model", "pkg")], true).expect("a good workflow");
    let fault = |field: &str| spec.fault("chips", &skysense_abi::Fault::new(field, "chips.size", "too large"));
    let place = fault("/size").place.expect("a place");
    assert_eq!((place.line, place.column, place.length), (10, 58, 5));
    let place = fault("/dates/max").place.expect("a place");
    assert_eq!((place.line, place.column), (10, 3));
}

#[test]
fn the_schema_takes_what_check_takes() {
    let schema = types::types().workflow_schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let good = json!({
        "skysense": 1,
        "params": {"size": {"type": "integer", "default": 128}},
        "nodes": {
            "scenes": {"uses": "stac.search", "with": {"href": "$catalog", "limit": "${env:LIMIT}"}},
            "chips": {"uses": "raster.chips", "from": "scenes", "with": {"size": "$size", "dates": {"max": "$n", "prefer": "clear"}}},
        },
    });
    assert!(
        validator.is_valid(&good),
        "{:?}",
        validator.iter_errors(&good).map(|error| error.to_string()).collect::<Vec<_>>()
    );
    for (pointer, bad) in [
        ("/nodes/chips/with/size", json!("128")),
        ("/nodes/chips/with/dates/prefer", json!("cheap")),
        ("/nodes/chips/uses", json!("raster.chip")),
        ("/nodes/scenes/with", json!({})),
        ("/params/size/type", json!("int")),
        ("/skysense", json!(2)),
    ] {
        let mut broken = good.clone();
        *broken.pointer_mut(pointer).expect("a value") = bad;
        assert!(!validator.is_valid(&broken), "{pointer}");
    }
}
