//! Who may know whom, as docs/ARCHITECTURE.md states: checked on what cargo resolves.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// What a crate must not reach through its dependencies (dev-dependencies left out).
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("skysense-address", &["*"]),
    ("skysense-grid", &["gdal", "ort", "burn", "stac", "arrow", "tokio", "skysense-*"]),
    // Metadata only: a catalog is never opened as a raster.
    ("skysense-catalog", &["gdal", "gdal-sys", "ort", "burn", "skysense-raster", "skysense-abi", "skysense-engine"]),
    ("skysense-raster", &["ort", "burn", "skysense-abi", "skysense-engine", "skysense-model", "skysense-infer"]),
    ("skysense-simulate", &["ort", "burn", "skysense-abi", "skysense-engine"]),
    ("skysense-layouts", &["ort", "burn", "stac", "skysense-abi", "skysense-engine", "skysense-catalog"]),
    ("skysense-contract", &["gdal", "gdal-sys", "ort", "burn", "stac", "arrow"]),
    ("skysense-kernels", &["gdal", "gdal-sys", "ort", "burn", "stac", "arrow", "skysense-*"]),
    // Training and inference do the same arithmetic between a detector's networks, so it knows neither.
    ("skysense-detect", &["gdal", "gdal-sys", "ort", "burn", "stac", "arrow", "tokio"]),
    // Metrics are plain arithmetic: whoever predicts can be scored.
    ("skysense-metric", &["gdal", "gdal-sys", "ort", "burn", "stac", "arrow", "tokio", "skysense-*"]),
    ("skysense-collective", &["gdal", "gdal-sys", "ort", "burn", "stac", "arrow", "tokio", "skysense-*"]),
    // A model knows no files of others, no STAC, no async runtime.
    (
        "skysense-model",
        &["gdal", "gdal-sys", "ort", "stac", "tokio", "arrow", "skysense-abi", "skysense-catalog", "skysense-raster"],
    ),
    ("skysense-baseline", &["gdal", "gdal-sys", "ort", "stac", "tokio", "arrow", "skysense-train"]),
    ("skysense-train", &["gdal", "gdal-sys", "ort", "stac", "skysense-abi", "skysense-engine", "skysense-catalog"]),
    ("skysense-abi", &["gdal", "gdal-sys", "ort", "burn", "stac", "skysense-*"]),
    ("skysense-edges", &["gdal", "gdal-sys", "ort", "burn", "skysense-engine"]),
    (
        "skysense-shards",
        &["gdal", "gdal-sys", "ort", "burn", "stac", "skysense-engine", "skysense-catalog", "skysense-raster"],
    ),
    ("skysense-maps", &["ort", "burn", "stac", "skysense-abi", "skysense-engine", "skysense-catalog"]),
    // Every program that uses GDAL loads it: what computes is loaded once a workflow is opened.
    (
        "skysense-gdal",
        &[
            "ort",
            "burn",
            "stac",
            "skysense-catalog",
            "skysense-infer",
            "skysense-model",
            "skysense-plugin",
            "skysense-train",
        ],
    ),
    ("skysense-infer", &["gdal", "gdal-sys", "burn", "stac", "skysense-engine"]),
    ("skysense-plugin", &["skysense-engine", "skysense-cli"]),
    // Engine and command know neither rasters nor models: everything geospatial comes through plugins.
    (
        "skysense-engine",
        &[
            "gdal",
            "gdal-sys",
            "ort",
            "burn",
            "stac",
            "skysense-grid",
            "skysense-catalog",
            "skysense-raster",
            "skysense-edges",
            "skysense-shards",
            "skysense-contract",
            "skysense-model",
            "skysense-infer",
            "skysense-plugin",
        ],
    ),
    // The service reads catalogs, which are JSON; pixels and models are the plugins' matter, for it and for the command.
    (
        "skysense-serve",
        &[
            "gdal",
            "gdal-sys",
            "ort",
            "burn",
            "stac",
            "skysense-raster",
            "skysense-edges",
            "skysense-shards",
            "skysense-contract",
            "skysense-model",
            "skysense-infer",
            "skysense-plugin",
            "skysense-cli",
        ],
    ),
    (
        "skysense-cli",
        &[
            "gdal",
            "gdal-sys",
            "ort",
            "burn",
            "stac",
            "skysense-raster",
            "skysense-edges",
            "skysense-shards",
            "skysense-contract",
            "skysense-model",
            "skysense-infer",
            "skysense-plugin",
            "skysense-simulate",
        ],
    ),
];

/// The only crates of ours that may name a library directly.
const OWNERS: &[(&str, &[&str])] = &[
    ("gdal", &["skysense-raster", "skysense-gdal"]),
    ("gdal-sys", &["skysense-raster", "skysense-gdal"]),
    ("ort", &["skysense-infer"]),
    ("burn", &["skysense-baseline", "skysense-model", "skysense-train"]),
    ("axum", &["skysense-serve"]),
    ("libloading", &["skysense-engine", "skysense-abi", "skysense-infer"]),
];

/// Packages by name, with the names of what they depend on, dev-dependencies left out.
struct Graph {
    dependencies: BTreeMap<String, BTreeSet<String>>,
    members: BTreeSet<String>,
}

fn graph() -> Graph {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // Of other platforms (browsers, say) libraries bring runtimes along that are never built here.
    let version = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo is there");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let arguments =
        ["metadata", "--format-version", "1", "--offline", "--filter-platform", host, "--manifest-path", manifest];
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let names: BTreeMap<String, String> =
        packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let mut dependencies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("a resolved graph") {
        let edges = dependencies.entry(names[node["id"].as_str().expect("an id")].clone()).or_default();
        for dependency in node["deps"].as_array().expect("dependencies") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                edges.insert(names[dependency["pkg"].as_str().expect("an id")].clone());
            }
        }
    }
    let members = metadata["workspace_members"].as_array().expect("members");
    Graph { dependencies, members: members.iter().map(|id| names[id.as_str().expect("an id")].clone()).collect() }
}

impl Graph {
    /// A way from one package to another, if there is one.
    fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways: Vec<Vec<String>> = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(way) = ways.pop() {
            for next in self.dependencies.get(way.last()?).into_iter().flatten() {
                let mut way = way.clone();
                way.push(next.clone());
                if matches(next, to) {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    ways.push(way);
                }
            }
        }
        None
    }
}

fn matches(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[test]
fn crates_know_only_whom_they_may_know() {
    let graph = graph();
    let mut broken = Vec::new();
    for (from, forbidden) in FORBIDDEN {
        assert!(graph.members.contains(*from), "{from} is no crate of the workspace: mend this table");
        let ways = forbidden.iter().filter_map(|to| graph.way(from, to));
        broken.extend(ways.map(|way| way.join(" -> ")));
    }
    assert!(broken.is_empty(), "borders are crossed:\n{}", broken.join("\n"));
}

#[test]
fn every_library_has_its_one_place() {
    let graph = graph();
    for (library, owners) in OWNERS {
        let users = graph.members.iter().filter(|member| graph.dependencies[*member].contains(*library));
        let strangers: Vec<_> = users.filter(|user| !owners.contains(&user.as_str())).collect();
        assert!(strangers.is_empty(), "{library} belongs to {owners:?}, and {strangers:?} name it");
    }
    assert!(graph.way("skysense-plugin", "gdal").is_some(), "the graph is read wrongly: the plugin needs GDAL");
}
