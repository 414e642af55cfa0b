//! Runs from end to end: results, errors, cancelling, budgets, resume, and the same bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use skysense_engine::runs::{self, Limits, RunStatus};
use skysense_engine::{
    Cancel, Event, Events, NoEvents, NodeOutcome, Outcome, Plan, PlanOptions, RunOptions, RunReport, plan, run,
};
use support::{plugins, spec};

fn planned(nodes: &[&str], adjust: impl FnOnce(&mut PlanOptions)) -> Plan {
    let plugins = plugins();
    let spec = spec(&plugins, nodes).unwrap_or_else(|faults| panic!("{faults}"));
    let mut options = PlanOptions::default();
    adjust(&mut options);
    plan(&spec, &plugins, &options).unwrap_or_else(|faults| panic!("{faults}"))
}

fn options(folder: &Path, cancel: &Cancel) -> RunOptions {
    let mut options = RunOptions::default();
    options.runs = folder.join("runs");
    options.cancel = cancel.clone();
    options
}

fn ran(folder: &Path, nodes: &[&str]) -> RunReport {
    let plan = planned(nodes, |_| {});
    run(plan, &plugins(), &options(folder, &Cancel::new()), Arc::new(NoEvents)).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn chain(folder: &Path, numbers: &str, mix: &str) -> [String; 3] {
    [
        format!("a: {{uses: t.numbers, with: {{{numbers}}}}}"),
        format!("b: {{uses: t.mix, from: a, with: {{{mix}}}}}"),
        format!("c: {{uses: t.write, from: b, with: {{href: {}}}}}", folder.join("out.bin").display()),
    ]
}

fn lines(nodes: &[String]) -> Vec<&str> {
    nodes.iter().map(String::as_str).collect()
}

#[test]
fn a_chain_runs_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = chain(folder.path(), "batches: 20, skip: S2B", "rounds: 3");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let events: Arc<dyn Events> = Arc::new({
        let seen = seen.clone();
        move |event: &Event| seen.lock().unwrap().push(serde_json::to_value(event).unwrap())
    });
    let plan = planned(&lines(&nodes), |_| {});
    assert!(plan.to_string().contains("b: t.mix (in <- a)"), "{plan}");
    let report = run(plan, &plugins(), &options(folder.path(), &Cancel::new()), events).unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.skipped[0]["item"], "S2B");
    assert_eq!(report.skipped[0]["node"], "a");
    assert_eq!(report.outputs[0]["href"], folder.path().join("out.bin").display().to_string());
    assert_eq!(report.decisions[0]["what"], "format");
    assert_eq!((report.counts["written"], report.counts["a.rows"]), (20_000, 20_000));
    assert_eq!(fs::metadata(folder.path().join("out.bin")).unwrap().len(), 160_000);
    let on_disk: Value = serde_json::from_str(&fs::read_to_string(&report.report).unwrap()).unwrap();
    assert_eq!(on_disk, serde_json::to_value(&report).unwrap());
    let run = report.report.parent().unwrap();
    assert_eq!(files(run), ["journal.jsonl", "kept", "log.jsonl", "plan.json", "planned", "report.json"]);
    assert!(fs::read_to_string(run.join("log.jsonl")).unwrap().contains("20000 rows"));

    let seen = seen.lock().unwrap();
    let of = |kind: &str| seen.iter().filter(|e| e["event"] == kind).count();
    assert_eq!((of("run-started"), of("node-started"), of("node-finished"), of("run-finished")), (1, 3, 3, 1));
    assert!(of("progress") == 20 && of("batch") == 41, "{} {}", of("progress"), of("batch"));

    let runs = folder.path().join("runs");
    let list = runs::list(&runs).unwrap();
    assert_eq!((list.len(), list[0].status, list[0].workflow.as_str()), (1, RunStatus::Partial, "test"));
    let details = runs::show(&runs, "latest").unwrap();
    assert_eq!(details.plan["workflow"]["name"], "test");
    assert_eq!(details.report.unwrap()["outcome"], "partial");
    let unknown = runs::show(&runs, "nonsense").unwrap_err();
    assert!(unknown.to_string().contains("nonsense") && unknown.hint().unwrap().contains("runs list"), "{unknown}");
}

