//! How a run ends early, and goes on: SIGTERM, Ctrl-C, a parent that goes away, `runs resume`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(unix)]

mod command;

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use command::{Bench, Done, wait_for};

/// A workflow that waits for a file before its last row.
fn gated(deaf: bool) -> Bench {
    let bench = Bench::new();
    let workflow = format!(
        "skysense: 1\nname: gated\nnodes:\n  numbers: {{uses: test.count, with: {{rows: 4, gate: gate, deaf: {deaf}}}}}\n  sum: {{uses: test.sum, from: numbers, with: {{href: sum.txt}}}}\n"
    );
    bench.write("g.yaml", &workflow);
    bench
}

/// Starts a run and waits until its nodes are at work.
fn start(bench: &Bench, more: &[&str]) -> Child {
    let mut command = bench.command(&[&["run", "g.yaml", "--json"], more].concat());
    let log = std::fs::File::create(bench.path("stderr")).expect("a file of the test");
    let child = command.args(["--progress", "json"]).stdin(Stdio::piped()).stderr(log).spawn().expect("it starts");
    wait_for("the nodes", || bench.read("stderr").contains("\"progress\""));
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
}

/// The end of a process that has to come soon.
fn end(mut child: Child) -> Done {
    let begun = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().expect("it runs");
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Done::from(child.wait_with_output().expect("it ended"))
}

fn status(bench: &Bench) -> String {
    let runs = bench.run(&["runs", "list", "--json"]).exits(0).json();
    runs["runs"][0]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_signal_ends_cleanly_and_the_run_goes_on_later() {
    for name in ["TERM", "INT"] {
        let bench = gated(false);
        let child = start(&bench, &[]);
        signal(&child, name);
        let report = end(child).exits(130).json();
        assert_eq!(report["outcome"], "cancelled", "{name}");
        assert!(!bench.path("sum.txt").exists(), "{name}: nothing half written");
        assert_eq!(status(&bench), "cancelled");
        bench.write("gate", "");
        let report = bench.run(&["runs", "resume", "--json"]).exits(0).json();
        assert_eq!((report["resumed"].as_bool(), report["outcome"].as_str()), (Some(true), Some("partial")));
        assert_eq!(bench.read("sum.txt"), "10");
        assert_eq!(status(&bench), "partial");
        let done = bench.run(&["runs", "resume"]).exits(3);
        assert!(done.stderr.contains("finished"), "{}", done.stderr);
        let shown = bench.run(&["runs", "show"]).exits(0);
        assert!(shown.stdout.contains("workflow: gated"), "{}", shown.stdout);
    }
}

#[test]
fn a_killed_run_is_resumed() {
    let bench = gated(false);
    let mut child = start(&bench, &[]);
    assert_eq!(status(&bench), "running");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(status(&bench), "interrupted");
    bench.write("gate", "");
    bench.run(&["runs", "resume"]).exits(0);
    assert_eq!(bench.read("sum.txt"), "10");
}

#[test]
fn a_second_signal_ends_at_once() {
    let bench = gated(true);
    let child = start(&bench, &[]);
    signal(&child, "TERM");
    wait_for("the first signal", || bench.read("stderr").contains("once more to end at once"));
    signal(&child, "TERM");
    end(child).exits(130);
    assert!(!bench.path("sum.txt").exists());
}

#[test]
fn with_parent_ends_when_stdin_closes() {
    let bench = gated(false);
    let mut child = start(&bench, &["--with-parent"]);
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().expect("it runs").is_none(), "it runs on while the parent is there");
    drop(child.stdin.take());
    let report = end(child).exits(130).json();
    assert_eq!(report["outcome"], "cancelled");
    // Without the option a closed stdin means nothing.
    let bench = gated(false);
    let mut child = start(&bench, &[]);
    drop(child.stdin.take());
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().expect("it runs").is_none());
    bench.write("gate", "");
    end(child).exits(0);
}
