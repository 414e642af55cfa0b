//! What the YAML says: the first of the three stages `Spec` → `Plan` → `Run`.
//!
//! [`Spec::load`] reads a workflow file, checks it against the node types that plugins declare and
//! gives the resolved graph, or every mistake at once as [`Faults`], each with its line and column.
//!
//! | file | holds |
//! | --- | --- |
//! | `source` | the text of a file and places in it |
//! | `fault`, `suggest` | one mistake, how it is printed, "did you mean" |
//! | `yaml`, `parse`, `scalar` | YAML to a tree in which every value keeps its span |
//! | `document` | the top of a workflow file: known keys, params, nodes, triggers |
//! | `param`, `declared` | typed parameters and `-p name=value`; what forms show of them |
//! | `value`, `path` | `$param`, `${env:NAME}`, `${secret:NAME}`; relative paths |
//! | `node_type` | what a plugin declares about a node |
//! | `graph` | edges, ports, cycles, order |
//! | `settings`, `violation` | `with` against the node's JSON Schema |
//! | `load`, `resolved` | all of it in order, and the result |
//! | `uri` | addresses without user, password and signature |
//! | `canonical` | canonical JSON and the workflow's hash |
//! | `format`, `emit` | `skysense fmt` |
//! | `schema`, `mermaid` | the JSON Schema that editors use, the graph as Mermaid |

mod canonical;
mod declared;
mod document;
mod emit;
mod fault;
mod format;
mod graph;
mod load;
mod mermaid;
mod node_type;
mod param;
mod parse;
mod path;
mod resolved;
mod scalar;
mod schema;
mod settings;
mod source;
mod suggest;
mod uri;
mod value;
mod violation;
mod yaml;

pub use fault::{Fault, Faults};
pub use format::format;
pub use load::Bindings;
pub use node_type::{NodeType, NodeTypes, PortType, TriggerType};
pub use param::{PARAM_TYPES, ParamType};
pub use resolved::{DeclaredParam, Edge, FilledSetting, NodeSpec, Spec, TriggerSpec};
pub use source::{MAX_BYTES, Place, Source, Span};
pub use value::{ProcessSurroundings, Surroundings};
