//! The stable C contract between engine and plugins, with a safe face for both sides.
//!
//! A plugin is a shared library that exports one symbol, which gives a versioned table of C functions
//! (`include/skysense_plugin.h`). Data crosses as the Arrow C Data interface, everything else as JSON.
//!
//! **A plugin in Rust** implements [`Node`] (and [`Tool`]), lists its nodes in a plain table and exports it:
//!
//! ```
//! use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeEntry, NodeError, NodePlan, PlanInputs, RunInputs};
//! use skysense_abi::{export_plugin, node};
//!
//! /// Settings of `demo.head`.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Head {
//!     /// How many batches to let through.
//!     batches: usize,
//! }
//!
//! struct HeadNode;
//!
//! impl Node for HeadNode {
//!     const NAME: &'static str = "demo.head";
//!     type Settings = Head;
//!
//!     fn describe() -> NodeDoc {
//!         NodeDoc::new("Lets the first batches through").input("in", &["item"], "what to cut").output("item")
//!     }
//!
//!     fn plan(_: Head, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
//!         let input = inputs.require("in")?;
//!         Ok(NodePlan::new(input.schema.clone()).facts(input.facts.clone()).memory(0, 1 << 20))
//!     }
//!
//!     fn run(settings: Head, _: NodePlan, mut inputs: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
//!         Ok(Box::new(inputs.require("in")?.take(settings.batches)))
//!     }
//! }
//!
//! pub const NODES: &[NodeEntry] = &[node::<HeadNode>()];
//! export_plugin! { nodes: NODES }
//! ```
//!
//! **An engine** loads it with [`Plugin::load`], and calls [`Plugin::plan`], [`Plugin::run`], [`Plugin::call`]
//! with a [`Host`] made of its [`HostCallbacks`].

mod callbacks;
mod describe;
mod error;
mod export;
mod guard;
mod host;
pub mod layout;
mod library;
mod node;
mod plugin;
mod process;
mod stream;
mod table;
mod text;
mod tool;
mod validate;

pub use callbacks::{HostCallbacks, NoHost};
pub use describe::{NodeDescription, NodeDoc, PluginDescription, Port, ToolDescription};
pub use error::{Fault, NodeError, PluginError};
pub use export::{PluginParts, plugin_table};
pub use host::{About, DeviceLease, Host, Level, MemoryLease};
pub use node::{Cost, Memory, Node, NodePlan, PlanInput, PlanInputs, RunInput, RunInputs};
pub use plugin::{Plugin, catch};
pub use process::{Resident, limit_thread_cpus, resident, return_freed_memory, reuse_freed_memory};
pub use stream::BatchStream;
pub use table::{NodeEntry, ToolEntry, node, tool};
pub use tool::Tool;

/// The node that CONTRIBUTING.md shows has to compile.
#[cfg(doctest)]
#[doc = include_str!("../../../CONTRIBUTING.md")]
mod contributing {}
