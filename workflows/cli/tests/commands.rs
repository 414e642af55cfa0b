//! Every subcommand as a user types it: what goes to stdout, what to stderr, and the exit code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod command;

use command::Bench;
use serde_json::{Value, json};

#[test]
fn run_prints_hrefs_and_with_json_one_object() {
    let bench = Bench::new();
    let done = bench.run(&["run", "w.yaml"]).exits(0);
    assert_eq!(done.stdout, format!("{}\n", bench.path("sum.txt").canonicalize().expect("it was written").display()));
    assert!(done.stderr.contains("left out: sum S2B: no grid"), "{}", done.stderr);
    assert_eq!(bench.read("sum.txt"), "10");

    let report = bench.run(&["run", "w.yaml", "-p", "rows=10", "-p", "out=other.txt", "--json"]).exits(0).json();
    assert_eq!(bench.read("other.txt"), "55");
    assert_eq!(report["outcome"], "partial");
    assert_eq!(report["counts"]["numbers.rows"], 10);
    assert_eq!(report["skipped"][0]["item"], "S2B");
    assert_eq!(report["outputs"][0]["role"], "data");
    let file = report["report"].as_str().expect("a file");
    let stored: Value = serde_json::from_str(&bench.read(file)).expect("a report");
    assert_eq!(stored["run"], report["run"]);
}

#[test]
fn a_node_that_fails_tells_where_and_what_to_do() {
    let bench = Bench::new();
    bench.write("f.yaml", "skysense: 1\nnodes: {n: {uses: test.count, with: {rows: 3, fail_at: 2}}}\n");
    let done = bench.run(&["run", "f.yaml"]).exits(3);
    assert_eq!(done.stdout, "");
    for part in ["error: the file ends early", "item S2A", "caused by: only 3 bytes are there", "hint: fetch it again"]
    {
        assert!(done.stderr.contains(part), "{part} is missing in:\n{}", done.stderr);
    }
    let report = bench.run(&["run", "f.yaml", "--json"]).exits(3).json();
    assert_eq!((&report["outcome"], &report["error"]["code"]), (&json!("failed"), &json!("read.truncated")));
}

#[test]
fn faults_of_the_file_and_of_a_plan_have_lines() {
    let bench = Bench::new();
    bench.write("f.yaml", "skysense: 1\nnodes:\n  n: {uses: test.count, with: {row: 3}}\n  m: {uses: test.cuont}\n");
    for command in ["run", "plan", "check"] {
        let done = bench.run(&[command, "f.yaml"]).exits(1);
        assert_eq!(done.stdout, "", "{command}");
        for part in ["f.yaml:3:32", "did you mean `rows`?", "f.yaml:4:13", "did you mean `test.count`?", "3 mistakes"] {
            assert!(done.stderr.contains(part), "{command}: {part} is missing in:\n{}", done.stderr);
        }
    }
    let faults = bench.run(&["plan", "f.yaml", "--json"]).exits(1).json();
    assert_eq!(faults["faults"].as_array().map(Vec::len), Some(3));
    assert_eq!(faults["faults"][0]["line"], 3);

    bench.write("p.yaml", "skysense: 1\nnodes:\n  n: {uses: test.count, with: {rows: 2000000}}\n");
    let done = bench.run(&["plan", "p.yaml"]).exits(1);
    assert!(done.stderr.contains("error: too many rows\n  --> p.yaml:3:38"), "{}", done.stderr);
}

#[test]
fn check_reports_each_file() {
    let bench = Bench::new();
    bench.write("f.yaml", "skysense: 1\nnodes: {n: {uses: test.count, with: {rows: 0}}}\n");
    let done = bench.run(&["check", "w.yaml", "f.yaml", "none.yaml"]).exits(3);
    assert_eq!(done.stdout, "w.yaml: ok, 2 nodes\n");
    let answer = bench.run(&["check", "w.yaml", "f.yaml", "--json"]).exits(1).json();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["files"][0]["ok"], true);
    assert_eq!(answer["files"][1]["faults"][0]["code"], "setting");
    bench.run(&["check", "w.yaml"]).exits(0);
}

