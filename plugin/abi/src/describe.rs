//! How plugins, nodes and tools describe themselves. Schemas, reference pages and help come from here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An input of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Port {
    /// Name of the port.
    pub name: String,
    /// Kinds of edge that it takes; none means any.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Whether the node runs without it.
    #[serde(default)]
    pub optional: bool,
    /// What it is for, in one sentence.
    #[serde(default)]
    pub doc: String,
}

/// What a node says about itself.
///
/// ```
/// # use skysense_abi::NodeDoc;
/// let doc = NodeDoc::new("Merges overlapping predictions into one seamless raster")
///     .input("prediction", &["prediction"], "the chips to merge")
///     .output("raster")
///     .example("map: {uses: stac.write, from: classes, with: {href: out/}}");
/// assert_eq!(doc.inputs[0].name, "prediction");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeDoc {
    /// What it does, in one line without a full stop.
    pub summary: String,
    /// The reference page's sections (Columns, Example, Limits…) in Markdown.
    #[serde(default)]
    pub doc: String,
    /// Input ports; the first is meant where a workflow names none.
    #[serde(default)]
    pub inputs: Vec<Port>,
    /// Kind of the output edge.
    pub output: String,
    /// Whether the same input gives the same output, so that results can be kept.
    #[serde(default)]
    pub pure: bool,
    /// Whether several processes do it as one, where a run has several: each runs the node with the same settings and
    /// the same input, and rank 0 alone writes what it leaves.
    #[serde(default)]
    pub together: bool,
    /// One or more nodes of a workflow in YAML, as under `nodes:`.
    #[serde(default)]
    pub example: String,
}

impl NodeDoc {
    /// A node without inputs and with an output of kind `none`; add to it.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            doc: String::new(),
            inputs: Vec::new(),
            output: "none".into(),
            pure: true,
            together: false,
            example: String::new(),
        }
    }

    /// Adds a port that must be connected; without kinds it takes any edge.
    #[must_use]
    pub fn input(mut self, name: &str, kinds: &[&str], doc: &str) -> Self {
        let kinds = kinds.iter().map(|&k| k.to_owned()).collect();
        self.inputs.push(Port { name: name.into(), kinds, optional: false, doc: doc.into() });
        self
    }

    /// Adds a port that may stay open.
    #[must_use]
    pub fn optional_input(mut self, name: &str, kinds: &[&str], doc: &str) -> Self {
        self = self.input(name, kinds, doc);
        if let Some(port) = self.inputs.last_mut() {
            port.optional = true;
        }
        self
    }

    /// Names the kind of the output edge.
    #[must_use]
    pub fn output(mut self, kind: &str) -> Self {
        self.output = kind.into();
        self
    }

    /// Adds the sections of the reference page, in Markdown.
    #[must_use]
    pub fn doc(mut self, markdown: &str) -> Self {
        self.doc = markdown.into();
        self
    }

    /// Adds an example in YAML, as under `nodes:`.
    #[must_use]
    pub fn example(mut self, yaml: &str) -> Self {
        self.example = yaml.into();
        self
    }

    /// Says that several processes do it as one, where a run has several.
    #[must_use]
    pub fn together(mut self) -> Self {
        self.together = true;
        self
    }

    /// Says that the same input may give another output (it writes files, asks a server…).
    #[must_use]
    pub fn impure(mut self) -> Self {
        self.pure = false;
        self
    }
}

/// A node as its plugin lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeDescription {
    /// Name that a workflow's `uses` gives.
    pub name: String,
    /// What it says about itself.
    #[serde(flatten)]
    pub doc: NodeDoc,
    /// JSON Schema of its settings.
    pub settings: Value,
}

/// A tool as its plugin lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolDescription {
    /// Name to call it by.
    pub name: String,
    /// What it does, in one line.
    #[serde(default)]
    pub summary: String,
    /// JSON Schema of its arguments.
    #[serde(default)]
    pub arguments: Value,
}

/// All that a plugin offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginDescription {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// Its nodes.
    #[serde(default)]
    pub nodes: Vec<NodeDescription>,
    /// Its tools.
    #[serde(default)]
    pub tools: Vec<ToolDescription>,
}

/// JSON Schema of a type, as it is published for settings and arguments.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}
