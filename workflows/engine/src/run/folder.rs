//! A run's folder: plan, planned rows, journal, log, kept rows, scratch space, report.
//!
//! The journal is appended to and flushed to disk before the run goes on, so that what it says is true after a
//! power cut; it is locked while the run goes on, so that no two processes run the same run.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::EngineError;
use crate::plan::{Plan, read_plan};
use crate::report::Record;

/// The folder of a run that this process runs.
#[derive(Debug)]
pub(crate) struct RunFolder {
    id: String,
    path: PathBuf,
    journal: Mutex<File>,
    log: Mutex<File>,
}

/// A node whose whole output is in the run's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) node: String,
    /// Its rows, below the run's folder.
    pub(crate) file: PathBuf,
    pub(crate) rows: u64,
    pub(crate) batches: u64,
    /// What it had to report.
    pub(crate) records: Vec<Record>,
}

/// The time now, as text for journals and logs.
pub(crate) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

impl RunFolder {
    /// Makes the folder of a new run and writes the plan into it.
    pub(crate) fn create(runs: &Path, plan: &Plan) -> Result<Self, EngineError> {
        let runs = std::path::absolute(runs).map_err(|e| EngineError::file("find", runs, e))?;
        std::fs::create_dir_all(&runs).map_err(|e| EngineError::file("create", &runs, e))?;
        let (id, path) = new_folder(&runs, &plan.workflow.sha256)?;
        plan.write(&path)?;
        let folder = Self::opened(id, path)?;
        let workflow = &plan.workflow;
        folder.journal(&json!({"event": "started", "run": folder.id, "workflow": workflow.name,
            "sha256": workflow.sha256, "file": workflow.file, "nodes": plan.nodes.len(), "process": std::process::id()}))?;
        Ok(folder)
    }

    /// Takes the folder of an interrupted run over: its plan, and the nodes that need not run again.
    pub(crate) fn resume(
        id: &str,
        path: PathBuf,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Plan, Vec<Finished>), EngineError> {
        let folder = Self::opened(id.to_owned(), path)?;
        let entries = read_journal(&folder.path)?;
        if entries.last().is_some_and(|e| e["event"] == "finished" && is_final(&e["outcome"])) {
            return Err(EngineError::Finished { id: id.to_owned() });
        }
        let plan = read_plan(&folder.path, secret)?;
        let finished = finished(&folder.path, entries);
        folder.clear_scratch();
        let kept: Vec<_> = finished.iter().map(|f| f.node.clone()).collect();
        folder.journal(&json!({"event": "resumed", "kept": kept, "process": std::process::id()}))?;
        Ok((folder, plan, finished))
    }

    /// A folder of its own for a helper of a run that goes on: the plan of the run, and the nodes that it has done.
    pub(crate) fn help(
        runs: &Path,
        run: &Path,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Plan, Vec<Finished>), EngineError> {
        let entries = read_journal(run)?;
        if entries.last().is_some_and(|e| e["event"] == "finished" && is_final(&e["outcome"])) {
            return Err(EngineError::Finished {
                id: run.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            });
        }
        let plan = read_plan(run, secret)?;
        let finished = finished(run, entries);
        let folder = Self::create(runs, &plan)?;
        folder.journal(&json!({"event": "resumed", "process": std::process::id()}))?;
        Ok((folder, plan, finished))
    }