#[test]
fn an_error_in_the_middle_names_its_node_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (misdeed, code, what) in
        [("fail_at: 7", "read", "batch 7 is broken"), ("panic_at: 7", "panic", "batch 7 is cursed")]
    {
        let nodes = chain(folder.path(), &format!("batches: 20, {misdeed}"), "");
        let report = ran(folder.path(), &lines(&nodes));
        let error = report.error.expect("it failed");
        assert_eq!(report.outcome, Outcome::Failed);
        assert!(error.code == code && error.message.contains(what), "{error}");
        assert_eq!(error.place["node"], "a");
        assert_eq!(report.nodes["a"].outcome, NodeOutcome::Failed);
        assert_eq!(report.nodes["c"].outcome, NodeOutcome::Stopped);
        assert!(!report.report.parent().unwrap().join("scratch").exists());
        assert!(report.outputs.is_empty());
    }
    assert_eq!(files(folder.path()), ["runs"]);
}

#[test]
fn planning_tells_all_faults_at_their_places() {
    let plugins = plugins();
    let nodes = [
        "a: {uses: t.numbers, with: {batches: 13}}",
        "b: {uses: t.numbers, with: {batches: 13}}",
        "c: {uses: t.join, from: {a: a, b: b}}",
    ];
    let spec = spec(&plugins, &nodes).unwrap();
    let faults = plan(&spec, &plugins, &PlanOptions::default()).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults}");
    let text = faults.to_string();
    assert!(text.contains("test.yaml:4:") && text.contains("test.yaml:5:") && text.contains("take 12"), "{text}");
}

#[test]
fn too_small_a_budget_is_refused_with_the_least_that_works() {
    let plugins = plugins();
    let spec = spec(&plugins, &["a: {uses: t.numbers, with: {batches: 1, rows: 4000000}}"]).unwrap();
    let mut options = PlanOptions::default();
    options.memory = Some(16 << 20);
    let fault = plan(&spec, &plugins, &options).unwrap_err().to_string();
    assert!(fault.contains("16 MiB is too small") && fault.contains("at least"), "{fault}");
    // The least that it names does work, with a little room for what other tests of this process hold.
    let least = fault.split("--memory ").nth(1).unwrap().split("MiB").next().unwrap().parse::<u64>().unwrap();
    options.memory = Some((least + 200) << 20);
    assert!(plan(&spec, &plugins, &options).is_ok());
}

#[test]
fn cancelling_ends_soon_and_a_resumed_run_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    // Far more than it gets to: only being cancelled ends this run. What is resumed is shorter.
    let nodes = chain(folder.path(), "batches: 1000000, sleep: 1", "rounds: 2");
    let cancel = Cancel::new();
    let events: Arc<dyn Events> = Arc::new({
        let cancel = cancel.clone();
        move |event: &Event| {
            if matches!(event, Event::Batch { node, rows, .. } if node == "a" && *rows == 5000) {
                cancel.cancel();
            }
        }
    });
    let plan = planned(&lines(&nodes), |_| {});
    let report = run(plan, &plugins(), &options(folder.path(), &cancel), events).unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(report.counts["a.rows"] < 1_000_000, "it went on: {:?}", report.counts);
    assert_eq!(files(folder.path()), ["runs"]);
    let stored = report.report.with_file_name("plan.json");
    let mut shorter: Value = serde_json::from_str(&fs::read_to_string(&stored).unwrap()).unwrap();
    shorter["nodes"][0]["settings"]["batches"] = 60.into();
    fs::write(&stored, shorter.to_string()).unwrap();

    let limits = Limits::of_plan(&|_| None);
    let fresh = options(folder.path(), &Cancel::new());
    let report = runs::resume("latest", &plugins(), &fresh, limits, Arc::new(NoEvents)).unwrap();
    assert!(report.resumed && report.outcome == Outcome::Done, "{report:?}");
    let resumed = fs::read(folder.path().join("out.bin")).unwrap();
    let again = runs::resume("latest", &plugins(), &fresh, limits, Arc::new(NoEvents)).unwrap_err();
    assert!(again.to_string().contains("finished"), "{again}");

    let other = tempfile::tempdir().unwrap();
    ran(other.path(), &lines(&chain(other.path(), "batches: 60", "rounds: 2")));
    assert!(resumed == fs::read(other.path().join("out.bin")).unwrap());
}

