//! What the machine can do to a run: a full disk, a folder that is read-only or goes away, plugins that are none.
//! Each ends with what happened, why, and what to do, and with the exit code that the docs name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(unix)]

mod command;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use command::{Bench, Done, wait_for};
use serde_json::{Value, json};

/// Runs a command with a file system of its own at the folder `disk`: no root needed, and nothing is left behind.
/// `None`, with a word about it, where the system does not let people do that.
fn with_disk(bench: &Bench, options: &str, arguments: &[&str]) -> Option<Done> {
    let disk = bench.path("disk");
    std::fs::create_dir_all(&disk).expect("a folder");
    let inside = |command: &Command, script: &str| {
        let mut inner = Command::new("unshare");
        inner.args(["-r", "-m", "sh", "-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
        inner.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inner.current_dir(bench.path("")).stdin(Stdio::null()).output()
    };
    let mount = format!("mount -t tmpfs -o {options} none {}", disk.display());
    if !inside(&Command::new("true"), &mount).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system lets nobody mount a file system of their own (unshare -r -m)");
        return None;
    }
    let output = inside(&bench.command(arguments), &format!("{mount} && exec \"$@\"")).expect("it starts");
    Some(Done::from(output))
}

fn has(done: &Done, parts: &[&str]) {
    for part in parts {
        assert!(done.stderr.contains(part), "{part} is missing in:\n{}", done.stderr);
    }
}

#[test]
fn a_full_disk_ends_a_run_with_the_file_and_a_way_out() {
    let bench = Bench::new();
    // Room for the plan, not for a hundred thousand rows that are kept for a resumed run.
    let run = ["run", "w.yaml", "-p", "rows=100000", "--runs-dir", "disk/runs"];
    let Some(done) = with_disk(&bench, "size=400k", &run) else { return };
    has(&done.exits(4), &["error: cannot write", "disk/runs/", "caused by: No space left on device", "--runs-dir"]);
    assert!(!bench.path("sum.txt").exists(), "nothing that looks whole");
    // No room for the plan itself.
    let done = with_disk(&bench, "size=4k", &run).expect("as above").exits(4);
    has(&done, &["error: cannot ", "caused by: No space left on device", "hint: free some space"]);
    // The output's own disk.
    let done = with_disk(&bench, "size=4k,nr_inodes=1", &["run", "w.yaml", "-p", "out=disk/sum.txt"]);
    has(&done.expect("as above").exits(4), &["error: No space left on device", "node sum", "disk/sum.txt"]);
}

#[test]
fn a_folder_that_may_not_be_written_is_named() {
    let bench = Bench::new();
    let Some(done) = with_disk(&bench, "ro", &["run", "w.yaml", "--runs-dir", "disk/runs"]) else { return };
    has(&done.exits(4), &["error: cannot create", "disk/runs", "caused by: Read-only file system", "--runs-dir"]);
    let done = with_disk(&bench, "ro", &["init", "--output", "disk/w.yaml"]).expect("as above").exits(4);
    has(&done, &["error: cannot write disk/w.yaml", "caused by: Read-only file system"]);
    let done = bench.run(&["run", "w.yaml", "--runs-dir", "w.yaml/runs"]).exits(4);
    has(&done, &["error: cannot create", "caused by: Not a directory", "hint: "]);
    let done = bench.run(&["run", "w.yaml", "--runs-dir", "/proc/no-folder"]).exits(4);
    has(&done, &["error: cannot create /proc/no-folder", "hint: `--runs-dir` names a folder for runs"]);
    let done = bench.run(&["runs", "list", "--runs-dir", "w.yaml"]).exits(3);
    has(&done, &["error: cannot read w.yaml", "caused by: Not a directory", "hint: "]);
}

/// A workflow that waits for a file before its last row.
fn gated(bench: &Bench, out: &str) {
    bench.write(
        "g.yaml",
        &format!(
            "skysense: 1
nodes:
  numbers: {{uses: test.count, with: {{rows: 4, gate: gate}}}}
  sum: {{uses: test.sum, from: numbers, with: {{href: {out}}}}}
"
        ),
    );
}

#[test]
fn a_run_whose_folder_is_removed_says_so() {
    let bench = Bench::new();
    gated(&bench, "sum.txt");
    let log = std::fs::File::create(bench.path("stderr")).expect("a file of the test");
    let child = bench.command(&["run", "g.yaml", "--progress", "json"]).stderr(log).spawn().expect("it starts");
    wait_for("the nodes", || bench.read("stderr").contains("\"progress\""));
    std::fs::remove_dir_all(bench.path(".skysense")).expect("it is there");
    bench.write("gate", "");
    let done = Done::from(child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(4), "{}", bench.read("stderr"));
    let told = bench.read("stderr");
    assert!(
        told.contains("\"message\":\"cannot ") && told.contains("\"hint\":\"was the folder of the run removed"),
        "{told}"
    );
}

#[test]
fn runs_side_by_side_in_one_folder_do_not_touch_each_other() {
    let bench = Bench::new();
    let start = |rows: &str, out: &str| {
        let rows = format!("rows={rows}");
        let out = format!("out={out}");
        bench.command(&["run", "w.yaml", "--json", "-p", &rows, "-p", &out]).spawn().expect("it starts")
    };
    let children: Vec<_> = (1..=6).map(|n| start(&(n * 1000).to_string(), &format!("{n}.txt"))).collect();
    let mut ids = std::collections::BTreeSet::new();
    for (child, n) in children.into_iter().zip(1..=6i64) {
        let report = Done::from(child.wait_with_output().expect("it ends")).exits(0).json();
        ids.insert(report["run"].as_str().expect("an id").to_owned());
        assert_eq!(bench.read(&format!("{n}.txt")), (n * 1000 * (n * 1000 + 1) / 2).to_string());
    }
    assert_eq!(ids.len(), 6, "{ids:?}");
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(6));
}

