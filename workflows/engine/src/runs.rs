//! Runs that were: what there is, what one did, and going on with one that was interrupted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::error::EngineError;
use crate::plan::MemoryPlan;
use crate::plugins::PluginSet;
use crate::report::RunReport;
use crate::run::{Events, RunFolder, RunOptions, execute, is_final, read_journal, runs_of};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunStatus {
    /// A process runs it now.
    Running,
    /// Its process went away; it can be resumed.
    Interrupted,
    /// It was cancelled; it can be resumed.
    Cancelled,
    /// A node failed; it can be resumed once the cause is mended.
    Failed,
    /// It came to its end.
    Done,
    /// It came to its end, and left inputs out.
    Partial,
}

/// A run, in one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunSummary {
    /// Its id.
    pub run: String,
    /// Name of its workflow.
    pub workflow: String,
    /// When it began, in UTC.
    pub started: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Its folder.
    pub folder: PathBuf,
}

/// A run in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunDetails {
    /// The run in one line.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// Its plan.
    pub plan: Value,
    /// Its report, once it has ended.
    pub report: Option<Value>,
    /// Its journal.
    pub journal: Vec<Value>,
}

/// All runs of a folder, the latest first.
///
/// # Errors
/// The folder is there and cannot be read.
pub fn list(runs: &Path) -> Result<Vec<RunSummary>, EngineError> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(EngineError::file("read", runs, e)),
    };
    // What is no run, or is being made just now, is passed over.
    let mut found: Vec<_> = entries.filter_map(|entry| summary(&entry.ok()?.path()).ok()).collect();
    found.sort_by(|a, b| (&b.started, &b.run).cmp(&(&a.started, &a.run)));
    Ok(found)
}

/// A run in full, by its id, the beginning of its id, or `latest`.
///
/// # Errors
/// There is no such run, or more than one begins so; or its files cannot be read.
pub fn show(runs: &Path, id: &str) -> Result<RunDetails, EngineError> {
    let summary = find(runs, id)?;
    let json = |name: &str| {
        let path = summary.folder.join(name);
        let text = std::fs::read_to_string(&path).map_err(|e| EngineError::file("read", &path, e))?;
        serde_json::from_str(&text).map_err(|e| EngineError::Broken { path, reason: e.to_string() })
    };
    let plan = json("plan.json")?;
    let report = if summary.folder.join("report.json").exists() { Some(json("report.json")?) } else { None };
    let journal = read_journal(&summary.folder)?;
    Ok(RunDetails { plan, report, journal, summary })
}

/// Goes on with a run that was interrupted, cancelled or that failed: nodes whose small outputs are complete
/// are not run again, the others are, and the outputs are the same bytes. `secret` looks up secrets, which are
/// never stored. `memory` and `threads`, if given, replace those of the plan.
///
/// # Errors
/// There is no such run, it is going on or finished, or a secret, a plugin or memory is missing.
pub fn resume(
    id: &str,
    plugins: &PluginSet,
    options: &RunOptions,
    limits: Limits<'_>,
    events: Arc<dyn Events>,
) -> Result<RunReport, EngineError> {
    let summary = find(&options.runs, id)?;
    let (folder, mut plan, finished) = if options.part.helps() {
        RunFolder::help(&runs_of(options), &summary.folder, limits.secret)?
    } else {
        RunFolder::resume(&summary.run, summary.folder, limits.secret)?
    };
    let budget = limits.memory.or(plan.memory.explicit.then_some(plan.memory.budget));
    plan.threads = limits.threads.unwrap_or(plan.threads);
    crate::plan::manage_memory(budget.is_some());
    plan.memory = MemoryPlan::new(&plan.nodes, budget, plan.threads);
    if let Some(fault) = plan.memory.fault(&plan.nodes) {
        return Err(EngineError::Memory(Box::new(fault)));
    }
    execute(plan, plugins, options, folder, finished, events)
}

/// What a resumed run is given anew.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Limits<'a> {
    /// Looks a secret up.
    pub secret: &'a dyn Fn(&str) -> Option<String>,
    /// Limit of memory, in bytes.
    pub memory: Option<u64>,
    /// How many processors.
    pub threads: Option<usize>,
}

impl<'a> Limits<'a> {
    /// The plan's own limits.
    pub fn of_plan(secret: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { secret, memory: None, threads: None }
    }

    /// Another limit of memory, in bytes.
    #[must_use]
    pub fn memory(mut self, bytes: Option<u64>) -> Self {
        self.memory = bytes;
        self
    }

    /// Another number of processors.
    #[must_use]
    pub fn threads(mut self, count: Option<usize>) -> Self {
        self.threads = count;
        self
    }
}

fn find(runs: &Path, id: &str) -> Result<RunSummary, EngineError> {
    let mut all = list(runs)?;
    let missing = || EngineError::NoRun { id: id.to_owned(), folder: runs.to_owned() };
    if id == "latest" {
        return all.into_iter().next().ok_or_else(missing);
    }
    if let Some(exact) = all.iter().position(|run| run.run == id) {
        return Ok(all.swap_remove(exact));
    }
    all.retain(|run| !id.is_empty() && run.run.starts_with(id));
    if all.len() == 1 { Ok(all.swap_remove(0)) } else { Err(missing()) }
}

fn summary(folder: &Path) -> Result<RunSummary, EngineError> {
    let journal = read_journal(folder)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(first) = journal.iter().find(|e| e["event"] == "started") else {
        let reason = "it does not begin with the start of a run".to_owned();
        return Err(EngineError::Broken { path: folder.join("journal.jsonl"), reason });
    };
    let last = journal.iter().rev().find(|e| e["event"] == "finished" || e["event"] == "resumed");
    let outcome = last.filter(|e| e["event"] == "finished").map(|e| &e["outcome"]);
    let status = match outcome {
        Some(outcome) if is_final(outcome) && outcome == "partial" => RunStatus::Partial,
        Some(outcome) if is_final(outcome) => RunStatus::Done,
        Some(outcome) if outcome == "cancelled" => RunStatus::Cancelled,
        Some(_) => RunStatus::Failed,
        None if is_locked(folder) => RunStatus::Running,
        None => RunStatus::Interrupted,
    };
    Ok(RunSummary {
        run: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        workflow: text(&first["workflow"]),
        started: text(&first["time"]),
        status,
        folder: folder.to_owned(),
    })
}

fn is_locked(folder: &Path) -> bool {
    let Ok(file) = std::fs::File::open(folder.join("journal.jsonl")) else { return false };
    matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}
