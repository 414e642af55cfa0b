//! What happens while a workflow is planned and run, as it happens: for progress bars and JSON lines.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{Level, NodeError};

use crate::report::{NodeOutcome, Outcome};

/// Something that happened in a run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A node is being planned.
    NodePlanning {
        /// The node.
        node: String,
    },
    /// The run begins.
    RunStarted {
        /// Its id.
        run: String,
        /// Its folder.
        folder: PathBuf,
    },
    /// A node begins.
    NodeStarted {
        /// The node.
        node: String,
    },
    /// A node says how far it is.
    Progress {
        /// The node.
        node: String,
        /// How many are done.
        done: u64,
        /// Of how many, if that is known.
        total: Option<u64>,
        /// Of what.
        unit: String,
    },
    /// A node tells the numbers of one step of many.
    Measures {
        /// The node.
        node: String,
        /// The numbers.
        #[serde(flatten)]
        measured: Measured,
    },
    /// A node gave a batch.
    Batch {
        /// The node.
        node: String,
        /// Rows so far.
        rows: u64,
        /// Rows in all, if the plan knows them.
        planned: Option<u64>,
    },
    /// A line for the log.
    Log {
        /// The node.
        node: String,
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
    /// A record for the report.
    Record {
        /// The node.
        node: String,
        /// Its kind: `skipped`, `decision`, `output`, …
        kind: String,
        /// The record.
        record: Value,
    },
    /// A node came to an end.
    NodeFinished {
        /// The node.
        node: String,
        /// How it ended.
        outcome: NodeOutcome,
        /// Rows that it gave.
        rows: u64,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<NodeError>,
    },
    /// The run came to an end.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
        /// Seconds that it took.
        seconds: f64,
    },
}

/// The numbers of one step of a node that takes many, such as one that trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// Steps done, this one counted.
    pub step: u64,
    /// Of how many, if that is known.
    #[serde(default)]
    pub steps: Option<u64>,
    /// By name; what is no number is absent.
    pub values: BTreeMap<String, Option<f64>>,
}

/// Whoever wants to hear of it. Called from the nodes' threads: be quick.
pub trait Events: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Nobody wants to hear of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn event(&self, _: &Event) {}
}

impl<F: Fn(&Event) + Send + Sync> Events for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}