#[test]
fn check_tells_params_and_what_they_fill() {
    let bench = Bench::new();
    bench.write(
        "f.yaml",
        "skysense: 1\nname: counting\ndoc: counts\nparams:\n  rows: {type: integer, default: 3, min: 1, max: 9, doc: how many}\n  \
         kind: {type: enum, values: [a, b]}\nnodes: {n: {uses: test.count, with: {rows: $rows}}}\n",
    );
    let file = bench.run(&["check", "f.yaml", "--json"]).exits(0).json()["files"][0].clone();
    assert_eq!((&file["name"], &file["doc"]), (&json!("counting"), &json!("counts")));
    let rows = json!({
        "name": "rows", "type": "integer", "default": 3, "doc": "how many", "min": 1.0, "max": 9.0, "values": [],
        "fills": [{"node": "n", "uses": "test.count", "pointer": "/rows"}],
    });
    assert_eq!(file["params"][0], rows);
    assert_eq!((&file["params"][1]["values"], &file["params"][1]["default"]), (&json!(["a", "b"]), &Value::Null));
}

#[test]
fn the_qgis_plugin_is_put_in_place_packed_and_taken_away() {
    let bench = Bench::new();
    let done = bench.run(&["qgis", "install", "--to", "plugins"]).exits(0);
    assert!(done.stdout.contains("undo: skysense qgis uninstall --to plugins"), "{}", done.stdout);
    assert!(bench.read("plugins/skysense/metadata.txt").contains("hasProcessingProvider=yes"));
    let installed: Value = serde_json::from_str(&bench.read("plugins/skysense/installed.json")).unwrap();
    assert!(installed["binary"].as_str().is_some_and(|path| path.ends_with("skysense")), "{installed}");
    // Again over what is there: nothing of the old one stays.
    bench.write("plugins/skysense/old.py", "");
    assert_eq!(bench.run(&["qgis", "install", "--to", "plugins", "--json"]).exits(0).json()["replaced"], true);
    assert!(!bench.path("plugins/skysense/old.py").exists());
    let done = bench.run(&["qgis", "uninstall", "--to", "plugins"]).exits(0);
    assert!(done.stdout.contains("undo: skysense qgis install --to plugins"), "{}", done.stdout);
    assert_eq!(std::fs::read_dir(bench.path("plugins")).unwrap().count(), 0);
    bench.run(&["qgis", "uninstall", "--to", "plugins"]).exits(3);

    std::fs::create_dir_all(bench.path("plugins/skysense")).unwrap();
    bench.write("plugins/skysense/metadata.txt", "name=Other\n");
    for command in ["install", "uninstall"] {
        let done = bench.run(&["qgis", command, "--to", "plugins"]).exits(3);
        assert!(done.stderr.contains("is not this plugin") || done.stderr.contains("and is not"), "{}", done.stderr);
    }
    assert_eq!(bench.read("plugins/skysense/metadata.txt"), "name=Other\n");

    let mut command = bench.command(&["qgis", "install"]);
    let done =
        command.env_remove("XDG_DATA_HOME").env("QGIS_CUSTOM_CONFIG_PATH", bench.path("config")).output().unwrap();
    assert!(done.status.success());
    assert!(bench.path("config/profiles/default/python/plugins/skysense/__init__.py").exists());

    let packed = bench.run(&["qgis", "zip", "-o", "p.zip", "--json"]).exits(0).json();
    let names = std::process::Command::new("python3")
        .args(["-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(*z.namelist(), sep='\\n')"])
        .arg(bench.path("p.zip"))
        .output();
    // Python is what QGIS reads the archive with; a machine without it has no QGIS.
    if let Ok(names) = names {
        let names = String::from_utf8(names.stdout).unwrap();
        assert_eq!(json!(names.lines().count()), packed["files"]);
        assert!(names.lines().all(|name| name.starts_with("skysense/")), "{names}");
    }
    bench.run(&["qgis", "zip", "-o", "p.zip"]).exits(3);
    bench.run(&["qgis", "zip", "-o", "p.zip", "--force"]).exits(0);
}

