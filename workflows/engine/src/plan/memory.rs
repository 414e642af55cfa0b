//! What a run will hold in memory, and how a budget is shared out.
//!
//! The budget bounds resident memory without mapped files. It is made of a fixed part (what the process holds
//! when planning is done: runtime, plugins, planned rows; and room for the engine itself), what each node
//! promised to hold, and batches on edges. What is left goes to deeper queues and to leases.

use serde::{Deserialize, Serialize};

use super::PlannedNode;
use crate::spec::Fault;

/// Room for the engine's own threads, tables and for what the allocator keeps.
const ENGINE_BYTES: u64 = 32 << 20;
/// How much more a process may hold when it is started again: the least that is named has to do then, too.
const SPREAD: u64 = 12 << 20;
/// The least is named in whole steps.
const STEP: u64 = 16 << 20;
/// Stack and small things of a node's thread.
const NODE_BYTES: u64 = 2 << 20;
/// What a batch is taken for when a node promises nothing.
const SMALL_BATCH: u64 = 1 << 20;
/// Batches on an edge with one reader: one that is handed over, one in the queue, one being read.
const QUEUE_BATCHES: u64 = 3;
/// Batches of an edge that is spooled to a file: one that is handed over and its encoded form.
const SPOOL_BATCHES: u64 = 2;
/// Batches of each reader of a spooled edge: one being read, the next being decoded.
const SPOOL_READER_BATCHES: u64 = 2;
/// How many more batches a queue may hold when there is memory for it.
const MOST_EXTRA: u64 = 6;

/// Memory of a run, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryPlan {
    /// The limit.
    pub budget: u64,
    /// Whether someone set the limit. Then a run that passes it ends.
    pub explicit: bool,
    /// What the process holds before the run, and the engine's own part.
    pub fixed: u64,
    /// The least that works, whenever the workflow is planned again.
    pub least: u64,
    /// What is needed this time.
    pub needed: u64,
    /// How many more batches each queue may hold.
    pub extra_batches: u64,
    /// What is left for leases.
    pub leases: u64,
}

/// Bytes of a node's largest batch.
pub(crate) fn batch_bytes(node: &PlannedNode) -> u64 {
    match node.plan.memory.batch_bytes {
        0 => SMALL_BATCH,
        bytes => bytes,
    }
}

/// How many batches an edge holds at least.
fn buffered_batches(readers: usize) -> u64 {
    match readers {
        0 => 1,
        1 => QUEUE_BATCHES,
        n => SPOOL_BATCHES + SPOOL_READER_BATCHES * n as u64,
    }
}

fn readers(nodes: &[PlannedNode], name: &str) -> usize {
    nodes.iter().flat_map(|n| &n.inputs).filter(|edge| edge.from == name).count()
}

fn node_bytes(nodes: &[PlannedNode], node: &PlannedNode) -> u64 {
    let edges = batch_bytes(node).saturating_mul(buffered_batches(readers(nodes, &node.name)));
    node.plan.memory.working_bytes.saturating_add(edges).saturating_add(NODE_BYTES)
}

impl MemoryPlan {
    pub(crate) fn new(nodes: &[PlannedNode], wanted: Option<u64>, threads: usize) -> Self {
        let held = skysense_abi::resident().map_or(0, |r| r.anonymous);
        Self::with_held(nodes, wanted, held, threads)
    }

