//! The second stage: every edge's columns, facts, rows, costs and memory, before a pixel is read.

mod display;
mod host;
mod memory;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{About, Cost, Host, NodePlan, PlanInput, PlanInputs};

use crate::cancel::Cancel;
use crate::plugins::PluginSet;
use crate::report::Record;
use crate::run::{Event, Events, NoEvents, Part};
use crate::spec::{Edge, Fault, Faults, NodeSpec, Spec};

pub(crate) use host::PlanHost;
pub(crate) use memory::batch_bytes;
pub use memory::{MemoryPlan, usable_memory};
pub(crate) use store::{file_name, read_plan, read_rows, remove_private, write_whole};

/// What planning may use.
#[derive(Clone)]
#[non_exhaustive]
pub struct PlanOptions {
    /// Limit of resident memory without mapped files, in bytes; absent: three quarters of the machine's.
    pub memory: Option<u64>,
    /// How many processors the run may use; absent: all.
    pub threads: Option<usize>,
    /// Which of how many processes this is, where several will do the run.
    pub part: Part,
    /// Whether the process is another program's, whose allocator is left as it is.
    pub guest: bool,
    /// Ends planning early.
    pub cancel: Cancel,
    /// Who hears what nodes say while they plan, also of a plan that fails.
    pub events: Arc<dyn Events>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        let (part, cancel, events) = (Part::default(), Cancel::new(), Arc::new(NoEvents));
        Self { memory: None, threads: None, part, guest: false, cancel, events }
    }
}

/// Which workflow a plan or a run is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowId {
    /// Its name.
    pub name: String,
    /// Its file, as it was named.
    pub file: PathBuf,
    /// The folder of the file.
    pub folder: PathBuf,
    /// Hash of its canonical form, as hex.
    pub sha256: String,
    /// Its canonical form.
    pub canonical: Value,
}

/// A workflow of which every node knows what it will do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its nodes, each after its inputs.
    pub nodes: Vec<PlannedNode>,
    /// All costs, equal names and units added up.
    pub costs: Vec<Cost>,
    /// Memory: the budget, and the least that works.
    pub memory: MemoryPlan,
    /// What the nodes had to report while planning: decisions, skipped inputs.
    pub records: Vec<Record>,
    /// How many processors the run may use.
    pub threads: usize,
}

/// A node of a plan.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedNode {
    /// Name in the workflow.
    pub name: String,
    /// Name of its type.
    pub uses: String,
    /// Settings as the node receives them. May hold secrets.
    pub settings: Value,
    /// Settings as they may be shown.
    pub public_settings: Value,
    /// Its input edges.
    pub inputs: Vec<Edge>,
    /// Kind of its output.
    pub output: String,
    /// What it promises.
    pub plan: NodePlan,
}

impl Plan {
    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&PlannedNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// What a node is told of the workflow that it is part of.
    pub(crate) fn about(&self, node: &str) -> About {
        let mut about = About::default();
        about.node = node.to_owned();
        about.workflow = self.workflow.name.clone();
        about.workflow_sha256 = self.workflow.sha256.clone();
        about.threads = self.threads;
        about.base = self.workflow.folder.clone();
        about
    }

    /// How many input ports read a node's output.
    pub fn readers(&self, name: &str) -> usize {
        self.nodes.iter().flat_map(|node| &node.inputs).filter(|edge| edge.from == name).count()
    }
}

