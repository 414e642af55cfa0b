//! A run as a child process: `skysense run`, or `skysense runs resume` where there is something to go on with.
//!
//! A process of its own, since what crashes, leaks or is killed for its memory then takes neither the service nor other
//! runs along; its limits are its own, and what it wrote so far lies in its run folder whoever dies. It ends when the
//! service does: its stdin is a pipe that nobody writes to, and `--with-parent` watches it.
//!
//! Its answer goes into a file that it holds locked as its stdout. Whoever comes after a service that was killed sees
//! by that lock whether the child still lives, and by the file what it did.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use skysense_engine::runs::{self, RunStatus};

use crate::{Ended, Result, ServeError};

/// How often a child is asked whether it ended.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a child may take to end in good order.
const GRACE: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const LARGEST_ANSWER: u64 = 256 << 20;

/// The folder of a run, in the service's keeping.
#[derive(Debug, Clone)]
pub(crate) struct RunHome(PathBuf);

impl RunHome {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The items that it is given.
    pub(crate) fn items(&self) -> PathBuf {
        self.0.join("items.json")
    }

    /// What the command answers.
    pub(crate) fn answer(&self) -> PathBuf {
        self.0.join("answer.json")
    }

    /// What it said, one JSON object a line, over all attempts.
    pub(crate) fn progress(&self) -> PathBuf {
        self.0.join("progress.jsonl")
    }

    /// The engine's own folder of runs, of which there is one at most.
    pub(crate) fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    pub(crate) fn make(&self) -> Result<()> {
        std::fs::create_dir_all(&self.0).map_err(|error| ServeError::file("make", &self.0, error))
    }

    /// The run that can be gone on with, or that came to its end.
    pub(crate) fn last(&self) -> Option<runs::RunSummary> {
        runs::list(&self.runs()).ok()?.into_iter().next()
    }

    /// Forgets runs, so that the next attempt begins anew.
    pub(crate) fn forget(&self) -> Result<()> {
        match std::fs::remove_dir_all(self.runs()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ServeError::file("remove", &self.runs(), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes all of it; what cannot be removed is told, and stays.
    pub(crate) fn remove(&self) {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("cannot remove {}: {error}", self.0.display());
            }
            _ => {}
        }
    }

    /// Whether a child still lives, of this service or of one before.
    pub(crate) fn is_alive(&self) -> bool {
        let Ok(file) = File::open(self.answer()) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// Why a child is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Somebody cancelled the run.
    Cancel = 1,
    /// The service ends.
    Park = 2,
}

/// Tells a child to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switch(Arc<AtomicU8>);

impl Switch {
    pub(crate) fn wish(&self, wish: Wish) {
        // The first wish holds.
        let _ = self.0.compare_exchange(0, wish as u8, Ordering::SeqCst, Ordering::SeqCst);
    }

    fn wished(&self) -> Option<Wish> {
        match self.0.load(Ordering::SeqCst) {
            1 => Some(Wish::Cancel),
            2 => Some(Wish::Park),
            _ => None,
        }
    }
}

/// What a child is started with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The `skysense` binary.
    pub(crate) program: &'a Path,
    pub(crate) workflow: &'a Path,
    pub(crate) params: &'a [(String, String)],
    pub(crate) memory: u64,
    pub(crate) threads: Option<usize>,
    pub(crate) devices: &'a [String],
}

/// What a child left.
#[derive(Debug, PartialEq)]
pub(crate) struct Left {
    pub(crate) ended: Ended,
    /// Outputs, where it came to its end.
    pub(crate) outputs: Vec<Value>,
    /// Seconds that it and its nodes took, where it came to its end.
    pub(crate) spent: Value,
}

/// Runs a child to its end.
pub(crate) fn run(home: &RunHome, start: &Start<'_>, switch: &Switch) -> Result<Left> {
    let last = home.last().map(|last| last.status);
    if matches!(last, Some(RunStatus::Done | RunStatus::Partial)) {
        // The service died between its end and the state's knowing of it.
        return Ok(judge(home, None, None));
    }
    let resume = last.is_some_and(|last| last != RunStatus::Running);
    let mut child = spawn(home, start, resume)?;
    let mut stdin = child.stdin.take();
    let mut deadline: Option<Instant> = None;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return Err(ServeError::file("wait for", start.program, error)),
        }
        if deadline.is_none() && switch.wished().is_some() {
            // Its stdin closes, which it takes as the wish to end.
            drop(stdin.take());
            deadline = Some(Instant::now() + GRACE);
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let _ = child.kill();
        }
        thread::sleep(PAUSE);
    };
    Ok(judge(home, Some(status), switch.wished()))
}

