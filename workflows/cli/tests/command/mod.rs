//! The built binary in a folder of its own, with the plugin of the tests and nothing else.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with the binary, a workflow and room for runs.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// A fresh folder with a workflow that counts to `rows` and writes the sum.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let binary = folder.path().join("skysense");
        // A binary beside no library loads no plugin but the one that is named.
        let built = env!("CARGO_BIN_EXE_skysense");
        std::fs::hard_link(built, &binary).or_else(|_| std::fs::copy(built, &binary).map(drop)).expect("the binary");
        let bench = Self { folder };
        bench.write(
            "w.yaml",
            "skysense: 1
name: sum
params:
  rows: {type: integer, default: 4, min: 1}
  out: {type: path, default: sum.txt}
nodes:
  numbers: {uses: test.count, with: {rows: $rows}}
  sum: {uses: test.sum, from: numbers, with: {href: $out}}
",
        );
        bench
    }

    /// The folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file of the test");
    }

    /// Reads a file of the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The binary with arguments, standing in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("skysense"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("SKYSENSE_PLUGIN_PATH", test_plugin())
            .env("XDG_DATA_HOME", self.path("data"))
            .env_remove("SKYSENSE_RUNS")
            .env_remove("SKYSENSE_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().expect("the binary starts"))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Done {
    /// stdout as one JSON value; fails if there is anything else.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.trim_end().lines().count(), 1, "one line of JSON:\n{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Checks the exit code, and shows what was printed if it is another one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// The library of the test plugin, which `cargo test` builds beside the binary.
pub(crate) fn test_plugin() -> PathBuf {
    let name = format!("{}skysense_test_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let built = Path::new(env!("CARGO_BIN_EXE_skysense")).parent().expect("a file has a folder");
    let path = built.join("examples").join(name);
    assert!(path.exists(), "{} is not there: `cargo build --workspace --examples` builds it", path.display());
    path
}

/// Waits until something holds, for 20 seconds at most.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
