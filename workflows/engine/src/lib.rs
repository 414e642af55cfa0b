//! Workflows: spec, plan, run.
//!
//! | stage | made by | holds |
//! | --- | --- | --- |
//! | [`Spec`] | [`Spec::load`](Spec) | what the YAML says, checked |
//! | [`Plan`] | [`plan()`] | every edge's columns, facts, rows, costs and memory; no pixel is read |
//! | [`RunReport`] | [`run()`], [`runs::resume`] | what was done |
//!
//! [`pull()`] takes a part of one node's output out of a plan, without a run.
//!
//! Nodes come from plugins ([`PluginSet`]); the engine knows neither rasters nor models.

mod cancel;
mod error;
mod plan;
mod plugins;
mod pull;
mod report;
mod run;
pub mod runs;
mod size;
mod spec;

pub use cancel::Cancel;
pub use error::EngineError;
pub use plan::{MemoryPlan, Plan, PlanOptions, PlannedNode, WorkflowId, plan, usable_memory};
pub use plugins::{PluginSet, Refused, SearchPath, data_folder};
pub use pull::{Beside, PullOptions, pull};
pub use report::{MemoryReport, NodeOutcome, NodeReport, Outcome, Record, RunReport};
pub use run::{Event, Events, Measured, NoEvents, Part, RunOptions, run};
pub use size::parse_size;
pub use spec::{
    Bindings, DeclaredParam, Edge, Fault, Faults, FilledSetting, MAX_BYTES, NodeSpec, NodeType, NodeTypes, PARAM_TYPES,
    ParamType, Place, PortType, ProcessSurroundings, Source, Span, Spec, Surroundings, TriggerSpec, TriggerType,
    format,
};