/// Plans a workflow: reads headers, no pixels.
///
/// # Errors
/// Every mistake that nodes find, each at its place in the file, and a memory budget that is too small.
pub fn plan(spec: &Spec, plugins: &PluginSet, options: &PlanOptions) -> Result<Plan, Faults> {
    if !options.guest {
        manage_memory(options.memory.is_some());
    }
    let threads = options.threads.unwrap_or_else(all_processors).max(1);
    let records = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut nodes: Vec<PlannedNode> = Vec::new();
    let mut faults = Faults::default();
    let mut failed: Vec<&str> = Vec::new();
    for node in &spec.nodes {
        // A node behind a fault cannot be planned; its own faults show when that one is mended.
        if node.inputs.iter().any(|edge| failed.contains(&edge.from.as_str())) {
            failed.push(&node.name);
            continue;
        }
        options.events.event(&Event::NodePlanning { node: node.name.clone() });
        let host = Host::new(PlanHost::new(spec, &node.name, threads, records.clone(), options));
        match plan_node(node, plugins, &nodes, &host) {
            Ok(planned) => nodes.push(planned),
            Err(found) => {
                failed.push(&node.name);
                faults.extend(found.into_iter().map(|fault| spec.locate(fault.node(&node.name))));
            }
        }
        if options.cancel.is_cancelled() {
            return Err(Fault::new("cancelled", "planning was cancelled").into());
        }
    }
    if !faults.is_empty() {
        return Err(faults.sorted());
    }
    let memory = MemoryPlan::new(&nodes, options.memory, threads);
    if let Some(fault) = memory.fault(&nodes) {
        return Err(fault.into());
    }
    let records = std::mem::take(&mut *records.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let workflow = WorkflowId {
        name: spec.name.clone(),
        file: spec.file.clone(),
        folder: spec.folder.clone(),
        sha256: spec.hash.clone(),
        canonical: spec.canonical.clone(),
    };
    Ok(Plan { workflow, costs: added_up(&nodes), nodes, memory, records, threads })
}

/// A run with a limit holds what it needs; one without is fast.
pub(crate) fn manage_memory(limited: bool) {
    if limited { skysense_abi::return_freed_memory() } else { skysense_abi::reuse_freed_memory() }
}

pub(crate) fn all_processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn plan_node(
    node: &NodeSpec,
    plugins: &PluginSet,
    before: &[PlannedNode],
    host: &Host,
) -> Result<PlannedNode, Vec<Fault>> {
    let Some((plugin, description)) = plugins.node(&node.uses) else {
        return Err(vec![Fault::new("unknown-node", format!("no plugin brings the node `{}`", node.uses))]);
    };
    let mut inputs = PlanInputs::default();
    for edge in &node.inputs {
        let Some(source) = before.iter().find(|n| n.name == edge.from) else {
            return Err(vec![Fault::new("unknown-node", format!("input `{}` reads no node", edge.from))]);
        };
        let port = description.doc.inputs.iter().find(|port| port.name == edge.port);
        let kinds = port.map(|port| port.kinds.as_slice()).unwrap_or_default();
        if port.is_none() || (!kinds.is_empty() && !kinds.contains(&source.output)) {
            let fault = Fault::new("port", format!("`{}` cannot read `{}`", node.uses, edge.from));
            let expected = if port.is_none() { "no such input".to_owned() } else { kinds.join(" or ") };
            return Err(vec![fault.expected(expected).found(&source.output)]);
        }
        let plan = &source.plan;
        let input = PlanInput::new(&source.output, plan.schema.clone(), plan.facts.clone(), plan.rows.clone());
        inputs = inputs.with(&edge.port, input);
    }
    let plan = plugin
        .plan(&node.uses, &node.settings, &inputs, host)
        .map_err(|faults| faults.into_iter().map(|fault| Fault::of_node(&node.name, fault)).collect::<Vec<_>>())?;
    Ok(PlannedNode {
        name: node.name.clone(),
        uses: node.uses.clone(),
        settings: node.settings.clone(),
        public_settings: node.public_settings.clone(),
        inputs: node.inputs.clone(),
        output: description.doc.output.clone(),
        plan,
    })
}

fn added_up(nodes: &[PlannedNode]) -> Vec<Cost> {
    let mut sums: BTreeMap<(String, String), f64> = BTreeMap::new();
    for cost in nodes.iter().flat_map(|node| &node.plan.costs) {
        *sums.entry((cost.name.clone(), cost.unit.clone())).or_default() += cost.value;
    }
    sums.into_iter().map(|((name, unit), value)| Cost { name, value, unit }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use arrow::array::{Int32Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    pub(crate) fn planned(name: &str, from: &[&str], working_bytes: u64, batch_bytes: u64) -> PlannedNode {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false)]));
        let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int32Array::from(vec![1, 2]))]).unwrap();
        PlannedNode {
            name: name.into(),
            uses: "test".into(),
            settings: Value::Null,
            public_settings: Value::Null,
            inputs: from.iter().map(|&from| Edge { port: "in".into(), from: from.into() }).collect(),
            output: "item".into(),
            plan: NodePlan::new(schema).rows(vec![rows]).memory(working_bytes, batch_bytes),
        }
    }

    pub(crate) fn plan_of(nodes: Vec<PlannedNode>) -> Plan {
        let workflow = WorkflowId {
            name: "test".into(),
            file: "test.yaml".into(),
            folder: ".".into(),
            sha256: "0".repeat(64),
            canonical: Value::Null,
        };
        let memory = MemoryPlan::new(&nodes, None, 1);
        Plan { workflow, costs: added_up(&nodes), nodes, memory, records: Vec::new(), threads: 1 }
    }
}
