//! What a plugin declares about a node, as far as a workflow file can be checked against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The declaration of one node type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// Name that `uses` takes, like `raster.chips`.
    pub name: String,
    /// What the node does, in Markdown.
    pub doc: String,
    /// JSON Schema of the settings that `with` takes.
    pub settings: Value,
    /// Input ports, the main one first.
    pub inputs: Vec<PortType>,
    /// Kind of edge the node gives: `item`, `chip`, `feature`, …
    pub output: String,
    /// Whether equal inputs give equal outputs, so that results may be kept.
    pub pure: bool,
    /// The plugin that brings the node.
    pub plugin: String,
}

/// One input port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortType {
    /// Name, as the long form of `from` writes it.
    pub name: String,
    /// Kind of edge the port takes.
    pub kind: String,
    /// Whether the node runs without it.
    pub optional: bool,
    /// What the port is for.
    #[serde(default)]
    pub doc: String,
}

/// The node types of all loaded plugins, by name.
#[derive(Debug, Clone, Default)]
pub struct NodeTypes(BTreeMap<String, NodeType>);

impl NodeTypes {
    /// The type with this name.
    pub fn get(&self, name: &str) -> Option<&NodeType> {
        self.0.get(name)
    }

    /// All types, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &NodeType> {
        self.0.values()
    }

    /// All names, ordered.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether no plugin declared a node.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<NodeType> for NodeTypes {
    fn from_iter<T: IntoIterator<Item = NodeType>>(types: T) -> Self {
        Self(types.into_iter().map(|kind| (kind.name.clone(), kind)).collect())
    }
}
