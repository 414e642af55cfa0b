//! The folder `examples/service` over a simulated scene and a model that was trained for a moment, and a service of it.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{client::Client, command::Done};

pub(crate) fn skysense(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skysense"));
    command.current_dir(folder).stdin(Stdio::null()).env("XDG_DATA_HOME", folder.join("data"));
    command
        .env_remove("SKYSENSE_PLUGIN_PATH")
        .env_remove("SKYSENSE_RUNS")
        .env_remove("SKYSENSE_TOKEN")
        .env_remove("SKYSENSE_MAPLIBRE");
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Done {
    Done::from(skysense(folder).args(arguments).output().expect("the binary starts")).exits(0)
}

/// Ends the service with the test.
pub(crate) struct Serving(pub(crate) Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The folder of the example with a scene and a model that was trained for a moment.
pub(crate) fn example() -> tempfile::TempDir {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/service");
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path();
    copy(&here, to);
    copy(&here.join("flows"), &to.join("flows"));
    std::fs::create_dir(to.join("incoming")).unwrap();
    let scene =
        ["simulate", "scene", "--out", "scene", "--size", "64", "--dates", "3", "--cloud", "0.05", "--seed", "7"];
    run(to, &[&scene[..], &["--season", "120,240", "--year", "2021"]].concat());
    run(to, &["run", "train.yaml", "-p", "steps=2"]);
    folder
}

#[track_caller]
pub(crate) fn wait(what: &str, log: &Path, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        let told = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(240), "waited too long for {what}:\n{}", told());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Serves the example, until the test ends.
pub(crate) fn served(folder: &Path) -> (Serving, Client) {
    served_with(folder, &[], &[])
}

/// As [`served`], with more arguments, and variables of the environment.
pub(crate) fn served_with(folder: &Path, more: &[&str], variables: &[(&str, &str)]) -> (Serving, Client) {
    let log = folder.join("serve.log");
    let mut command = skysense(folder);
    command.args(["serve", "flows", "--state", "state/service.db", "--listen", "127.0.0.1:0"]);
    command.args(["--concurrency", "2"]).args(more);
    command.stderr(std::fs::File::create(&log).unwrap()).stdout(Stdio::null()).envs(variables.iter().copied());
    let serving = Serving(command.spawn().unwrap());
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    wait("the address", &log, || told().contains(" at http://"));
    let address = told().rsplit(" at http://").next().unwrap().lines().next().unwrap().to_owned();
    (serving, Client::new(&address))
}
