//! Runs nodes in this process, as an engine would: plan with the plans before, then run with their batches.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use serde_json::Value;
use skysense_abi::{
    About, BatchStream, Fault, Host, HostCallbacks, NodeError, NodePlan, PlanInput, PlanInputs, RunInput, RunInputs,
};
use skysense_plugin::{NODES, TOOLS};

/// A host that remembers what it was told.
#[derive(Clone, Default)]
pub(crate) struct Told {
    /// Kind and record of every report.
    pub(crate) reports: Arc<Mutex<Vec<(String, Value)>>>,
    /// Whether the run is being cancelled.
    pub(crate) cancelled: Arc<AtomicBool>,
    about: About,
    scratch: String,
}

impl HostCallbacks for Told {
    fn report(&self, kind: &str, record: Value) {
        self.reports.lock().unwrap().push((kind.into(), record));
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn about(&self) -> About {
        self.about.clone()
    }

    fn scratch(&self) -> String {
        self.scratch.clone()
    }
}

impl Told {
    /// Records of a kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.reports.lock().unwrap().iter().filter(|(k, _)| k == kind).map(|(_, record)| record.clone()).collect()
    }
}

/// A workflow in this process.
pub(crate) struct Bench {
    /// What the host was told.
    pub(crate) told: Told,
    host: Host,
}

/// A node that was planned.
#[derive(Clone)]
pub(crate) struct Planned {
    name: &'static str,
    settings: String,
    kind: String,
    /// Its plan.
    pub(crate) plan: NodePlan,
}

impl Planned {
    /// A node of someone else, of which only its output is known.
    pub(crate) fn of_kind(kind: &str, plan: NodePlan) -> Self {
        Self { name: "elsewhere", settings: String::new(), kind: kind.into(), plan }
    }
}

impl Bench {
    /// A bench with this many threads, in a folder for relative paths.
    pub(crate) fn new(threads: usize, base: impl Into<PathBuf>) -> Self {
        Self::of(threads, base.into(), false)
    }

    /// As [`Bench::new`], of a run that goes on after it was broken off.
    pub(crate) fn resumed(threads: usize, base: impl Into<PathBuf>) -> Self {
        Self::of(threads, base.into(), true)
    }

    fn of(threads: usize, base: PathBuf, resumed: bool) -> Self {
        let mut about = About::default();
        about.threads = threads;
        about.resumed = resumed;
        about.workflow_sha256 = "5".repeat(64);
        about.base.clone_from(&base);
        let told = Told { about, scratch: base.join("scratch").display().to_string(), ..Told::default() };
        Self { host: Host::new(told.clone()), told }
    }

    /// Plans a node behind others, given as `(port, node)`.
    pub(crate) fn plan(
        &self,
        name: &'static str,
        settings: Value,
        inputs: &[(&str, &Planned)],
    ) -> Result<Planned, Vec<Fault>> {
        let entry = NODES.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no node {name}"));
        let mut ports = PlanInputs::default();
        for (port, before) in inputs {
            let plan = &before.plan;
            ports = ports
                .with(port, PlanInput::new(&before.kind, plan.schema.clone(), plan.facts.clone(), plan.rows.clone()));
        }
        let settings = settings.to_string();
        let plan = entry.plan(&settings, &ports, &self.host)?;
        Ok(Planned { name, settings, kind: entry.describe().doc.output, plan })
    }

    /// Runs a planned node on batches, given as `(port, node, batches)`.
    pub(crate) fn run(
        &self,
        node: &Planned,
        inputs: &[(&str, &Planned, Vec<RecordBatch>)],
    ) -> Result<Vec<RecordBatch>, NodeError> {
        let streams = inputs.iter().map(|(port, before, batches)| {
            let stream: BatchStream = Box::new(batches.clone().into_iter().map(Ok));
            (*port, *before, stream)
        });
        self.run_streams(node, streams.collect())
    }

    /// Runs a planned node on streams, given as `(port, node, stream)`.
    pub(crate) fn run_streams(
        &self,
        node: &Planned,
        inputs: Vec<(&str, &Planned, BatchStream)>,
    ) -> Result<Vec<RecordBatch>, NodeError> {
        let entry = NODES.iter().find(|entry| entry.name == node.name).expect("planned before");
        let mut ports = RunInputs::default();
        for (port, before, stream) in inputs {
            ports = ports.with(port, RunInput::new(&before.kind, before.plan.schema.clone(), stream));
        }
        let batches: Vec<RecordBatch> =
            entry.run(&node.settings, node.plan.clone(), ports, self.host.clone())?.collect::<Result<_, _>>()?;
        for batch in &batches {
            assert_eq!(batch.schema(), node.plan.schema, "{}: the run keeps the schema of its plan", node.name);
        }
        Ok(batches)
    }

    /// Calls a tool.
    pub(crate) fn call(&self, name: &str, arguments: &Value) -> Result<Value, NodeError> {
        let entry = TOOLS.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no tool {name}"));
        let answer = entry.call(&arguments.to_string(), &self.host)?;
        Ok(serde_json::from_str(&answer).expect("a tool answers in JSON"))
    }
}

/// The folder of real data, or `None` with a loud word.
pub(crate) fn real_data() -> Option<PathBuf> {
    let found = std::env::var_os("SKYSENSE_REAL_DATA")
        .map(PathBuf::from)
        .filter(|path| path.join("stac/catalog.json").is_file());
    if found.is_none() {
        eprintln!(
            "\n*** SKIPPED: set SKYSENSE_REAL_DATA to the folder that holds `stac` and `items` to run this test ***\n"
        );
    }
    found
}

/// All messages of faults in one text.
pub(crate) fn messages(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(|fault| {
            format!("{} {}: {} ({})", fault.code, fault.field, fault.message, fault.hint.as_deref().unwrap_or("-"))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// A planned node, or a panic with its faults.
pub(crate) fn good(planned: Result<Planned, Vec<Fault>>) -> Planned {
    planned.unwrap_or_else(|faults| panic!("{}", messages(&faults)))
}
