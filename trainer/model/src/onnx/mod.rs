//! Writing ONNX: messages of the format, and a builder for graphs.

mod beside;
mod graph;
mod proto;

pub(crate) use graph::{Attribute, ElementType, Graph, Side, Value};
