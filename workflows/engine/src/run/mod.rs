//! The third stage: nodes as tasks, queues between them, one memory budget, and a folder that a run can be
//! resumed from.

mod budget;
mod devices;
mod edge;
mod event;
mod folder;
mod host;
mod queue;
mod spool;
mod state;
mod task;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use skysense_abi::NodeError;
use tokio::task::JoinSet;

use crate::cancel::Cancel;
use crate::error::EngineError;
use crate::plan::{MemoryPlan, Plan};
use crate::plugins::PluginSet;
use crate::report::{MemoryReport, NodeOutcome, Outcome, RunReport};

pub(crate) use devices::Devices;
pub use event::{Event, Events, Measured, NoEvents};
pub(crate) use folder::{Finished, RunFolder, is_final, read_journal};
use state::RunState;

/// How often memory is looked at, and a cancelled run noticed.
const TICK: Duration = Duration::from_millis(25);

/// How a run goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunOptions {
    /// Folder in which runs are kept: `.skysense/runs`.
    pub runs: PathBuf,
    /// Devices that nodes may use: `auto`, `cpu`, `cuda`, `cuda:1`.
    pub devices: Vec<String>,
    /// Ends the run early.
    pub cancel: Cancel,
    /// Which of how many processes this is.
    pub part: Part,
}

/// One of the processes that do a run together. Rank 0 does the run; the others do those nodes that several processes do
/// as one, and what these need, and leave nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// This process, from 0.
    pub rank: usize,
    /// How many there are.
    pub processes: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self { rank: 0, processes: 1 }
    }
}

impl Part {
    /// Whether this process only helps.
    pub(crate) fn helps(self) -> bool {
        self.rank > 0
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            runs: PathBuf::from(".skysense/runs"),
            devices: vec!["auto".into()],
            cancel: Cancel::new(),
            part: Part::default(),
        }
    }
}

/// Runs a plan. Blocks until the run has ended, and must not be called from async code.
///
/// A node that fails, a panic in a plugin and cancelling end the run; the report says so.
///
/// # Errors
/// The run's folder cannot be made, or a plugin of the plan is not there.
pub fn run(
    plan: Plan,
    plugins: &PluginSet,
    options: &RunOptions,
    events: Arc<dyn Events>,
) -> Result<RunReport, EngineError> {
    let folder = RunFolder::create(&runs_of(options), &plan)?;
    execute(plan, plugins, options, folder, Vec::new(), events)
}

/// Where the folder of this process's run goes. Folders of helpers are no runs that one lists or resumes.
pub(crate) fn runs_of(options: &RunOptions) -> PathBuf {
    if options.part.helps() { options.runs.join("ranks") } else { options.runs.clone() }
}

/// Runs what is left of a plan in the folder of its run.
pub(crate) fn execute(
    plan: Plan,
    plugins: &PluginSet,
    options: &RunOptions,
    folder: RunFolder,
    finished: Vec<Finished>,
    events: Arc<dyn Events>,
) -> Result<RunReport, EngineError> {
    crate::plan::manage_memory(plan.memory.explicit);
    let mut together = Vec::with_capacity(plan.nodes.len());
    for node in &plan.nodes {
        let Some((_, description)) = plugins.node(&node.uses) else {
            return Err(EngineError::NoNode { uses: node.uses.clone() });
        };
        together.push(description.doc.together);
    }
    if options.part.processes > 1 && !together.contains(&true) {
        return Err(EngineError::Alone { processes: options.part.processes });
    }
    let begun = Instant::now();
    folder.make_scratch()?;
    let state = Arc::new(RunState::new(plan, options, folder, (finished, together), events));
    state
        .events
        .event(&Event::RunStarted { run: state.folder.id().to_owned(), folder: state.folder.path().to_owned() });
    let threads = state.plan.threads;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(state.plan.nodes.len() + 4)
        .thread_name("skysense-node")
        // Threads that nodes start inherit this, so `--threads` bounds them all.
        .on_thread_start(move || {
            if threads < crate::plan::all_processors() {
                skysense_abi::limit_thread_cpus(threads);
            }
        })
        .enable_time()
        .build()
        .map_err(|e| EngineError::file("start the runtime for", state.folder.path(), e))?;
    let peak = runtime.block_on(drive(&state, plugins));
    drop(runtime);
    Ok(finish(&state, peak, begun))
}