#[test]
fn one_run_is_not_resumed_by_two() {
    let bench = Bench::new();
    gated(&bench, "sum.txt");
    let log = std::fs::File::create(bench.path("stderr")).expect("a file of the test");
    let child = bench.command(&["run", "g.yaml", "--progress", "json"]).stderr(log).spawn().expect("it starts");
    wait_for("the nodes", || bench.read("stderr").contains("\"progress\""));
    let done = bench.run(&["runs", "resume"]).exits(4);
    has(&done, &["error: run `", "is going on in another process", "hint: wait for that process, or end it"]);
    bench.write("gate", "");
    assert_eq!(Done::from(child.wait_with_output().expect("it ends")).code, Some(0), "{}", bench.read("stderr"));
    assert_eq!(bench.read("sum.txt"), "10");
}

#[test]
fn damaged_folders_of_runs_are_passed_over_or_named() {
    let bench = Bench::new();
    bench.run(&["run", "w.yaml", "-p", "out=/no/such/folder/sum.txt"]).exits(4);
    let run = bench.run(&["runs", "list", "--json"]).exits(0).json()["runs"][0]["folder"].clone();
    let folder = bench.path(run.as_str().expect("a path"));
    for (junk, text) in [("notes.txt", "mine"), ("20200101-000000-00000000/journal.jsonl", "\u{0}\n{]")] {
        let path = folder.with_file_name(junk);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    assert_eq!(bench.run(&["runs", "list"]).exits(0).stdout.lines().count(), 1);
    let plan = std::fs::read_to_string(folder.join("plan.json")).expect("a plan");
    for broken in ["{", "{}", &plan.replace("\"uses\"", "\"abuses\"")] {
        std::fs::write(folder.join("plan.json"), broken).expect("written");
        let done = bench.run(&["runs", "resume"]).exits(3);
        has(&done, &["error: ", "plan.json is damaged", "hint: "]);
    }
    std::fs::write(folder.join("plan.json"), plan).expect("written");
    for file in std::fs::read_dir(folder.join("planned")).expect("planned rows") {
        std::fs::write(file.expect("a file").path(), "no arrow").expect("written");
    }
    has(&bench.run(&["runs", "resume"]).exits(3), &["error: ", ".arrow is damaged", "hint: "]);
    std::fs::remove_dir_all(folder.join("planned")).expect("removed");
    has(&bench.run(&["runs", "resume"]).exits(3), &["error: cannot read", "caused by: No such file", "hint: "]);
}

#[test]
fn a_folder_full_of_junk_gives_the_plugins_that_are_there() {
    let bench = Bench::new();
    let plugins = bench.path("plugins");
    std::fs::create_dir(&plugins).expect("a folder");
    let suffix = std::env::consts::DLL_SUFFIX;
    let file = |name: &str| plugins.join(format!("{name}{suffix}"));
    std::fs::copy(command::test_plugin(), file("good")).expect("a plugin");
    let whole = std::fs::read(file("good")).expect("a plugin");
    std::fs::write(file("empty"), "").expect("written");
    std::fs::write(file("text"), "no library").expect("written");
    // Cut off as by a download that broke: the system's loader alone would end the process with SIGBUS.
    std::fs::write(file("cut"), &whole[..whole.len() / 50]).expect("written");
    std::fs::write(file("cut-in-its-head"), &whole[..50]).expect("written");
    std::fs::write(file("unreadable"), "no library").expect("written");
    std::fs::set_permissions(file("unreadable"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("set");
    std::fs::create_dir(file("folder")).expect("made");
    std::os::unix::fs::symlink("nowhere", file("dangling")).expect("linked");
    std::os::unix::fs::symlink(file("good"), file("twice")).expect("linked");
    std::fs::write(plugins.join("README.md"), "not looked at").expect("written");
    assert!(Command::new("mkfifo").arg(file("pipe")).status().expect("mkfifo is there").success());
    let run = |arguments: &[&str]| {
        let output = bench.command(arguments).env("SKYSENSE_PLUGIN_PATH", &plugins).output().expect("it starts");
        Done::from(output)
    };
    let done = run(&["run", "w.yaml"]).exits(0);
    assert_eq!(bench.read("sum.txt"), "10");
    let refused = run(&["doctor", "--json"]).json()["not_used"].clone();
    let refused: Vec<&str> = refused
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| Path::new(one["path"].as_str()?).file_stem()?.to_str())
        .collect();
    for name in ["cut", "cut-in-its-head", "dangling", "empty", "folder", "pipe", "text", "unreadable"] {
        assert!(refused.contains(&name), "{name} is missing in {refused:?}");
        assert!(done.stderr.contains(&format!("{name}{suffix} is not used: ")), "{}", done.stderr);
    }
    assert_eq!(refused.len(), 8, "{refused:?}");
}

/// Compiles a library from nothing; `more` are arguments of the compiler.
#[cfg(target_os = "linux")]
fn library(bench: &Bench, name: &str, more: &[&str]) -> std::path::PathBuf {
    bench.write("nothing.c", "int nothing;\n");
    let made = bench.path(name);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wl,--no-as-needed"]).arg(bench.path("nothing.c")).arg("-o").arg(&made).args(more);
    assert!(cc.status().expect("a C compiler").success());
    made
}

#[cfg(target_os = "linux")]
#[test]
fn where_gdal_is_missing_the_remedy_is_told() {
    let bench = Bench::new();
    for (needed, part) in [("libgdal.so.99", "install GDAL"), ("libodd.so.1", "LD_LIBRARY_PATH")] {
        let there = library(&bench, needed, &[&format!("-Wl,-soname,{needed}")]);
        let plugin = library(&bench, &format!("of-{needed}.so"), &[&there.display().to_string()]);
        std::fs::remove_file(there).expect("removed");
        let mut command = bench.command(&["run", "w.yaml"]);
        let done = Done::from(command.env("SKYSENSE_PLUGIN_PATH", &plugin).output().expect("it starts"));
        assert!(done.stderr.contains(needed) && done.stderr.contains(part), "{}", done.stderr);
    }
}

#[test]
fn a_plugin_of_another_abi_is_refused_with_a_word_about_it() {
    let bench = Bench::new();
    let header = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugin/abi/include");
    bench.write(
        "newer.c",
        "#include <skysense_plugin.h>
static const SkysensePlugin t = {sizeof(SkysensePlugin), SKYSENSE_ABI_MAJOR + 1, 0, 0, 0, 0, 0};
SKYSENSE_EXPORT const SkysensePlugin *skysense_plugin(void) { return &t; }
",
    );
    let library = bench.path("newer.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-I", header]).arg(bench.path("newer.c")).arg("-o").arg(&library);
    assert!(cc.status().expect("a C compiler").success());
    let mut command = bench.command(&["check", "w.yaml"]);
    let done = Done::from(command.env("SKYSENSE_PLUGIN_PATH", &library).output().expect("it starts")).exits(1);
    has(&done, &["newer.so speaks ABI 2.0, this engine speaks 1.0: install a build of the plugin for ABI 1.x"]);
    has(&done, &["error: there is no node type `test.count`", "`skysense doctor`"]);
}

#[test]
fn a_panic_in_a_plugin_ends_the_run_and_not_the_host() {
    let bench = Bench::new();
    let workflow =
        |row: i64| format!("skysense: 1\nnodes: {{n: {{uses: test.count, with: {{rows: 3, panic_at: {row}}}}}}}\n");
    bench.write("f.yaml", &workflow(2));
    let done = bench.run(&["run", "f.yaml"]).exits(5);
    has(
        &done,
        &["error: the node panicked", "row 2 is cursed", "node n", "lib.rs:", "hint: this is a bug in the plugin"],
    );
    // The host lived on: it wrote the report, and the journal says how the run ended.
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(list["runs"][0]["status"], "failed");
    let report: Value = bench.run(&["runs", "show", "--json"]).exits(0).json()["report"].clone();
    assert_eq!((&report["error"]["code"], &report["error"]["place"]["node"]), (&json!("panic"), &json!("n")));
    bench.write("f.yaml", &workflow(0));
    has(&bench.run(&["plan", "f.yaml"]).exits(5), &["error: the node panicked", "f.yaml:2:", "the plan is cursed"]);
}