#[test]
fn plan_says_what_a_run_would_do() {
    let bench = Bench::new();
    let done = bench.run(&["plan", "w.yaml", "-p", "rows=7"]).exits(0);
    assert!(done.stdout.contains("numbers: test.count") && done.stdout.contains("rows: 7"), "{}", done.stdout);
    assert!(bench.run(&["plan", "w.yaml", "--json"]).exits(0).json().is_object());
    let done = bench.run(&["plan", "w.yaml", "--memory", "1MiB"]).exits(4);
    assert!(done.stderr.contains("is too small for this workflow"), "{}", done.stderr);
    assert!(!bench.path(".skysense").exists(), "a plan leaves nothing behind");
}

#[test]
fn usage_is_2_and_data_is_3() {
    let bench = Bench::new();
    for arguments in [
        &["run"][..],
        &["frobnicate"],
        &["run", "w.yaml", "-p", "rows"],
        &["run", "w.yaml", "--memory", "much"],
        &["run", "w.yaml", "--threads", "0"],
        &["nodes", "test.cuont"],
        &["tool", "verify.item", "item"],
        &[],
    ] {
        let done = bench.run(arguments).exits(2);
        assert_eq!(done.stdout, "", "{arguments:?}");
        assert!(!done.stderr.is_empty());
    }
    for arguments in [&["run", "none.yaml"][..], &["check", "none.yaml"], &["fmt", "."], &["runs", "show", "none"]] {
        let done = bench.run(arguments).exits(3);
        assert!(done.stderr.starts_with("error: "), "{arguments:?}: {}", done.stderr);
    }
    let done = bench.run(&["run", "w.yaml", "-p", "rows=many"]).exits(1);
    assert!(done.stderr.contains("a whole number of at least 1"), "{}", done.stderr);
    assert!(!done.stderr.contains("has no value") && !done.stderr.contains("mistakes"), "{}", done.stderr);
    let done = bench.run(&["run", "--jsn", "w.yaml", "--json"]).exits(2).json();
    assert_eq!((&done["exit"], &done["error"]["code"]), (&json!(2), &json!("usage")));
    let help = bench.run(&["--help"]).exits(0);
    assert!(help.stdout.contains("simulate") && help.stderr.is_empty());
}

#[test]
fn every_command_answers_with_one_json_object() {
    let bench = Bench::new();
    bench.write("f.yaml", "skysense: 1\nnodes: {n: {uses: test.cuont}}\n");
    for (arguments, code) in [
        (&["check", "w.yaml"][..], 0),
        (&["plan", "w.yaml"], 0),
        (&["graph", "w.yaml"], 0),
        (&["fmt", "w.yaml"], 0),
        (&["nodes"], 0),
        (&["nodes", "test.sum"], 0),
        (&["schema"], 0),
        (&["init", "--output", "new.yaml"], 0),
        (&["run", "w.yaml"], 0),
        (&["runs", "list"], 0),
        (&["runs", "show"], 0),
        (&["tool"], 0),
        (&["doctor"], 4),
        (&["check", "f.yaml"], 1),
        (&["plan", "f.yaml"], 1),
        (&["graph", "f.yaml"], 1),
        (&["run", "f.yaml"], 1),
        (&["fmt", "none.yaml"], 3),
        (&["nodes", "test.sm"], 2),
        (&["init", "--output", "new.yaml"], 3),
        (&["runs", "resume"], 3),
        (&["runs", "show", "none"], 3),
        (&["tool", "none"], 4),
    ] {
        let done = bench.run(&[arguments, &["--json"]].concat()).exits(code);
        let answer = done.json();
        assert!(answer.is_object(), "{arguments:?}: {answer}");
        let told = answer["error"]["message"].is_string() || answer["faults"].is_array() || answer["ok"] == false;
        assert!(code == 0 || told, "{arguments:?}: {answer}");
    }
}

/// stderr, every line of which has to be a JSON object.
fn events(done: &command::Done) -> Vec<Value> {
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let events: Vec<Value> = done.stderr.lines().map(event).collect();
    assert!(events.iter().all(|event| event["event"].is_string()), "{}", done.stderr);
    events
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["event"].as_str()).collect()
}

