//! The project's own workflows and references, with the real plugin: every YAML file of the repository is linted,
//! every workflow is checked, drawn and planned, and all that run in moments are run.
//!
//! A new file is found by walking the folders. A param that has no default and that this test does not know is the
//! only reason to touch it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod command;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use command::Done;
use serde_json::{Value, json};

/// Workflows that take the model for all modalities, with chips of 16 pixels; the others take the one that maps.
const ALL_MODALITIES: &[&str] = &["examples/real/treesat.yaml", "workflows/library/features.yaml"];

/// Workflows whose truth the plain scene does not have.
const QUANTITIES: &[&str] = &["examples/finetune-change/workflow.yaml", "examples/finetune-regression/workflow.yaml"];

/// What trains on whole real images, run by `./x quickstart --real`, and the paper's run: planned here.
const PLANNED_ONLY: &[&str] =
    &["examples/real/slovenia.yaml", "examples/real/terramesh.yaml", "examples/pretrain/paper.yaml"];

/// The workflows that train the models that others need: they come first.
const TRAINING: &[(&str, &str)] =
    &[("examples/quickstart/map.yaml", "map-model"), ("examples/quickstart/features.yaml", "features-model")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

/// Where this test writes; cargo's own folder for that.
fn work(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("project").join(name)
}

/// A library that was built beside the binary.
fn built(name: &str) -> PathBuf {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = Path::new(env!("CARGO_BIN_EXE_skysense")).with_file_name(format!("{prefix}{name}{suffix}"));
    assert!(library.exists(), "{} is not there: `cargo build --workspace --lib` builds it", library.display());
    library
}

/// The binary where it was built, beside the plugin.
fn skysense(arguments: &[&str]) -> Output {
    built("skysense_plugin");
    let mut command = Command::new(env!("CARGO_BIN_EXE_skysense"));
    command.args(arguments).env_remove("SKYSENSE_PLUGIN_PATH").env("XDG_DATA_HOME", work("data"));
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

/// The same with the two example plugins, as a user has them.
fn with_examples(arguments: &[&str]) -> Done {
    static C: OnceLock<PathBuf> = OnceLock::new();
    let c = C.get_or_init(|| {
        std::fs::create_dir_all(work("")).expect("a folder");
        let library = work("libcount.so");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-O2", "-shared", "-fPIC", "-I", "plugin/abi/include", "examples/plugin-c/count.c"]);
        assert!(cc.arg("-o").arg(&library).current_dir(root()).status().expect("a C compiler").success());
        library
    });
    let plugins = std::env::join_paths([built("ndvi_plugin"), c.clone()]).expect("paths");
    let mut command = Command::new(env!("CARGO_BIN_EXE_skysense"));
    command.args(arguments).env("SKYSENSE_PLUGIN_PATH", plugins).env("XDG_DATA_HOME", work("data"));
    command.env("SKYSENSE_RUNS", work("runs")).stdin(Stdio::null());
    Done::from(command.output().expect("the binary starts"))
}

/// Every YAML file of the repository, as a path from its root.
fn yaml_files() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What builds and runs leave behind is not part of the repository.
            let left_behind = path.join("CACHEDIR.TAG").exists() || ["target", "out"].contains(&name.as_str());
            if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && !left_behind {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    let root = root();
    let mut found: Vec<String> =
        found.iter().map(|path| path.strip_prefix(&root).expect("below it").display().to_string()).collect();
    found.sort();
    found
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn is_workflow(file: &str) -> bool {
    text(file).lines().any(|line| line.starts_with("skysense:"))
}

fn workflows() -> Vec<String> {
    yaml_files().into_iter().filter(|file| is_workflow(file)).collect()
}

#[test]
fn every_yaml_file_is_linted() {
    let files = yaml_files();
    for place in ["workflows/library/", "examples/quickstart/", "examples/real/", "stac/catalog/sensors/"] {
        assert!(files.iter().any(|file| file.starts_with(place)), "nothing found in {place}: is the walk broken?");
    }
    for file in files {
        let parsed: Result<Value, _> = serde_yaml::from_str(&text(&file));
        assert!(parsed.as_ref().is_ok_and(Value::is_object), "{file}: {parsed:?}");
        // An editor is told where the schema lies: there it has to be.
        for schema in text(&file).lines().filter_map(|line| line.split("$schema=").nth(1)) {
            let lies = root().join(&file).with_file_name(schema.trim());
            assert!(schema.contains("://") || lies.exists(), "{file}: {schema} is not there");
        }
        if !is_workflow(&file) {
            assert!(file.starts_with("stac/catalog/sensors/"), "{file} is neither a workflow nor a sensor: test it");
            continue;
        }
        let path = root().join(&file).display().to_string();
        with_examples(&["check", &path]).exits(0);
        with_examples(&["fmt", "--check", &path]).exits(0);
        let graph = with_examples(&["graph", &path]).exits(0);
        assert!(graph.stdout.starts_with("flowchart LR\n"), "{file}: {}", graph.stdout);
    }
}

/// A simulated scene, and models trained on it for moments: not to be good, to be there.
struct Ground {
    catalog: String,
    /// Of a scene with the year after, in which fields were built over, and with the share of green ground.
    quantities: String,
    hr_bbox: String,
}

fn ground() -> Ground {
    let scene = work("scene").display().to_string();
    let simulate =
        ["simulate", "scene", "--out", &scene, "--size", "64", "--hr", "32", "--objects", "12", "--replace", "--json"];
    let more = ["--dates", "4", "--radar-dates", "4", "--cloud", "0.05", "--season", "100,280", "--year", "2021"];
    let report = with_examples(&[&simulate[..], &more].concat()).exits(0).json();
    let numbers: Vec<String> = report["hr_bbox"].as_array().expect("a box").iter().map(Value::to_string).collect();
    let later = work("later").display().to_string();
    let simulate = ["simulate", "scene", "--out", &later, "--size", "64", "--replace", "--json", "--changed", "0.4"];
    let more = ["--cover", "--dates", "3", "--radar-dates", "0", "--cloud", "0.05", "--year", "2021"];
    with_examples(&[&simulate[..], &more].concat()).exits(0);
    let quantities = format!("{later}/catalog.json");
    Ground { catalog: format!("{scene}/catalog.json"), quantities, hr_bbox: numbers.join(",") }
}

/// The catalog of real images, where there is one.
fn real_catalog() -> Option<String> {
    let catalog = Path::new(&std::env::var_os("SKYSENSE_REAL_DATA")?).join("stac/catalog.json");
    catalog.exists().then(|| catalog.display().to_string())
}

/// `-p` for each param of a workflow that needs a value of this test; `None` if it lives on images that are not here.
fn params(file: &str, ground: &Ground) -> Option<Vec<String>> {
    let parsed: Value = serde_yaml::from_str(&text(file)).expect("linted above");
    let real = file.starts_with("examples/real/") && parsed["params"]["api"].is_null();
    let out = work("out").join(file.replace('/', "-")).display().to_string();
    let mut values = Vec::new();
    for (name, param) in parsed["params"].as_object().into_iter().flatten() {
        let value = match name.as_str() {
            "catalog" if real => real_catalog()?,
            "catalog" if QUANTITIES.contains(&file) => ground.quantities.clone(),
            // A search in an API is a search in a catalog to all but `stac.search`, which has tests of its own.
            "catalog" | "api" => ground.catalog.clone(),
            "bbox" if !real => ground.hr_bbox.clone(),
            "model" | "teacher" => {
                work(if ALL_MODALITIES.contains(&file) { "features-model" } else { "map-model" }).display().to_string()
            }
            "package" => {
                let named = TRAINING.iter().find(|(of, _)| *of == file).map_or("model", |(_, model)| *model);
                work(named).display().to_string()
            }
            "out" => out.clone(),
            "features" => format!("{out}-features"),
            "scores" => format!("{out}-scores.json"),
            "report" => format!("{out}.html"),
            "labels" => "labels".to_owned(),
            "seconds" => "2".to_owned(),
            "steps" => "3".to_owned(),
            _ if !param["default"].is_null() => continue,
            _ => panic!("{file}: this test knows no value for the param `{name}`"),
        };
        values.extend(["-p".to_owned(), format!("{name}={value}")]);
    }
    Some(values)
}

#[test]
fn every_workflow_is_planned_and_run() {
    std::fs::remove_dir_all(work("out")).unwrap_or_default();
    let ground = ground();
    let mut planned = 0;
    let first = |file: &String| TRAINING.iter().position(|(of, _)| of == file).unwrap_or(TRAINING.len());
    let mut files = workflows();
    files.sort_by_key(first);
    for file in files {
        let Some(values) = params(&file, &ground) else {
            eprintln!("{file}: checked only, SKYSENSE_REAL_DATA is not set");
            continue;
        };
        let path = root().join(&file).display().to_string();
        let with = |command: &str, more: &[&str]| {
            let values = values.iter().map(String::as_str);
            let arguments: Vec<&str> = [command, &path].into_iter().chain(values).chain(more.iter().copied()).collect();
            let begun = std::time::Instant::now();
            let done = with_examples(&arguments);
            eprintln!("{file}: {command} took {:.1} s", begun.elapsed().as_secs_f64());
            done
        };
        let plan = with("plan", &["--json"]).exits(0).json();
        for node in plan["nodes"].as_array().expect("nodes") {
            assert!(
                !node["columns"].as_array().expect("columns").is_empty(),
                "{file}: {} has no columns",
                node["name"]
            );
        }
        planned += 1;
        if PLANNED_ONLY.contains(&file.as_str()) {
            continue;
        }
        let report = with("run", &["--json"]).exits(0).json();
        assert!(["done", "partial"].iter().any(|outcome| report["outcome"] == *outcome), "{file}: {report}");
        assert!(report["memory"]["peak"].as_u64() <= report["memory"]["budget"].as_u64(), "{file}: {report}");
        for output in report["outputs"].as_array().expect("outputs") {
            let href = output["href"].as_str().expect("a href");
            assert!(Path::new(href).exists(), "{file}: {href} is not there");
        }
    }
    assert!(planned >= 6, "only {planned} workflows were planned");
    // What a document shows must do for whoever copies it, with the model that the quickstart trains.
    for (name, snippet) in snippets() {
        let path = work(&name).display().to_string();
        std::fs::write(&path, snippet).expect("a file");
        let (catalog, model) =
            (format!("catalog={}", ground.catalog), format!("model={}", work("map-model").display()));
        let plan = with_examples(&["plan", &path, "-p", &catalog, "-p", &model, "--json"]).exits(0).json();
        assert!(plan["nodes"].as_array().is_some_and(|nodes| nodes.len() > 3), "{name}: {plan}");
    }
}

#[test]
fn the_plan_of_the_papers_run_says_what_it_takes_and_what_that_rests_on() {
    let file = root().join("examples/pretrain/paper.yaml").display().to_string();
    let plan = with_examples(&["plan", &file]).exits(0).stdout;
    let cost = |name: &str| {
        let line = plan.lines().find(|line| line.trim_start().starts_with(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("no {name} in {plan}")).trim().to_owned()
    };
    assert!(cost("training_chips").contains("21") && cost("training_steps").contains("875"), "{plan}");
    for name in ["sample_storage", "places_read", "gradients_sent", "device_memory", "device_days", "wall_days"] {
        assert!(cost(name).chars().any(|letter| ('1'..='9').contains(&letter)), "{plan}");
    }
    for assumption in
        ["120 TFLOP/s a device, 80 devices", "3 places a device, in 3 rounds", "of gradients a step", "MiB a place"]
    {
        assert!(plan.contains(assumption), "{assumption}: {plan}");
    }
    let refused = with_examples(&["run", &file]).exits(1);
    assert!(refused.stderr.contains("for a plan alone"), "{}", refused.stderr);
}

/// The workflows that documents show, with a name for each.
fn snippets() -> Vec<(String, String)> {
    let documents = std::fs::read_dir(root().join("docs")).expect("the documents").map(|entry| {
        let name = entry.expect("an entry").file_name();
        format!("docs/{}", name.to_string_lossy())
    });
    let documents =
        documents.filter(|name| name.ends_with(".md")).chain(["README.md".into(), "CONTRIBUTING.md".into()]);
    let mut found = Vec::new();
    for document in documents {
        let text = text(&document);
        let fences = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        // Examples of single nodes, which `every_example_of_a_node_is_right` checks, are no workflows.
        let workflows = fences.filter(|snippet| snippet.lines().any(|line| line.starts_with("skysense:")));
        let name = |at| format!("{}-{at}.yaml", document.replace('/', "-"));
        found.extend(workflows.enumerate().map(|(at, snippet)| (name(at), format!("{snippet}\n"))));
    }
    for document in ["README.md", "docs-WORKFLOWS.md"] {
        assert!(found.iter().any(|(name, _)| name.starts_with(document)), "no workflow is found in {document}");
    }
    found
}

#[test]
fn every_workflow_of_a_document_is_right() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, snippet) in snippets() {
        let file = folder.path().join(&name);
        std::fs::write(&file, snippet).expect("a file");
        let done = with_examples(&["check", &file.display().to_string()]);
        assert_eq!(done.code, Some(0), "{name}: {}", done.stderr);
    }
}

#[test]
fn what_init_writes_is_a_workflow_of_the_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = ["map", "features"].map(|task| (task, format!("workflows/library/{task}.yaml")));
    let pixels = ["segmentation", "segmentation-hr", "regression", "change"];
    let others = ["classification", "multi-label", "detection", "oriented-detection"];
    let examples =
        [pixels, others].concat().into_iter().map(|task| (task, format!("examples/finetune-{task}/workflow.yaml")));
    for (task, source) in library.into_iter().chain(examples) {
        let file = folder.path().join(format!("{task}.yaml")).display().to_string();
        assert!(skysense(&["init", task, "--output", &file]).status.success());
        assert_eq!(std::fs::read_to_string(&file).expect("written"), text(&source));
    }
}

#[test]
fn the_readmes_of_the_example_plugins_show_what_the_command_prints() {
    for (folder, node) in [("plugin-c", "table.count"), ("plugin-rust", "index.ndvi")] {
        let page = with_examples(&["nodes", node]).exits(0).stdout;
        let readme = text(&format!("examples/{folder}/README.md"));
        assert!(readme.contains(page.trim()), "examples/{folder}/README.md lacks:\n{page}");
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
    let nodes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    for node in nodes["nodes"].as_array().expect("nodes") {
        let (name, example) = (node["name"].as_str().expect("a name"), node["example"].as_str().unwrap_or_default());
        assert!(!example.trim().is_empty(), "{name} has no example");
        let indented: String = example.lines().map(|line| format!("  {line}\n")).collect();
        let file = folder.path().join("example.yaml");
        std::fs::write(&file, format!("skysense: 1\nnodes:\n{indented}")).expect("a file");
        let output = skysense(&["check", "--json", &file.display().to_string()]);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        // An example shows one node, so the nodes that it reads are not there.
        let faults = answer["files"][0]["faults"].as_array().cloned().unwrap_or_default();
        let real: Vec<_> = faults.iter().filter(|fault| fault["code"] != json!("unknown-node")).collect();
        assert!(real.is_empty(), "{name}: {real:?}");
    }
}
