//! The checked workflow that the plan is made from.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    fault::Fault,
    load::trigger_key,
    param::ParamType,
    source::{Source, Span},
};

/// A workflow whose names, edges, params and settings are all resolved and checked.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of the workflow.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// The file, as it was named.
    pub file: PathBuf,
    /// Folder of the file; relative paths written in the file have been resolved against it.
    pub folder: PathBuf,
    /// Values of the params in effect. Params without a value are absent.
    pub params: BTreeMap<String, Value>,
    /// What the file declares of its params, in its order: for forms.
    pub declared: Vec<DeclaredParam>,
    /// Nodes in an order in which every node stands after its inputs; ties keep the file's order.
    pub nodes: Vec<NodeSpec>,
    /// Triggers, checked against their types where those are known.
    pub triggers: Vec<TriggerSpec>,
    /// Canonical JSON of the workflow: params filled in, secrets by name, paths as written, addresses without
    /// credentials, and without settings that change no pixel.
    pub canonical: Value,
    /// SHA-256 of the canonical JSON as lower-case hex: the workflow's identity in provenance.
    pub hash: String,
    /// Where the values of each node stand: node, then JSON Pointer below its `with` ("" is the node itself).
    pub(super) places: BTreeMap<String, BTreeMap<String, Span>>,
    pub(super) source: Source,
}

/// A param as its file declares it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeclaredParam {
    /// Name, as `-p` takes it.
    pub name: String,
    /// What values it takes.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// What stands for it where nothing is given, as it is written; null where a value has to be given.
    pub default: Value,
    /// Text for people; may be empty.
    pub doc: String,
    /// Least value of a number.
    pub min: Option<f64>,
    /// Largest value of a number.
    pub max: Option<f64>,
    /// The values of an enum.
    pub values: Vec<String>,
    /// The settings that it fills: a form may offer more than the type says, such as a layer for a raster's href.
    pub fills: Vec<FilledSetting>,
}

/// A setting that a param fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilledSetting {
    /// Name of the node.
    pub node: String,
    /// Its type.
    pub uses: String,
    /// JSON Pointer below its `with`.
    pub pointer: String,
}

/// One node of a workflow.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Name in the workflow.
    pub name: String,
    /// Name of its type.
    pub uses: String,
    /// Settings as the node receives them. May hold secrets: never print or store this.
    pub settings: Value,
    /// Settings with `${secret:NAME}` in the place of each secret, and without users, passwords and signatures in
    /// addresses: for plans, journals and logs.
    pub public_settings: Value,
    /// Input edges, in the order of the type's ports; an optional port that is not connected is absent.
    pub inputs: Vec<Edge>,
}

/// An edge into a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Input port of the reading node.
    pub port: String,
    /// Name of the node that is read.
    pub from: String,
}

/// A trigger: kept for the service that will run it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriggerSpec {
    /// Name in the workflow.
    pub name: String,
    /// Name of its type, like `stac.poll`.
    pub uses: String,
    /// Its settings as they may be shown: secrets by name, addresses without what opens them.
    pub with: Value,
    /// Its settings as the service uses them. May hold secrets: never print or store this.
    #[serde(skip)]
    pub settings: Value,
}

impl Spec {
    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// A fault that a node reported while planning, with its place in the file.
    pub fn fault(&self, node: &str, fault: &skysense_abi::Fault) -> Fault {
        self.locate(Fault::of_node(node, fault.clone()))
    }

    /// Puts a fault that a node found while planning at its place in the file, by the fault's `node` and
    /// `pointer`. A pointer that the file does not hold (a default) falls back to what encloses it.
    pub fn locate(&self, fault: Fault) -> Fault {
        let Some(node) = fault.node.clone() else { return fault };
        self.locate_below(&node, fault)
    }

    /// Puts a fault about a trigger at its place in the file, by the fault's `pointer` below the trigger's `with`.
    pub fn locate_trigger(&self, trigger: &str, fault: Fault) -> Fault {
        self.locate_below(&trigger_key(trigger), fault.trigger(trigger))
    }

    fn locate_below(&self, key: &str, fault: Fault) -> Fault {
        let Some(places) = self.places.get(key) else { return fault };
        let mut pointer = fault.pointer.as_deref().unwrap_or_default();
        loop {
            if let Some(span) = places.get(pointer) {
                let place = self.source.place(*span);
                return fault.at(place);
            }
            match pointer.rfind('/') {
                Some(cut) => pointer = &pointer[..cut],
                None => return fault,
            }
        }
    }
}
