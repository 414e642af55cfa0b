//! What a run leaves for people and programs: `report.json`, and the object that `skysense run --json` ends with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{Cost, NodeError};

use crate::plan::WorkflowId;

/// Something that a node had to report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The node.
    pub node: String,
    /// `skipped`, `decision`, `output`, `count`, or a kind of the plugin's own.
    pub kind: String,
    /// The record.
    pub record: Value,
}

impl Record {
    /// The record as one line for people: `item: S2A, reason: no grid`.
    pub fn sentence(&self) -> String {
        let Some(fields) = self.record.as_object() else { return self.record.to_string() };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let fields = fields.iter().filter(|(_, value)| !value.is_null());
        fields.map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join(", ")
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All nodes came to their end.
    Done,
    /// All nodes came to their end, but inputs were left out.
    Partial,
    /// A node failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeOutcome {
    /// It did not come to its end.
    #[default]
    Stopped,
    /// It came to its end.
    Done,
    /// An earlier part of the run had done it.
    Kept,
    /// Nobody needed its output.
    Unneeded,
    /// It failed.
    Failed,
}

/// What a node did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeReport {
    /// How it ended.
    pub outcome: NodeOutcome,
    /// Rows that it gave.
    pub rows: u64,
    /// Batches that it gave.
    pub batches: u64,
    /// Bytes of its largest batch.
    pub largest_batch: u64,
    /// Seconds from its start to its end.
    pub seconds: f64,
    /// Seconds of these that it waited for its inputs.
    pub waited_for_input: f64,
    /// Seconds of these that it waited for its readers.
    pub waited_for_readers: f64,
}

/// Memory that a run held, in bytes, without mapped files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// The limit.
    pub budget: u64,
    /// The least that the plan asked for.
    pub planned_least: u64,
    /// The most that was seen.
    pub peak: u64,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The workflow.
    pub workflow: WorkflowId,
    /// What was written: {"node", "href", "role", …} each.
    pub outputs: Vec<Value>,
    /// Counts, summed: rows of each node as `<node>.rows`, and what nodes counted.
    pub counts: BTreeMap<String, u64>,
    /// Inputs that were left out: {"node", "item", "asset", "reason"} each.
    pub skipped: Vec<Value>,
    /// Decisions: {"node", "what", "value", "why"} each.
    pub decisions: Vec<Value>,
    /// Records of other kinds.
    pub records: Vec<Record>,
    /// What each node did.
    pub nodes: BTreeMap<String, NodeReport>,
    /// What was planned, to set beside `counts`.
    pub planned: Vec<Cost>,
    /// Memory.
    pub memory: MemoryReport,
    /// Seconds that it took; of the last part if it was resumed.
    pub seconds: f64,
    /// Whether it went on after an interruption.
    pub resumed: bool,
    /// Why it failed, with `node` in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<NodeError>,
    /// The file of this report.
    pub report: PathBuf,
}

impl RunReport {
    /// Sorts records into their places.
    pub(crate) fn take_records(&mut self, records: Vec<Record>) {
        for Record { node, kind, record } in records {
            let with_node = || match record.clone() {
                Value::Object(fields) => {
                    let mut all = serde_json::Map::from_iter([("node".to_owned(), Value::from(node.clone()))]);
                    all.extend(fields);
                    Value::Object(all)
                }
                other => serde_json::json!({"node": node, "record": other}),
            };
            match kind.as_str() {
                "output" => self.outputs.push(with_node()),
                "skipped" => self.skipped.push(with_node()),
                "decision" => self.decisions.push(with_node()),
                "count" => {
                    let name = record["name"].as_str().unwrap_or("unnamed").to_owned();
                    *self.counts.entry(name).or_default() += record["value"].as_u64().unwrap_or(0);
                }
                _ => self.records.push(Record { node, kind, record }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_reads_as_a_sentence() {
        let record = Record {
            node: "a".into(),
            kind: "skipped".into(),
            record: json!({"item": "S2A", "asset": null, "reason": "no grid"}),
        };
        assert_eq!(record.sentence(), "item: S2A, reason: no grid");
    }
}