#[test]
fn an_edge_with_several_readers_neither_deadlocks_nor_changes() {
    // The join reads all of one branch before it looks at the other: with queues alone this would hang.
    let folder = tempfile::tempdir().unwrap();
    let write = format!("w: {{uses: t.write, from: j, with: {{href: {}}}}}", folder.path().join("out.bin").display());
    let nodes = [
        "a: {uses: t.numbers, with: {batches: 400, rows: 20000}}",
        "b: {uses: t.mix, from: a, with: {rounds: 1}}",
        "j: {uses: t.join, from: {a: a, b: b}}",
        &write,
    ];
    let report = ran(folder.path(), &nodes);
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let bytes = fs::read(folder.path().join("out.bin")).unwrap();
    let sum: i64 = (0..8_000_000i64).map(|i| i * 7 % 1001).sum();
    assert_eq!(i64::from_le_bytes(bytes[..8].try_into().unwrap()), sum);
}

#[test]
fn a_batch_that_breaks_its_promise_is_an_error_when_memory_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = chain(folder.path(), "batches: 3, rows: 3000000, promise: 1000", "");
    let mut plan = planned(&lines(&nodes), |_| {});
    plan.memory.leases = 1 << 20;
    let report = run(plan, &plugins(), &options(folder.path(), &Cancel::new()), Arc::new(NoEvents)).unwrap();
    let error = report.error.expect("it failed");
    assert!(error.code == "memory.promise" && error.message.contains("24000000 bytes"), "{error}");
    assert_eq!(error.place["node"], "a");
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_any_budget() {
    let mut all = Vec::new();
    for (threads, memory) in [(1, None), (2, None), (4, Some(600 << 20))] {
        let folder = tempfile::tempdir().unwrap();
        let nodes = chain(folder.path(), "batches: 50, rows: 3000", "rounds: 5");
        let plan = planned(&lines(&nodes), |options| {
            options.threads = Some(threads);
            options.memory = memory;
        });
        let report = run(plan, &plugins(), &options(folder.path(), &Cancel::new()), Arc::new(NoEvents)).unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        all.push(fs::read(folder.path().join("out.bin")).unwrap());
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]) && all[0].len() == 50 * 3000 * 8);
}

/// The processors that the calling thread may use.
#[cfg(target_os = "linux")]
fn allowed() -> usize {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    let count = |part: &str| match part.split_once('-') {
        Some((first, last)) => last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1,
        None => 1,
    };
    list.split(',').map(count).sum()
}

#[test]
#[cfg(target_os = "linux")]
fn threads_bound_the_processors_of_every_node() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = chain(folder.path(), "batches: 5", "rounds: 1");
    for (threads, expected) in [(Some(1), 1), (None, allowed())] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        // Called from the nodes' own threads.
        let events: Arc<dyn Events> = Arc::new({
            let seen = seen.clone();
            move |event: &Event| {
                if let Event::Batch { node, .. } = event {
                    seen.lock().unwrap().push((node.clone(), allowed()));
                }
            }
        });
        let plan = planned(&lines(&nodes), |options| options.threads = threads);
        run(plan, &plugins(), &options(folder.path(), &Cancel::new()), events).unwrap();
        let seen = seen.lock().unwrap();
        for node in ["a", "b", "c"] {
            let of_node: Vec<_> = seen.iter().filter(|(name, _)| name == node).collect();
            assert!(!of_node.is_empty() && of_node.iter().all(|(_, count)| *count == expected), "{seen:?}");
        }
    }
}

// ---- Tests in a process of their own -----------------------------------------------------------------------

const CHILD: &str = "SKYSENSE_TEST_CHILD";

/// Starts this test binary again, to run one test as a program.
fn child(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn peak_memory_stays_below_the_budget() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return stream_much(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = child("peak_memory_stays_below_the_budget", folder.path()).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|l| l.split("RESULT ").nth(1)).unwrap_or_else(|| panic!("no result in {text}"));
    let found: Value = serde_json::from_str(line).unwrap();
    let number = |name: &str| found[name].as_u64().unwrap();
    // The kernel's own peak counts mapped files; take off those that are mapped at the end.
    let peak = number("peak") - number("files");
    assert!(peak <= number("budget"), "{found}");
    assert!(number("streamed") >= 10 * number("budget"), "{found}");
    assert!(number("seen") <= number("budget") && number("seen") > 0, "{found}");
}