#[test]
fn progress_is_json_lines_on_stderr_and_nothing_else() {
    let bench = Bench::new();
    bench.write("libskysense_broken.so", "no library");
    bench.write("p.yaml", "skysense: 1\nnodes: {n: {uses: test.count, with: {rows: 3, leaves_out: true}}}\n");
    let lines = |arguments: &[&str], code: i32| {
        let done = bench.run(&[arguments, &["--progress", "json", "-v"]].concat()).exits(code);
        (events(&done), done)
    };
    let (told, done) = lines(&["run", "p.yaml", "--json"], 0);
    let measured: Vec<&Value> = told.iter().filter(|event| event["event"] == "measures").collect();
    assert_eq!(measured.len(), 3, "{told:?}");
    let expected = json!({"loss": 0.5, "nothing": null});
    assert_eq!(
        (&measured[1]["step"], &measured[1]["steps"], &measured[1]["values"]),
        (&json!(2), &json!(3), &expected)
    );
    assert_eq!(done.json()["records"], json!([]), "numbers of steps are shown and not kept");
    let found = names(&told);
    for name in
        ["node-planning", "run-started", "node-started", "progress", "record", "log", "node-finished", "run-finished"]
    {
        assert!(found.contains(&name), "{name} is missing in {found:?}");
    }
    let refused = told.iter().find(|event| event["level"] == "warn").expect("the library that is none");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("libskysense_broken.so")), "{refused}");
    let planned = found.iter().position(|name| *name == "run-started").expect("seen above");
    for name in ["progress", "log", "record"] {
        assert!(found[..planned].contains(&name), "planning tells no {name}: {found:?}");
    }
    // Several lines of text on stderr become one line of JSON: summaries, faults, errors, usage.
    let (told, _) = lines(&["run", "w.yaml"], 0);
    assert!(told.iter().any(|event| event["event"] == "report" && event["outcome"] == "partial"), "{told:?}");
    let (told, _) = lines(&["plan", "p.yaml"], 0);
    assert!(names(&told).contains(&"record"), "{told:?}");
    bench.write("f.yaml", "skysense: 1\nnodes: {n: {uses: test.cuont}}\n");
    for (arguments, code) in
        [(&["run", "f.yaml"][..], 1), (&["check", "f.yaml"], 1), (&["run", "none.yaml"], 3), (&["run", "--jsn"], 2)]
    {
        let (told, _) = lines(arguments, code);
        let failed = told.iter().find(|event| event["event"] == "failed").expect("an event");
        assert_eq!(failed["exit"], code);
        assert!(failed["faults"].is_array() || failed["error"].is_object(), "{failed}");
    }
    assert_eq!(bench.run(&["run", "w.yaml"]).stderr.lines().filter(|line| line.starts_with('{')).count(), 0);
}

#[test]
fn the_last_step_of_what_trains_is_a_plain_line_where_there_is_no_terminal() {
    let bench = Bench::new();
    bench.write("p.yaml", "skysense: 1\nnodes: {n: {uses: test.count, with: {rows: 4}}}\n");
    let told = |mode: &str| bench.run(&["run", "p.yaml", "--progress", mode]).exits(0).stderr;
    for mode in ["auto", "plain"] {
        let lines = told(mode);
        let found: Vec<&str> = lines.lines().filter(|line| line.starts_with("n: step")).collect();
        assert_eq!(found.len(), 1, "{lines}");
        assert!(found[0].starts_with("n: step 4 of 4, loss 0.2500"), "{lines}");
    }
    assert!(!told("none").contains("step"));
    // Bars on something that is no terminal are drawn nowhere, and say nothing wrong.
    assert!(!told("bar").contains("panicked"));
}

