//! Writing ONNX: messages of the format, and a builder for graphs.

mod beside;
mod graph;
mod proto;

pub(crate) use beside::Beside;
pub(crate) use graph::{Attribute, ElementType, Graph, Side, Value};
pub(crate) use graph::{PRODUCER, value_info};
pub(crate) use proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
