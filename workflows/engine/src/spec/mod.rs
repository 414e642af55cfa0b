//! What the YAML says: the first of the three stages `Spec` → `Plan` → `Run`.
//!
//! [`Spec::load`] reads a workflow file, checks it against the node types that plugins declare and
//! gives the resolved graph, or every mistake at once as [`Faults`], each with its line and column.
//!
//! | file | holds |
//! | --- | --- |
//! | `source` | the text of a file and places in it |
//! | `fault` | one mistake, and how it is printed |
//! | `yaml`, `scalar` | YAML to a tree in which every value keeps its span |
//! | `document` | the top of a workflow file: known keys, params, nodes, triggers |
//! | `param` | typed parameters and `-p name=value` |
//! | `value` | `$param`, `${env:NAME}`, `${secret:NAME}` |
//! | `node_type` | what a plugin declares about a node |
//! | `graph` | edges, ports, cycles, order |
//! | `settings`, `violation` | `with` against the node's JSON Schema |
//! | `path` | relative paths |
//! | `canonical` | canonical JSON and the workflow's hash |
//! | `format`, `emit` | `skysense fmt` |
//! | `schema` | the JSON Schema that editors use |
//! | `mermaid` | the graph as Mermaid |
//! | `load` | all of it, in order |

mod fault;
mod node_type;
mod resolved;
mod source;

pub use fault::{Fault, Faults};
pub use node_type::{NodeType, NodeTypes, PortType};
pub use resolved::{Edge, NodeSpec, Spec, TriggerSpec};
pub use source::{MAX_BYTES, Place, Source, Span};