#[test]
fn run_answers_in_one_shape_however_it_ends() {
    let bench = Bench::new();
    let workflow = |with: &str| format!("skysense: 1\nnodes: {{n: {{uses: test.count, with: {{{with}}}}}}}\n");
    for (with, code, outcome) in [
        ("rows: 3", 0, "done"),
        ("rows: 3, leaves_out: true", 0, "partial"),
        ("rows: 3, leaves_out: true, fail_at: 2", 3, "failed"),
        ("rows: 3, leaves_out: true, fail_at: 0", 3, "failed"),
        ("row: 3", 1, "failed"),
    ] {
        bench.write("f.yaml", &workflow(with));
        let answer = bench.run(&["run", "f.yaml", "--json"]).exits(code).json();
        assert_eq!((&answer["ok"], &answer["exit"]), (&json!(code == 0), &json!(code)), "{with}");
        assert_eq!(answer["outcome"], outcome, "{with}");
        for field in ["run", "outputs", "counts", "skipped", "report"] {
            assert!(answer.get(field).is_some(), "{with}: {field} is missing in {answer}");
        }
        assert_eq!(code != 0, answer["faults"].is_array() || answer["error"].is_object(), "{with}: {answer}");
        if with.contains("leaves_out") {
            let expected = json!({"node": "n", "item": "S2C", "asset": "B04", "reason": "the header is cut",
                "causes": ["3 bytes"], "hint": "fetch it again"});
            assert_eq!(answer["skipped"], json!([expected]), "{with}");
        }
    }
    let answer = bench.run(&["check", "f.yaml", "--json"]).exits(1).json();
    assert_eq!((&answer["ok"], &answer["exit"]), (&json!(false), &json!(1)));
}

#[test]
fn a_fault_of_a_plan_keeps_its_parts() {
    let bench = Bench::new();
    bench.write("f.yaml", "skysense: 1\nnodes: {n: {uses: test.count, with: {rows: 3, fail_at: 0}}}\n");
    let done = bench.run(&["plan", "f.yaml", "--json"]).exits(3);
    let fault = done.json()["faults"][0].clone();
    let expected = json!({"message": "cannot read the catalog", "causes": ["No such file"], "hint": "look for it",
        "where": {"item": "S2D"}, "line": 2, "node": "n", "pointer": "/rows"});
    for (name, value) in expected.as_object().expect("as written") {
        assert_eq!(&fault[name], value, "{name} in {fault}");
    }
    for part in
        ["error: cannot read the catalog (item S2D)\n", "\n  caused by: No such file\n", "\n  hint: look for it"]
    {
        assert!(done.stderr.contains(part), "{part} is missing in:\n{}", done.stderr);
    }
}

#[test]
fn credentials_in_addresses_reach_the_node_and_nothing_that_is_kept_or_shown() {
    let bench = Bench::new();
    let text = "skysense: 1
params: {from: {type: uri}, fail: {type: integer, default: 99}}
nodes: {n: {uses: test.count, with: {rows: 3, from: $from, fail_at: $fail}}}
";
    bench.write("c.yaml", text);
    let from = |token: &str| format!("from=https://user:geheim@host.test/catalog.json?v=1&sig={token}");
    let hash = |token: &str| {
        bench.run(&["check", "c.yaml", "--json", "-p", &from(token)]).exits(0).json()["files"][0]["hash"].clone()
    };
    assert_eq!(hash("geheim1"), hash("geheim2"), "a new token is no new workflow");
    let folder = |name: &str| {
        let mut found = String::new();
        let mut folders = vec![bench.path(".skysense")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.file_name().is_some_and(|found| (found == "private.json") == (name == "private.json")) {
                    found += &String::from_utf8_lossy(&std::fs::read(&entry).expect("a file"));
                }
            }
        }
        found
    };
    // Failed, so that what a resumed run needs is there.
    let failed = ["run", "c.yaml", "--json", "--progress", "json", "-vv", "-p", "fail=2", "-p", &from("geheim")];
    let done = bench.run(&failed).exits(3);
    let shown = bench.run(&["runs", "show", "--json"]).exits(0).stdout;
    let planned = bench.run(&["plan", "c.yaml", "--json", "-p", &from("geheim")]).exits(0).stdout;
    for (place, text) in
        [("run", &done.stdout), ("log", &done.stderr), ("show", &shown), ("plan", &planned), ("folder", &folder(""))]
    {
        assert!(!text.contains("geheim"), "{place} holds a credential: {text}");
    }
    assert!(done.stdout.contains("https://host.test/catalog.json?v=1"), "{}", done.stdout);
    // A resumed run has them: it fails as the first one did, and not because they were lost.
    assert!(folder("private.json").contains("geheim"), "a resumed run needs them");
    let again = bench.run(&["runs", "resume", "--json"]).exits(3).json();
    assert_eq!(again["error"]["code"], "read.truncated", "{again}");
    // What is done needs them no more.
    bench.run(&["run", "c.yaml", "-p", &from("geheim"), "--runs-dir", ".skysense/done"]).exits(0);
    let done = std::fs::read_dir(bench.path(".skysense/done")).expect("runs").next().expect("one").expect("an entry");
    assert!(!done.path().join("private.json").exists());
}

