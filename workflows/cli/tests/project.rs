//! The project's own workflows and references, checked with the SkySense plugin.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The binary where it was built, beside the plugin.
fn skysense(arguments: &[&str]) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_skysense"));
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let plugin = binary.with_file_name(format!("{prefix}skysense_plugin{suffix}"));
    assert!(plugin.exists(), "{} is not there: `cargo build -p skysense-plugin` builds it", plugin.display());
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(binary);
    command.args(arguments).env_remove("SKYSENSE_PLUGIN_PATH").env("XDG_DATA_HOME", folder.path());
    command.output().expect("the binary starts")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

/// Workflow files of a folder, or of the folders in it.
fn workflows(folder: &str, nested: bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml");
    let mut found: Vec<PathBuf> = if nested {
        paths
            .filter_map(|path| Some(std::fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path()))))
            .flatten()
            .filter(is_yaml)
            .collect()
    } else {
        paths.filter(is_yaml).collect()
    };
    found.retain(|path| {
        std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.starts_with("skysense:")))
    });
    found.sort();
    found
}

/// Whether all nodes of a workflow come from the plugin of the project; examples of plugins bring their own.
fn is_ours(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let uses = text.split("uses:").skip(1).filter_map(|rest| rest.split([',', '}', '\n', '#']).next());
    uses.map(str::trim).all(|name| ["stac.", "raster.", "skysense."].iter().any(|area| name.starts_with(area)))
}

#[test]
fn every_workflow_of_the_project_is_right_and_canonical() {
    let all = [workflows("workflows/library", false), workflows("examples", true)].concat();
    let ours: Vec<&PathBuf> = all.iter().filter(|path| is_ours(path)).collect();
    eprintln!("checking {} workflows of {}", ours.len(), all.len());
    for path in ours {
        let output = skysense(&["check", &path.display().to_string()]);
        assert!(output.status.success(), "{}:\n{}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
    for path in &all {
        let output = skysense(&["fmt", "--check", &path.display().to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_init_writes_passes_check() {
    let folder = tempfile::tempdir().expect("a folder");
    for task in ["map", "features"] {
        let file = folder.path().join(format!("{task}.yaml")).display().to_string();
        assert!(skysense(&["init", task, "--output", &file]).status.success());
        let output = skysense(&["check", &file]);
        assert!(output.status.success(), "{task}:\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn generated_references_are_up_to_date() {
    let output = skysense(&["docs", "--check", &root().display().to_string()]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_example_of_a_node_is_right() {
    let output = skysense(&["nodes", "--json"]);
    let nodes: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    for node in nodes["nodes"].as_array().expect("nodes") {
        let (name, example) = (node["name"].as_str().expect("a name"), node["example"].as_str().unwrap_or_default());
        assert!(!example.trim().is_empty(), "{name} has no example");
        let indented: String = example.lines().map(|line| format!("  {line}\n")).collect();
        let file = folder.path().join("example.yaml");
        std::fs::write(&file, format!("skysense: 1\nnodes:\n{indented}")).expect("a file");
        let output = skysense(&["check", "--json", &file.display().to_string()]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        // An example shows one node, so the nodes that it reads are not there.
        let faults = answer["files"][0]["faults"].as_array().cloned().unwrap_or_default();
        let real: Vec<_> = faults.iter().filter(|fault| fault["code"] != "unknown-node").collect();
        assert!(real.is_empty(), "{name}: {real:?}");
    }
}
