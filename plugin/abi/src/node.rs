//! What a node is: settings, a plan and a run.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::describe::NodeDoc;
use crate::error::{Fault, NodeError};
use crate::host::Host;
use crate::stream::BatchStream;

/// A kind of node. List it in the plugin's table with [`node`](crate::node()) and it is there: in workflows,
/// in the schema that editors use, in the reference.
pub trait Node: Send + Sync + 'static {
    /// Name that a workflow's `uses` gives: `stac.search`.
    const NAME: &'static str;

    /// The settings of a workflow's `with`. Doc comments become documentation; deny unknown fields.
    type Settings: DeserializeOwned + JsonSchema;

    /// Documentation, input ports and kind of the output.
    fn describe() -> NodeDoc;

    /// What the node would do with these settings and inputs. Reads headers, no pixels.
    ///
    /// # Errors
    /// Every mistake that can be seen now, all at once.
    fn plan(settings: Self::Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>>;

    /// Starts the node: gives its output as batches that are made when they are asked for. The host asks from
    /// one thread at a time. Work done before returning holds up nobody, but progress is seen sooner when the
    /// iterator does it.
    ///
    /// # Errors
    /// Whatever keeps the node from starting; errors on the way are items of the iterator.
    fn run(settings: Self::Settings, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError>;
}

/// What a node promises.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodePlan {
    /// Columns of the output.
    pub schema: SchemaRef,
    /// What the nodes behind may rely on, as a JSON object.
    pub facts: Value,
    /// Rows of the output that are known before pixels: items, chips. They come back to `run`.
    pub rows: Option<Vec<RecordBatch>>,
    /// What it will cost.
    pub costs: Vec<Cost>,
    /// Memory it will hold.
    pub memory: Memory,
    /// Anything that `run` wants to know again; nobody else sees it.
    pub state: Value,
}

impl NodePlan {
    /// A plan with columns, and nothing else promised yet.
    pub fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            facts: Value::Object(Map::new()),
            rows: None,
            costs: Vec::new(),
            memory: Memory::default(),
            state: Value::Null,
        }
    }

    /// Sets what the nodes behind may rely on.
    #[must_use]
    pub fn facts(mut self, facts: Value) -> Self {
        self.facts = facts;
        self
    }

    /// Sets the rows that are known now.
    #[must_use]
    pub fn rows(mut self, rows: Vec<RecordBatch>) -> Self {
        self.rows = Some(rows);
        self
    }

    /// Adds a cost.
    #[must_use]
    pub fn cost(mut self, name: &str, value: f64, unit: &str) -> Self {
        self.costs.push(Cost { name: name.into(), value, unit: unit.into() });
        self
    }

    /// Promises a bound on memory: what the node holds while it runs, and its largest batch, in bytes.
    #[must_use]
    pub fn memory(mut self, working_bytes: u64, batch_bytes: u64) -> Self {
        self.memory = Memory { working_bytes, batch_bytes };
        self
    }

    /// Keeps something for `run`.
    #[must_use]
    pub fn state(mut self, state: Value) -> Self {
        self.state = state;
        self
    }
}

/// A named number with a unit: `requests 1234`, `read 5.6e9 bytes`. The engine adds up equal names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// What is counted: `requests`, `read`, `written`, `chips`, `items.s2`.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what: `bytes`, `seconds`; empty for a plain count.
    #[serde(default)]
    pub unit: String,
}

/// A promise about memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the node holds at most while it runs, in bytes, without its input and output batches: weights,
    /// caches, buffers, and what it makes the next batch from.
    #[serde(default)]
    pub working_bytes: u64,
    /// Bytes of its largest output batch.
    #[serde(default)]
    pub batch_bytes: u64,
}

/// The part of a plan that crosses as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct PlanText {
    #[serde(default)]
    pub(crate) facts: Value,
    #[serde(default)]
    pub(crate) costs: Vec<Cost>,
    #[serde(default)]
    pub(crate) memory: Memory,
    #[serde(default)]
    pub(crate) state: Value,
}

/// One input at plan time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlanInput {
    /// Kind of the edge: `chip`.
    pub kind: String,
    /// Columns of the edge.
    pub schema: SchemaRef,
    /// What the node before promises, as a JSON object.
    pub facts: Value,
    /// The rows, if they are known before pixels.
    pub rows: Option<Vec<RecordBatch>>,
}

impl PlanInput {
    /// An input as the engine or a test gives it.
    pub fn new(kind: impl Into<String>, schema: SchemaRef, facts: Value, rows: Option<Vec<RecordBatch>>) -> Self {
        Self { kind: kind.into(), schema, facts, rows }
    }
}

/// The inputs at plan time, by port.
#[derive(Debug, Clone, Default)]
pub struct PlanInputs {
    /// What is connected.
    pub ports: BTreeMap<String, PlanInput>,
}

impl PlanInputs {
    /// The input of a port, if it is connected.
    pub fn get(&self, port: &str) -> Option<&PlanInput> {
        self.ports.get(port)
    }

    /// The input of a port that must be connected.
    ///
    /// # Errors
    /// A fault that names the port.
    pub fn require(&self, port: &str) -> Result<&PlanInput, Vec<Fault>> {
        self.get(port).ok_or_else(|| vec![Fault::new("", "input.missing", format!("input `{port}` is not connected"))])
    }

    /// Adds an input; for tests and for engines.
    #[must_use]
    pub fn with(mut self, port: &str, input: PlanInput) -> Self {
        self.ports.insert(port.into(), input);
        self
    }
}

/// One input at run time: an iterator of batches that knows its columns.
pub struct RunInput {
    /// Kind of the edge.
    pub kind: String,
    /// Columns of every batch.
    pub schema: SchemaRef,
    pub(crate) batches: BatchStream,
}

impl RunInput {
    /// An input as the engine or a test gives it.
    pub fn new(kind: impl Into<String>, schema: SchemaRef, batches: BatchStream) -> Self {
        Self { kind: kind.into(), schema, batches }
    }
}

impl Iterator for RunInput {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// The inputs at run time, by port. An error that comes out of one is to be passed on as it is.
#[derive(Default)]
pub struct RunInputs {
    /// What is connected.
    pub ports: BTreeMap<String, RunInput>,
}

impl RunInputs {
    /// Takes the input of a port, if it is connected.
    pub fn take(&mut self, port: &str) -> Option<RunInput> {
        self.ports.remove(port)
    }

    /// Takes the input of a port that must be connected.
    ///
    /// # Errors
    /// Names the port.
    pub fn require(&mut self, port: &str) -> Result<RunInput, NodeError> {
        self.take(port).ok_or_else(|| NodeError::new("input.missing", format!("input `{port}` is not connected")))
    }

    /// Adds an input; for tests and for engines.
    #[must_use]
    pub fn with(mut self, port: &str, input: RunInput) -> Self {
        self.ports.insert(port.into(), input);
        self
    }
}
