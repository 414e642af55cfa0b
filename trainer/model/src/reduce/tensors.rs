//! Weights as numbers and back.

use super::fault;
use crate::Result;
use crate::onnx::{AttributeProto, ElementType, NodeProto, TensorProto};

/// The numbers of a f32 weight of the graph named `graph`, from its bytes.
pub(super) fn floats(graph: &str, tensor: &TensorProto, bytes: &[u8]) -> Result<Vec<f32>> {
    let count: i64 = tensor.dims.iter().product();
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(4)) != Some(bytes.len()) {
        let message = format!("weight {} has {} bytes for {:?} values", tensor.name, bytes.len(), tensor.dims);
        return Err(fault(graph, message));
    }
    let word = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let values: Vec<f32> = bytes.chunks_exact(4).map(word).collect();
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(fault(graph, format!("weight {} holds {value}", tensor.name))),
        None => Ok(values),
    }
}

/// A constant.
pub(super) fn constant(name: String, element: ElementType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: element as i32, name, raw_data, ..TensorProto::default() }
}

/// A constant of floats.
pub(super) fn float_constant(name: String, dims: &[i64], values: &[f32]) -> TensorProto {
    constant(name, ElementType::F32, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// An operator that gives one value, named after it.
pub(super) fn node(kind: &str, inputs: &[&str], output: &str) -> NodeProto {
    node_of(kind, inputs, &[output])
}

/// An operator.
pub(super) fn node_of(kind: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NodeProto {
        input: names(inputs),
        output: names(outputs),
        name: outputs[0].into(),
        op_type: kind.into(),
        attribute: Vec::new(),
    }
}

/// The same with an integer constant.
pub(super) fn with(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.into(), i, r#type: 2, ..AttributeProto::default() });
    node
}

/// A change of type to f32.
pub(super) fn to_f32(input: &str, output: &str) -> NodeProto {
    with(node("Cast", &[input], output), "to", ElementType::F32 as i64)
}
