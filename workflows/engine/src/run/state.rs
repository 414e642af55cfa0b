//! What the tasks of a run share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skysense_abi::{BatchStream, NodeError};

use super::budget::Budget;
use super::devices::Devices;
use super::edge::{Channel, Surroundings};
use super::event::Events;
use super::folder::{Finished, RunFolder};
use super::{Part, RunOptions};
use crate::cancel::Cancel;
use crate::plan::{Plan, file_name, read_rows};
use crate::report::{NodeOutcome, NodeReport, Record};

pub(super) struct RunState {
    pub(super) plan: Plan,
    pub(super) folder: RunFolder,
    pub(super) events: Arc<dyn Events>,
    /// The caller's switch.
    pub(super) cancel: Cancel,
    /// Ends all tasks: after a failure, or after the caller's switch.
    pub(super) stop: Cancel,
    pub(super) budget: Arc<Budget>,
    pub(super) devices: Devices,
    pub(super) resumed: bool,
    pub(super) part: Part,
    /// By position: the output of a node that runs.
    channels: Vec<Option<Channel>>,
    /// By position: the output of a node that an earlier part of the run has done.
    kept: Vec<Option<Finished>>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    failure: Option<NodeError>,
    records: Vec<Record>,
    nodes: BTreeMap<String, NodeReport>,
}