#[test]
fn settings_that_change_no_pixel_are_no_part_of_the_hash() {
    let bench = Bench::new();
    let hash = |with: &str| {
        bench.write("h.yaml", &format!("skysense: 1\nnodes: {{n: {{uses: test.count, with: {{{with}}}}}}}\n"));
        let report = bench.run(&["run", "h.yaml", "--json"]).exits(0).json();
        report["workflow"]["sha256"].as_str().expect("a hash").to_owned()
    };
    assert_eq!(hash("rows: 3"), hash("rows: 3, batch: 1"));
    assert_eq!(hash("rows: 3, batch: 5"), hash("rows: 3, batch: 1"));
    assert_ne!(hash("rows: 3"), hash("rows: 4"));
}

#[test]
fn nodes_schema_and_graph() {
    let bench = Bench::new();
    let list = bench.run(&["nodes"]).exits(0);
    assert_eq!(list.stdout, "test.count  Counts\ntest.item   Makes an item of items\ntest.sum    Adds up\n");
    let page = bench.run(&["nodes", "test.count"]).exits(0).stdout;
    assert!(
        page.starts_with("# test.count\n\nCounts.\n") && page.contains("| `rows` | whole number, from 1 | needed |"),
        "{page}"
    );
    assert_eq!(bench.run(&["nodes", "--json"]).exits(0).json()["nodes"][2]["name"], "test.sum");

    let schema = bench.run(&["schema", "--json"]).exits(0).json();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let workflow = |rows: Value| json!({"skysense": 1, "nodes": {"n": {"uses": "test.count", "with": {"rows": rows}}}});
    assert!(validator.is_valid(&workflow(json!(3))) && validator.is_valid(&workflow(json!("$rows"))));
    assert!(!validator.is_valid(&workflow(json!("3"))));
    let text = bench.run(&["schema"]).exits(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), schema);

    let graph = bench.run(&["graph", "w.yaml"]).exits(0).stdout;
    let expected = "flowchart LR
    n0[\"<b>numbers</b><br/>test.count\"]
    n1[\"<b>sum</b><br/>test.sum\"]
    n0 -- item --> n1
";
    assert_eq!(graph, expected);
}

#[test]
fn fmt_prints_checks_and_rewrites() {
    let bench = Bench::new();
    let text = "nodes:\n    n: {with: {rows: 3}, uses: test.count} # count\nskysense: 1\n";
    let canonical = "skysense: 1\nnodes:\n  n: {uses: test.count, with: {rows: 3}}  # count\n";
    bench.write("f.yaml", text);
    assert_eq!(bench.run(&["fmt", "f.yaml"]).exits(0).stdout, canonical);
    let done = bench.run(&["fmt", "f.yaml", "--check"]).exits(1);
    assert_eq!((done.stdout.as_str(), bench.read("f.yaml").as_str()), ("", text));
    assert_eq!(bench.run(&["fmt", "f.yaml", "--write"]).exits(0).stdout, "");
    assert_eq!(bench.read("f.yaml"), canonical);
    bench.run(&["fmt", "f.yaml", "--check"]).exits(0);
    bench.write("f.yaml", "a: [\n");
    bench.run(&["fmt", "f.yaml", "--write"]).exits(1);
    assert_eq!(bench.read("f.yaml"), "a: [\n");
}

#[test]
fn init_does_not_overwrite_unasked() {
    let bench = Bench::new();
    bench.run(&["init"]).exits(0);
    let text = bench.read("workflow.yaml");
    assert!(text.contains("skysense: 1") && text.contains('#'));
    bench.write("workflow.yaml", "mine");
    let done = bench.run(&["init"]).exits(3);
    assert!(done.stderr.contains("--force"), "{}", done.stderr);
    assert_eq!(bench.read("workflow.yaml"), "mine");
    bench.run(&["init", "features", "--force", "--output", "workflow.yaml"]).exits(0);
    assert!(bench.read("workflow.yaml").contains("skysense.embed"));
    assert_eq!(
        bench.run(&["fmt", "workflow.yaml"]).exits(0).stdout,
        bench.read("workflow.yaml"),
        "templates are canonical"
    );
    bench.run(&["fmt", "--check", "workflow.yaml"]).exits(0);
}

#[test]
fn flags_reach_the_tools_of_plugins() {
    let bench = Bench::new();
    let scene = [
        "simulate", "scene", "--out", "s", "--size", "64", "--dates", "3", "--seed", "7", "--zones", "2", "--hr", "16",
    ];
    let rest = ["--classes", "water,maize", "--center", "-3.5,48", "--season", "75,300", "--cloud", "0.1", "--json"];
    let answer = bench.run(&[&scene[..], &rest[..]].concat()).exits(0).json();
    let expected = json!({
        "out": "s", "size": 64, "dates": 3, "seed": 7, "zones": 2, "hr": 16, "classes": ["water", "maize"],
        "center": [-3.5, 48.0], "season": [75, 300], "cloud": 0.1,
    });
    assert_eq!(answer["arguments"], expected);
    assert_eq!(bench.run(&["verify", "item.json", "--json"]).exits(0).json()["arguments"]["item"], "item.json");
    bench.run(&["verify", "wrong.json"]).exits(1);
    assert_eq!(bench.run(&["model", "inspect", "m", "--json"]).exits(0).json()["arguments"]["model"], "m");
    for command in ["inspect", "verify"] {
        assert_eq!(bench.run(&["model", command, "m", "--json"]).exits(0).json()["arguments"]["model"], "m");
        bench.run(&["model", command, "wrong"]).exits(3);
    }
    assert_eq!(bench.run(&["model", "card", "m", "--json"]).exits(0).json()["arguments"], json!({"model": "m"}));
    let listed = bench.run(&["model", "list", "a", "b", "--json"]).exits(0).json();
    assert_eq!(listed["arguments"], json!({"folders": ["a", "b"]}));
    let export = ["model", "export", "m", "-o", "f", "--modules", "s2,fusion", "--chip-size", "32", "--json"];
    let expected =
        json!({"model": "m", "out": "f", "modules": ["s2", "fusion"], "chip_size": 32, "weights_only": false});
    assert_eq!(bench.run(&export).exits(0).json()["arguments"], expected);
    assert_eq!(bench.run(&["tool"]).exits(0).stdout.lines().count(), 7);
    let done = bench.run(&["tool", "no.such", "--json"]).exits(4);
    assert_eq!(done.json()["error"]["code"], "tool.unknown");
}

#[test]
fn doctor_says_what_is_there_and_why_something_is_not() {
    let bench = Bench::new();
    bench.write("libskysense_broken.so", "no library");
    let done = bench.run(&["doctor", "--json"]).exits(4);
    let answer = done.json();
    assert_eq!(answer["plugins"][0]["nodes"], json!(["test.count", "test.sum", "test.item"]));
    let refused = answer["not_used"].as_array().expect("a list");
    assert!(
        refused.iter().any(|one| one["path"].as_str().is_some_and(|path| path.ends_with("libskysense_broken.so"))),
        "{refused:?}"
    );
    let empty =
        bench.command(&["nodes"]).env("SKYSENSE_PLUGIN_PATH", bench.path("nowhere")).output().expect("it starts");
    assert_eq!(empty.status.code(), Some(4));
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let bench = Bench::new();
    let mut child = bench.command(&["schema"]).spawn().expect("it starts");
    drop(child.stdout.take());
    let done = command::Done::from(child.wait_with_output().expect("it ends"));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    // How a run ended is told by its exit code all the same.
    bench.write("f.yaml", "skysense: 1\nnodes: {n: {uses: test.count, with: {rows: 3, fail_at: 2}}}\n");
    let mut child = bench.command(&["run", "f.yaml", "--json"]).spawn().expect("it starts");
    drop(child.stdout.take());
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(3));
}
