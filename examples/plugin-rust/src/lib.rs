//! A plugin with one node: `index.ndvi`, the vegetation index of each chip.

mod ndvi;

use skysense_abi::{NodeEntry, export_plugin, node};

/// The nodes of this plugin. A new one is one more line.
pub const NODES: &[NodeEntry] = &[node::<ndvi::Ndvi>()];

export_plugin! { nodes: NODES }