impl RunState {
    pub(super) fn new(
        plan: Plan,
        options: &RunOptions,
        folder: RunFolder,
        (finished, together): (Vec<Finished>, Vec<bool>),
        events: Arc<dyn Events>,
    ) -> Self {
        let resumed = crate::run::folder::read_journal(folder.path())
            .is_ok_and(|entries| entries.iter().any(|e| e["event"] == "resumed"));
        let kept: Vec<Option<Finished>> =
            plan.nodes.iter().map(|n| finished.iter().find(|f| f.node == n.name).cloned()).collect();
        let needed = needed(&plan, &kept, options.part.helps().then_some(together.as_slice()));
        let (stop, budget) = (Cancel::new(), Arc::new(Budget::new(plan.memory.leases)));
        let channels = (0..plan.nodes.len())
            .map(|i| {
                let node = &plan.nodes[i];
                let ports = plan.nodes.iter().zip(&needed).filter(|(_, needed)| **needed).flat_map(|(n, _)| &n.inputs);
                let readers = ports.filter(|edge| edge.from == node.name).count();
                let spool = folder.scratch().join(file_name(i, &node.name)).with_extension("spool");
                let surroundings = Surroundings { cancel: stop.clone(), budget: budget.clone(), spool };
                needed[i].then(|| Channel::new(&plan, node, readers, surroundings))
            })
            .collect();
        let mut shared = Shared::default();
        for (i, node) in plan.nodes.iter().enumerate() {
            let mut report = NodeReport::default();
            match &kept[i] {
                Some(kept) => {
                    report.outcome = NodeOutcome::Kept;
                    (report.rows, report.batches) = (kept.rows, kept.batches);
                    shared.records.extend(kept.records.clone());
                }
                None if !needed[i] => report.outcome = NodeOutcome::Unneeded,
                None => {}
            }
            shared.nodes.insert(node.name.clone(), report);
        }
        Self {
            events,
            cancel: options.cancel.clone(),
            stop,
            budget,
            devices: Devices::new(&options.devices),
            resumed,
            part: options.part,
            channels,
            kept,
            shared: Mutex::new(shared),
            plan,
            folder,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a node has to run.
    pub(super) fn is_needed(&self, position: usize) -> bool {
        self.channels[position].is_some()
    }

    /// The output of a node that runs.
    pub(super) fn channel(&self, position: usize) -> Option<&Channel> {
        self.channels[position].as_ref()
    }

    /// A reader's end of the edge from a node.
    pub(super) fn reader(&self, from: &str) -> Result<BatchStream, NodeError> {
        let lost = || NodeError::new("edge", format!("the edge from `{from}` is not there"));
        let position = self.plan.nodes.iter().position(|n| n.name == from).ok_or_else(lost)?;
        if let Some(kept) = &self.kept[position] {
            let path = self.folder.path().join(&kept.file);
            let (_, rows) = read_rows(&path)?;
            return Ok(Box::new(rows.into_iter().map(Ok)));
        }
        Ok(self.channel(position).ok_or_else(lost)?.reader())
    }

    /// Ends the run. What failed first counts; that a node was stopped because another failed does not.
    pub(super) fn fail(&self, error: NodeError) {
        let mut shared = self.shared();
        let replace = match &shared.failure {
            None => true,
            Some(first) => first.is_cancelled() && !error.is_cancelled() && !self.cancel.is_cancelled(),
        };
        if replace {
            shared.failure = Some(error);
        }
        drop(shared);
        self.stop.cancel();
    }

    /// Why the run failed, if it did. Being cancelled when all is done is no failure.
    pub(super) fn failure(&self) -> Option<NodeError> {
        let shared = self.shared();
        let all_done = shared.nodes.values().all(|n| !matches!(n.outcome, NodeOutcome::Stopped | NodeOutcome::Failed));
        shared.failure.clone().filter(|error| !(all_done && error.is_cancelled()))
    }

    pub(super) fn add_record(&self, record: Record) {
        self.shared().records.push(record);
    }

    /// All records, in the order of nodes.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = self.shared().records.clone();
        let place = |record: &Record| self.plan.nodes.iter().position(|n| n.name == record.node);
        records.sort_by_key(place);
        records
    }

    /// Records of one node.
    pub(super) fn records_of(&self, node: &str) -> Vec<Record> {
        self.shared().records.iter().filter(|r| r.node == node).cloned().collect()
    }

    pub(super) fn set_report(&self, node: &str, report: NodeReport) {
        self.shared().nodes.insert(node.to_owned(), report);
    }

    pub(super) fn node_reports(&self) -> BTreeMap<String, NodeReport> {
        self.shared().nodes.clone()
    }
}

/// By position: whether a node has to run: it is not kept, and it is an end of the graph or a node that has to
/// run reads it. Of a helper, those nodes are ends that it does together with others.
fn needed(plan: &Plan, kept: &[Option<Finished>], together: Option<&[bool]>) -> Vec<bool> {
    let mut needed = vec![false; plan.nodes.len()];
    for i in (0..plan.nodes.len()).rev() {
        let name = &plan.nodes[i].name;
        let mut readers =
            plan.nodes.iter().enumerate().filter(|(_, n)| n.inputs.iter().any(|edge| edge.from == *name)).peekable();
        let end = together.map_or(readers.peek().is_none(), |together| together[i]);
        let wanted = end || readers.any(|(reader, _)| needed[reader]);
        needed[i] = kept[i].is_none() && wanted;
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{plan_of, planned};

    #[test]
    fn what_is_kept_and_what_only_fed_it_does_not_run_again() {
        let nodes = vec![
            planned("search", &[], 0, 0),
            planned("chips", &["search"], 0, 0),
            planned("train", &["chips"], 0, 0),
            planned("map", &["chips", "train"], 0, 0),
            planned("features", &["search"], 0, 0),
        ];
        let plan = plan_of(nodes);
        let finished =
            |name: &str| Finished { node: name.into(), file: "x".into(), rows: 0, batches: 0, records: Vec::new() };
        let keep = |names: &[&str]| -> Vec<_> {
            plan.nodes.iter().map(|n| names.contains(&n.name.as_str()).then(|| finished(&n.name))).collect()
        };
        assert_eq!(needed(&plan, &keep(&[]), None), [true; 5]);
        assert_eq!(needed(&plan, &keep(&["search", "train"]), None), [false, true, false, true, true]);
        assert_eq!(needed(&plan, &keep(&["map", "features"]), None), [false; 5]);
        let together = [false, false, true, false, false];
        assert_eq!(needed(&plan, &keep(&[]), Some(&together)), [true, true, true, false, false], "a helper");
        assert_eq!(needed(&plan, &keep(&["train"]), Some(&together)), [false; 5], "one that is not needed any more");
    }
}