    fn opened(id: String, path: PathBuf) -> Result<Self, EngineError> {
        let append = |name: &str| {
            let file = path.join(name);
            let opened = OpenOptions::new().create(true).append(true).open(&file);
            opened.map_err(|e| EngineError::file("write", &file, e))
        };
        let (mut journal, log) = (append("journal.jsonl")?, append("log.jsonl")?);
        match journal.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EngineError::Busy { id }),
            // A file system without locks: two processes on one run are then the user's to avoid.
            Err(TryLockError::Error(_)) => {}
        }
        // A power cut may have torn the last line: what follows starts on a line of its own.
        if std::fs::read(path.join("journal.jsonl")).is_ok_and(|text| text.last().is_some_and(|&b| b != b'\n')) {
            journal.write_all(b"\n").map_err(|e| EngineError::file("write", &path, e))?;
        }
        Ok(Self { id, path, journal: Mutex::new(journal), log: Mutex::new(log) })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder of temporary files, before anything that writes into it begins.
    pub(crate) fn make_scratch(&self) -> Result<(), EngineError> {
        let scratch = self.scratch();
        std::fs::create_dir_all(&scratch).map_err(|error| EngineError::file("create", &scratch, error))
    }

    /// The folder of temporary files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// The folder with a folder for each node, which lasts until the run is done: one that goes on finds there what its
    /// nodes had put aside.
    pub(crate) fn nodes(&self) -> PathBuf {
        self.path.join("nodes")
    }

    /// Removes what nodes put aside, but not what they gave as outputs.
    pub(crate) fn clear_nodes(&self, outputs: &[PathBuf]) {
        let needed = |path: &Path| outputs.iter().any(|output| output.starts_with(path));
        let below = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for folder in below(&self.nodes()) {
            for path in below(&folder).filter(|path| !needed(path)) {
                let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
                if let Err(error) = removed {
                    tracing::warn!("cannot remove {}: {error}", path.display());
                }
            }
            // What still holds an output stays.
            let _ = std::fs::remove_dir(&folder);
        }
        let _ = std::fs::remove_dir(self.nodes());
    }

    /// Removes temporary files; what cannot be removed stays, since nothing reads it.
    pub(crate) fn clear_scratch(&self) {
        let scratch = self.scratch();
        if let Err(error) = std::fs::remove_dir_all(&scratch)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", scratch.display());
        }
    }

    /// Removes the folder; what cannot be removed stays, since nothing reads it.
    pub(crate) fn remove(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }

    /// Whether the folder is still there.
    ///
    /// # Errors
    /// It was removed: the open journal would take entries that nobody can read.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let journal = self.path.join("journal.jsonl");
        std::fs::metadata(&journal).map(drop).map_err(|e| EngineError::file("find", &journal, e))
    }

    /// Appends to the journal, and comes back when it is on disk.
    pub(crate) fn journal(&self, entry: &Value) -> Result<(), EngineError> {
        let mut entry = entry.clone();
        entry["time"] = Value::from(now());
        let line = format!("{entry}\n");
        let mut file = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|e| EngineError::file("write", &self.path.join("journal.jsonl"), e))
    }

    /// Appends to the log.
    pub(crate) fn log(&self, entry: &Value) {
        let mut entry = entry.clone();
        entry["time"] = Value::from(now());
        let line = format!("{entry}\n");
        let mut file = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!("cannot write the run's log: {error}");
        }
    }
}

/// The nodes whose rows a run's folder has; their files are named by whole paths, for a helper has another folder.
fn finished(run: &Path, entries: Vec<Value>) -> Vec<Finished> {
    let run = std::path::absolute(run).unwrap_or_else(|_| run.to_path_buf());
    let mut finished: Vec<Finished> = Vec::new();
    for entry in entries.into_iter().filter(|e| e["event"] == "node-done") {
        let Ok(mut done) = serde_json::from_value::<Finished>(entry) else { continue };
        done.file = run.join(&done.file);
        if done.file.is_file() {
            finished.retain(|f| f.node != done.node);
            finished.push(done);
        }
    }
    finished
}

/// Whether a run with this outcome has nothing left to do.
pub(crate) fn is_final(outcome: &Value) -> bool {
    outcome == "done" || outcome == "partial"
}

/// Reads a journal; a line that a power cut has torn is left out.
pub(crate) fn read_journal(folder: &Path) -> Result<Vec<Value>, EngineError> {
    let path = folder.join("journal.jsonl");
    let text = std::fs::read(&path).map_err(|e| EngineError::file("read", &path, e))?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn new_folder(runs: &Path, workflow: &str) -> Result<(String, PathBuf), EngineError> {
    loop {
        let time = chrono::Utc::now();
        let seed = format!("{workflow} {:?} {}", time.timestamp_nanos_opt(), std::process::id());
        let hash: String = Sha256::digest(seed.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let id = format!("{}-{hash}", time.format("%Y%m%d-%H%M%S"));
        let path = runs.join(&id);
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok((id, path)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(EngineError::file("create", &path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{plan_of, planned};

    #[test]
    fn a_torn_journal_is_read_up_to_the_tear_and_appended_to() {
        let runs = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(runs.path(), &plan_of(vec![planned("a", &[], 0, 0)])).unwrap();
        let (id, path) = (folder.id().to_owned(), folder.path().to_owned());
        let busy = RunFolder::resume(&id, path.clone(), &|_| None).err().unwrap();
        assert!(matches!(busy, EngineError::Busy { .. }), "{busy}");
        drop(folder);
        let journal = path.join("journal.jsonl");
        let whole = std::fs::read_to_string(&journal).unwrap();
        std::fs::write(&journal, format!("{whole}{{\"event\": \"node-do")).unwrap();
        let (_, plan, finished) = RunFolder::resume(&id, path.clone(), &|_| None).unwrap();
        assert_eq!((plan.nodes.len(), finished.len()), (1, 0));
        let events: Vec<_> = read_journal(&path).unwrap().iter().map(|e| e["event"].to_string()).collect();
        assert_eq!(events, ["\"started\"", "\"resumed\""]);
    }

    #[test]
    fn two_runs_of_one_moment_have_two_folders() {
        let runs = tempfile::tempdir().unwrap();
        let plan = plan_of(Vec::new());
        let ids: std::collections::BTreeSet<_> =
            (0..20).map(|_| RunFolder::create(runs.path(), &plan).unwrap().id().to_owned()).collect();
        assert_eq!(ids.len(), 20);
    }
}