fn spawn(home: &RunHome, start: &Start<'_>, resume: bool) -> Result<Child> {
    home.make()?;
    let answer = File::create(home.answer()).map_err(|error| ServeError::file("write", &home.answer(), error))?;
    match answer.try_lock() {
        Ok(()) => {}
        Err(_) => return Err(ServeError::Request("a process of this run is still there".to_owned())),
    }
    let progress = OpenOptions::new().create(true).append(true).open(home.progress());
    let progress = progress.map_err(|error| ServeError::file("write", &home.progress(), error))?;
    let mut command = Command::new(start.program);
    if resume {
        command.args(["runs", "resume", "latest"]);
    } else {
        command.arg("run").arg(start.workflow);
        for (name, value) in start.params {
            command.arg("-p").arg(format!("{name}={value}"));
        }
    }
    command.arg("--runs-dir").arg(home.runs());
    command.args(["--json", "--progress", "json", "--with-parent"]);
    command.arg("--memory").arg(start.memory.to_string());
    command.arg("--device").arg(start.devices.join(","));
    if let Some(threads) = start.threads {
        command.arg("--threads").arg(threads.to_string());
    }
    let folder = start.workflow.parent().filter(|folder| folder.is_dir());
    command.current_dir(folder.unwrap_or(Path::new(".")));
    command.stdin(Stdio::piped()).stdout(answer).stderr(progress);
    command.spawn().map_err(|error| ServeError::file("start", start.program, error))
}

/// What became of a run whose process is gone; the status is not known of a child of another service.
pub(crate) fn judge(home: &RunHome, status: Option<ExitStatus>, wished: Option<Wish>) -> Left {
    let nothing = |ended| Left { ended, outputs: Vec::new(), spent: Value::Null };
    // What the engine wrote counts first: it is whole, whoever died afterwards.
    if let Some(last) = home.last()
        && matches!(last.status, RunStatus::Done | RunStatus::Partial)
        && let Ok(details) = runs::show(&home.runs(), &last.run)
        && let Some(report) = details.report
    {
        let outputs = report["outputs"].as_array().cloned().unwrap_or_default();
        let spent = json!({"seconds": report["seconds"], "nodes": report["nodes"]});
        return Left { ended: Ended::Done { partial: last.status == RunStatus::Partial }, outputs, spent };
    }
    let Some(status) = status else { return nothing(Ended::Interrupted) };
    let answer = read_answer(home);
    let exit = answer.as_ref().and_then(|answer| answer["exit"].as_i64()).or(status.code().map(i64::from));
    match (wished, exit) {
        (Some(Wish::Cancel), _) => nothing(Ended::Cancelled),
        (Some(Wish::Park), Some(130) | None) => nothing(Ended::Parked),
        // Somebody else ended it.
        (None, Some(130)) => nothing(Ended::Interrupted),
        (_, exit) => {
            let error = answer.as_ref().map_or(Value::Null, |answer| match &answer["faults"] {
                Value::Null => answer["error"].clone(),
                faults => json!({
                    "code": "workflow",
                    "message": faults[0]["message"].as_str().unwrap_or("the workflow is wrong"),
                    "faults": faults,
                }),
            });
            let error = if error.is_null() {
                json!({"code": "process", "message": format!("the process ended without an answer: {status}")})
            } else {
                error
            };
            // Neither a wrong workflow nor a wrong command line mends itself.
            nothing(Ended::Failed { error, for_good: matches!(exit, Some(1 | 2)) })
        }
    }
}

fn read_answer(home: &RunHome) -> Option<Value> {
    let mut text = String::new();
    File::open(home.answer()).ok()?.take(LARGEST_ANSWER).read_to_string(&mut text).ok()?;
    serde_json::from_str(text.trim()).ok()
}