/// Starts all nodes, waits for their end, and watches memory meanwhile.
async fn drive(state: &Arc<RunState>, plugins: &PluginSet) -> u64 {
    let mut tasks = JoinSet::new();
    for position in 0..state.plan.nodes.len() {
        if !state.is_needed(position) {
            continue;
        }
        let Some((plugin, _)) = plugins.node(&state.plan.nodes[position].uses) else { continue };
        let (state, plugin) = (state.clone(), plugin.clone());
        tasks.spawn_blocking(move || task::run_node(&state, &plugin, position));
    }
    let (mut tick, mut peak) = (tokio::time::interval(TICK), 0);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return peak,
                Some(Ok(())) => {}
                // The task catches panics of plugins; this is one of the engine's own.
                Some(Err(error)) => state.fail(NodeError::new("panic", format!("the engine failed: {error}"))),
            },
            _ = tick.tick() => {
                if state.cancel.is_cancelled() && !state.stop.is_cancelled() {
                    state.fail(NodeError::cancelled());
                }
                let held = skysense_abi::resident().map_or(0, |r| r.anonymous);
                peak = peak.max(held);
                check_memory(state, held);
            }
        }
    }
}

/// Ends a run that holds more than its budget: a limit that only was a hope would be found out by the kernel.
fn check_memory(state: &RunState, held: u64) {
    let MemoryPlan { budget, explicit, .. } = state.plan.memory;
    if explicit && held > budget {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let message = format!("the run holds {} MiB, its budget is {} MiB", mib(held), mib(budget));
        state.fail(
            NodeError::new("memory.exceeded", message)
                .because("a node holds more memory than its plan promised")
                .hint("use a larger --memory; and report this to the plugin's authors"),
        );
    }
}

fn finish(state: &RunState, peak: u64, begun: Instant) -> RunReport {
    let error = state.failure();
    let nodes = state.node_reports();
    let mut report = RunReport {
        run: state.folder.id().to_owned(),
        outcome: Outcome::Done,
        workflow: state.plan.workflow.clone(),
        outputs: Vec::new(),
        counts: nodes.iter().map(|(name, node)| (format!("{name}.rows"), node.rows)).collect(),
        skipped: Vec::new(),
        decisions: Vec::new(),
        records: Vec::new(),
        planned: state.plan.costs.clone(),
        memory: MemoryReport { budget: state.plan.memory.budget, planned_least: state.plan.memory.least, peak },
        seconds: begun.elapsed().as_secs_f64(),
        resumed: state.resumed,
        error: None,
        report: state.folder.path().join("report.json"),
        nodes,
    };
    report.take_records(state.plan.records.clone());
    report.take_records(state.records());
    report.outcome = match &error {
        Some(error) if error.is_cancelled() => Outcome::Cancelled,
        Some(_) => Outcome::Failed,
        None if state.cancel.is_cancelled() && report.nodes.values().any(|n| n.outcome == NodeOutcome::Stopped) => {
            Outcome::Cancelled
        }
        None if !report.skipped.is_empty() => Outcome::Partial,
        None => Outcome::Done,
    };
    report.error = error;
    state.folder.clear_scratch();
    if let Err(unkept) = keep(state, &report) {
        // Why the run failed matters more than that its folder cannot say so; a run that did not fail is one that
        // nothing is known of afterwards.
        report.error = Some(match report.error {
            Some(error) => error.because(&unkept.message),
            None => unkept,
        });
        report.outcome = if report.outcome == Outcome::Cancelled { Outcome::Cancelled } else { Outcome::Failed };
        let _ = write_report(&report);
    }
    state.events.event(&Event::RunFinished { outcome: report.outcome, seconds: report.seconds });
    report
}

/// Leaves the report and the end of the journal in the run's folder.
fn keep(state: &RunState, report: &RunReport) -> Result<(), NodeError> {
    state.folder.check()?;
    write_report(report)?;
    state.folder.journal(&json!({"event": "finished", "outcome": report.outcome}))?;
    // Nothing resumes a run that is done.
    if is_final(&json!(report.outcome)) {
        crate::plan::remove_private(state.folder.path());
        let outputs = report.outputs.iter().filter_map(|output| output["href"].as_str());
        state.folder.clear_nodes(&outputs.map(PathBuf::from).collect::<Vec<_>>());
        if state.part.helps() {
            state.folder.remove();
        }
    }
    Ok(())
}

fn write_report(report: &RunReport) -> Result<(), EngineError> {
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    crate::plan::write_whole(&report.report, text.as_bytes())
}