    fn with_held(nodes: &[PlannedNode], wanted: Option<u64>, held: u64, threads: usize) -> Self {
        let fixed = held.saturating_add(ENGINE_BYTES);
        let needed = nodes.iter().fold(fixed, |sum, node| sum.saturating_add(node_bytes(nodes, node)));
        let least = needed.saturating_add(SPREAD).checked_next_multiple_of(STEP).unwrap_or(u64::MAX);
        // Without a limit of their own, people expect a run that fits the machine to run.
        let budget = wanted.unwrap_or_else(|| usable_memory().max(least));
        let spare = budget.saturating_sub(needed);
        let queued: u64 =
            nodes.iter().filter(|n| readers(nodes, &n.name) == 1).map(batch_bytes).fold(0, u64::saturating_add);
        // One processor cannot work ahead: batches in a queue would only leave its cache before they are read.
        let most = if threads == 1 { 0 } else { MOST_EXTRA };
        let extra_batches = (spare / 2).checked_div(queued).unwrap_or(0).min(most);
        let leases = spare - extra_batches * queued;
        Self { budget, explicit: wanted.is_some(), fixed, least, needed, extra_batches, leases }
    }

    /// The fault of a budget that is too small: it names the least that works, and who needs most of it.
    pub(crate) fn fault(&self, nodes: &[PlannedNode]) -> Option<Fault> {
        if self.budget >= self.needed {
            return None;
        }
        let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
        let mut parts = vec![("the process itself".to_owned(), self.fixed)];
        parts.extend(nodes.iter().map(|node| (format!("node {}", node.name), node_bytes(nodes, node))));
        parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let most: Vec<_> = parts.iter().take(3).map(|(who, bytes)| format!("{who} {}", mib(*bytes))).collect();
        let message = format!("a memory budget of {} is too small for this workflow", mib(self.budget));
        Some(
            Fault::new("memory", message)
                .expected(format!("at least {}", mib(self.least)))
                .cause(format!("most of it: {}", most.join(", ")))
                .hint(format!(
                    "use `--memory {}MiB` or more, or smaller chips and batches",
                    self.least.div_ceil(1 << 20)
                )),
        )
    }
}

/// What runs may hold where nobody says how much: three quarters of the memory of this machine or container, in bytes.
pub fn usable_memory() -> u64 {
    machine_memory() / 4 * 3
}

/// Memory of this machine or container.
fn machine_memory() -> u64 {
    let limit = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    });
    let total = total.map_or(4 << 30, |kib| kib << 10);
    limit("/sys/fs/cgroup/memory.max").map_or(total, |limit| limit.min(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::planned;

    #[test]
    fn spare_memory_goes_to_queues_and_leases() {
        let mib = 1 << 20;
        let nodes = [planned("a", &[], 10 * mib, 4 * mib), planned("b", &["a"], 20 * mib, mib)];
        let least = MemoryPlan::with_held(&nodes, Some(0), 8 * mib, 2);
        // 8 + 32 fixed, a: 10 + 3 x 4 + 2, b: 20 + 1 + 2.
        assert_eq!(least.needed, (8 + 32 + 24 + 23) * mib);
        // The least that is named does the next time as well, when the process holds somewhat more.
        assert!(least.fault(&nodes).unwrap().to_string().contains("--memory 112MiB"));
        let again = MemoryPlan::with_held(&nodes, Some(least.least), 19 * mib, 2);
        assert!(again.fault(&nodes).is_none());
        let exact = MemoryPlan::with_held(&nodes, Some(87 * mib), 8 * mib, 2);
        assert_eq!((exact.extra_batches, exact.leases), (0, 0));
        assert!(exact.fault(&nodes).is_none());
        let roomy = MemoryPlan::with_held(&nodes, Some(107 * mib), 8 * mib, 2);
        assert_eq!((roomy.extra_batches, roomy.leases), (2, 12 * mib));
        let alone = MemoryPlan::with_held(&nodes, Some(107 * mib), 8 * mib, 1);
        assert_eq!((alone.extra_batches, alone.leases), (0, 20 * mib));
    }

    #[test]
    fn a_promise_of_nothing_and_of_too_much_do_not_overflow() {
        let nodes = [planned("a", &[], u64::MAX, u64::MAX), planned("b", &["a"], 0, 0)];
        let memory = MemoryPlan::with_held(&nodes, Some(1 << 30), 0, 2);
        assert_eq!(memory.least, u64::MAX);
        assert!(memory.fault(&nodes).is_some());
    }
}