/// Ten times the budget and more through a chain and a spooled edge.
fn stream_much(folder: &Path) {
    let budget = 110 << 20;
    let write = format!("w: {{uses: t.write, from: j, with: {{href: {}}}}}", folder.join("out.bin").display());
    let nodes = [
        // 700 batches of 2 MiB.
        "a: {uses: t.numbers, with: {batches: 700, rows: 262144}}",
        "b: {uses: t.mix, from: a}",
        "j: {uses: t.join, from: {a: a, b: b}}",
        &write,
    ];
    let plan = planned(&nodes, |options| options.memory = Some(budget));
    let report = run(plan, &plugins(), &options(folder, &Cancel::new()), Arc::new(NoEvents)).unwrap();
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let now = skysense_abi::resident().unwrap();
    let streamed = report.counts["a.rows"] * 8;
    println!(
        "\nRESULT {}",
        serde_json::json!({"peak": now.peak, "files": now.files, "budget": budget, "streamed": streamed,
            "seen": report.memory.peak, "least": report.memory.planned_least})
    );
}

#[test]
fn a_node_that_holds_more_than_it_promised_is_stopped_at_the_limit() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return hold_too_much(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let output =
        child("a_node_that_holds_more_than_it_promised_is_stopped_at_the_limit", folder.path()).wait_with_output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("RESULT memory.exceeded"), "{text}");
    assert_eq!(files(folder.path()), ["runs"]);
}

fn hold_too_much(folder: &Path) {
    let nodes = chain(folder, "batches: 200, sleep: 10", "hold: 300000000");
    let plan = planned(&lines(&nodes), |options| options.memory = Some(150 << 20));
    let report = run(plan, &plugins(), &options(folder, &Cancel::new()), Arc::new(NoEvents)).unwrap();
    println!("\nRESULT {}", report.error.expect("it was stopped").code);
}

#[test]
fn a_killed_run_goes_on_and_gives_the_same_bytes() {
    if let Some(folder) = std::env::var_os(CHILD) {
        ran(Path::new(&folder), &lines(&slow_chain(Path::new(&folder), 30)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let mut process = child("a_killed_run_goes_on_and_gives_the_same_bytes", folder.path());
    // Kill it once the small edge is complete and the large one is on its way.
    let deadline = Instant::now() + Duration::from_secs(20);
    let kept = || {
        let run = runs::list(&runs).ok()?.into_iter().next()?;
        runs::show(&runs, &run.run).ok()?.journal.iter().any(|e| e["event"] == "node-done").then_some(run)
    };
    let run = loop {
        assert!(Instant::now() < deadline, "the run never began");
        if let Some(run) = kept() {
            break run;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(run.status, RunStatus::Running);
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(runs::list(&runs).unwrap()[0].status, RunStatus::Interrupted);
    assert!(!folder.path().join("out.bin").exists());

    let options = options(folder.path(), &Cancel::new());
    let id = &run.run[..run.run.len() - 1];
    let report = runs::resume(id, &plugins(), &options, Limits::of_plan(&|_| None), Arc::new(NoEvents)).unwrap();
    assert_eq!(report.outcome, Outcome::Partial, "{report:?}");
    assert_eq!(report.skipped[0]["item"], "S2K", "what a kept node reported is reported again");
    assert_eq!(report.nodes["a"].outcome, NodeOutcome::Kept);
    assert_eq!(fs::read_to_string(folder.path().join("ledger")).unwrap().lines().count(), 1);

    let other = tempfile::tempdir().unwrap();
    ran(other.path(), &lines(&slow_chain(other.path(), 0)));
    assert!(fs::read(folder.path().join("out.bin")).unwrap() == fs::read(other.path().join("out.bin")).unwrap());
}

fn slow_chain(folder: &Path, sleep: u64) -> [String; 3] {
    let (ledger, out) = (folder.join("ledger"), folder.join("out.bin"));
    [
        format!("a: {{uses: t.items, with: {{batches: 20, skip: S2K, ledger: {}}}}}", ledger.display()),
        format!("b: {{uses: t.mix, from: a, with: {{rounds: 2, sleep: {sleep}}}}}"),
        format!("c: {{uses: t.write, from: b, with: {{href: {}}}}}", out.display()),
    ]
}
