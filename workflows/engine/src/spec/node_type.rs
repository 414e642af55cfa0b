//! What a plugin declares about a node, as far as a workflow file can be checked against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{NodeDescription, Port};

use super::suggest;

/// The declaration of one node type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// Name that `uses` takes, like `raster.chips`.
    pub name: String,
    /// What it does, in one line.
    pub summary: String,
    /// Sections of its reference page, in Markdown.
    #[serde(default)]
    pub doc: String,
    /// Nodes of a workflow that show it, in YAML as under `nodes:`.
    #[serde(default)]
    pub example: String,
    /// JSON Schema of the settings that `with` takes.
    pub settings: Value,
    /// Input ports; the short form `from: name` means the first.
    #[serde(default)]
    pub inputs: Vec<PortType>,
    /// Kind of edge the node gives: `item`, `chip`, `feature`, …
    pub output: String,
    /// Whether equal inputs give equal outputs, so that results may be kept.
    #[serde(default)]
    pub pure: bool,
    /// The plugin that brings the node.
    #[serde(default)]
    pub plugin: String,
}

/// One input port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortType {
    /// Name, as the long form of `from` writes it.
    pub name: String,
    /// Kinds of edge the port takes; none means any.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Whether the node runs without it.
    #[serde(default)]
    pub optional: bool,
    /// What the port is for.
    #[serde(default)]
    pub doc: String,
}

/// The declaration of one type of trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriggerType {
    /// Name that `uses` takes, like `stac.poll`.
    pub name: String,
    /// What it waits for, in one line.
    pub summary: String,
    /// What there is to know beyond that, in Markdown.
    pub doc: String,
    /// Triggers of a workflow that show it, in YAML as under `triggers:`.
    pub example: String,
    /// JSON Schema of the settings that `with` takes.
    pub settings: Value,
}

/// The node types of all loaded plugins, and the types of triggers that the service brings, by name.
#[derive(Debug, Clone, Default)]
pub struct NodeTypes {
    nodes: BTreeMap<String, NodeType>,
    triggers: BTreeMap<String, TriggerType>,
}

impl NodeTypes {
    /// The type with this name.
    pub fn get(&self, name: &str) -> Option<&NodeType> {
        self.nodes.get(name)
    }

    /// All types, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &NodeType> {
        self.nodes.values()
    }

    /// All names, ordered.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// The name that a misspelt one most likely stands for.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        suggest::nearest(name, self.names())
    }

    /// The same with the types of triggers: without any, a file's triggers are checked for their shape alone.
    #[must_use]
    pub fn with_triggers(mut self, types: impl IntoIterator<Item = TriggerType>) -> Self {
        self.triggers.extend(types.into_iter().map(|kind| (kind.name.clone(), kind)));
        self
    }

    /// The type of trigger with this name.
    pub fn trigger(&self, name: &str) -> Option<&TriggerType> {
        self.triggers.get(name)
    }

    /// All types of triggers, ordered by name.
    pub fn triggers(&self) -> impl Iterator<Item = &TriggerType> {
        self.triggers.values()
    }

    /// Whether no plugin declared a node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl NodeType {
    /// The type that a plugin describes.
    pub fn of_plugin(plugin: &str, described: NodeDescription) -> Self {
        let NodeDescription { name, doc, settings, .. } = described;
        let port = |port: Port| PortType { name: port.name, kinds: port.kinds, optional: port.optional, doc: port.doc };
        Self {
            name,
            summary: doc.summary,
            doc: doc.doc,
            example: doc.example,
            settings,
            inputs: doc.inputs.into_iter().map(port).collect(),
            output: doc.output,
            pure: doc.pure,
            plugin: plugin.to_owned(),
        }
    }
}

impl PortType {
    /// Whether an edge of this kind may end here.
    pub fn takes(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|known| known == kind)
    }
}

impl FromIterator<NodeType> for NodeTypes {
    fn from_iter<T: IntoIterator<Item = NodeType>>(types: T) -> Self {
        let nodes = types.into_iter().map(|kind| (kind.name.clone(), kind)).collect();
        Self { nodes, triggers: BTreeMap::new() }
    }
}
