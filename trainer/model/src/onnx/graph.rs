//! A builder for ONNX graphs.

use std::path::Path;

use burn::tensor::Tensor;
use prost::Message as _;

use super::beside::Beside;
use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::Result;

/// What our files say of who wrote them.
pub(crate) const PRODUCER: &str = "skysense";
/// Operators up to opset 20 (the first with `Gelu`), which ONNX Runtime reads since 1.17.
const OPSET: i64 = 20;
/// The representation that goes with it.
const IR_VERSION: i64 = 9;

/// The name of something that a node gives.
#[derive(Debug, Clone)]
pub(crate) struct Value(String);

/// A constant of an operator.
#[derive(Debug, Clone)]
pub(crate) enum Attribute {
    /// A number.
    Int(i64),
    /// A number.
    Float(f32),
    /// Several numbers.
    Ints(Vec<i64>),
    /// A word.
    Text(&'static str),
}

/// Types of tensor elements, by the numbers of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementType {
    /// 32 bit float.
    F32 = 1,
    /// Unsigned 8 bit.
    U8 = 2,
    /// Signed 8 bit.
    I8 = 3,
    /// Signed 16 bit.
    I16 = 5,
    /// Signed 64 bit.
    I64 = 7,
    /// One byte, zero or one.
    Bool = 9,
    /// IEEE half precision.
    F16 = 10,
    /// The upper half of a 32 bit float.
    Bf16 = 16,
}

/// Nodes in the order in which they were added, which is topological.
#[derive(Debug)]
pub(crate) struct Graph {
    proto: GraphProto,
    /// Where large constants go, if not into the graph.
    beside: Option<Beside>,
}

impl Graph {
    /// An empty graph.
    pub(crate) fn new(name: &str) -> Self {
        Self { proto: GraphProto { name: name.into(), ..GraphProto::default() }, beside: None }
    }

    /// An empty graph whose large constants go into a file beside it, which [`Graph::finish`] ends.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub(crate) fn beside(name: &str, data: &Path) -> Result<Self> {
        Ok(Self { beside: Some(Beside::create(data)?), ..Self::new(name) })
    }

    /// An input; a side is a number, or a name where it is free.
    pub(crate) fn input(&mut self, name: &str, element: ElementType, sides: &[Side]) -> Value {
        self.proto.input.push(value_info(name, element, sides));
        Value(name.into())
    }

    /// Gives `value` to the caller under `name`.
    pub(crate) fn output(&mut self, name: &str, value: &Value, sides: &[Side]) {
        self.proto.node.push(NodeProto {
            input: vec![value.0.clone()],
            output: vec![name.into()],
            name: format!("{name}_out"),
            op_type: "Identity".into(),
            attribute: Vec::new(),
        });
        self.proto.output.push(value_info(name, ElementType::F32, sides));
    }

    /// One operator with one output.
    pub(crate) fn op(&mut self, kind: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let output = format!("{}_{}", kind.to_lowercase(), self.proto.node.len());
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: kind.into(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        });
        Value(output)
    }

    /// A weight.
    pub(crate) fn parameter<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Value {
        let shape = tensor.dims().to_vec();
        let values: Vec<f32> = tensor.into_data().convert::<f32>().iter::<f32>().collect();
        self.floats(name, &values, &shape)
    }

    /// A weight under exactly this name, by which a runtime can put another in its place.
    pub(crate) fn named<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Value {
        let dims = tensor.dims().iter().map(|&side| side as i64).collect();
        let values = tensor.into_data().convert::<f32>();
        let raw_data = values.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        self.proto.initializer.push(TensorProto {
            dims,
            data_type: ElementType::F32 as i32,
            name: name.into(),
            raw_data,
            ..TensorProto::default()
        });
        Value(name.into())
    }

    /// Constant floats of a shape.
    pub(crate) fn floats(&mut self, name: &str, values: &[f32], shape: &[usize]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, ElementType::F32, bytes, shape)
    }

    /// One constant float.
    pub(crate) fn float(&mut self, value: f32) -> Value {
        self.floats("scalar", &[value], &[])
    }

    /// Constant integers in one row.
    pub(crate) fn ints(&mut self, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer("ints", ElementType::I64, bytes, &[values.len()])
    }

    /// One constant integer.
    pub(crate) fn int(&mut self, value: i64) -> Value {
        self.initializer("int", ElementType::I64, value.to_le_bytes().to_vec(), &[])
    }

    /// The same values in another shape; 0 keeps a side, −1 is what is left.
    pub(crate) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape], &[])
    }

    /// The axes in another order.
    pub(crate) fn permute(&mut self, x: &Value, axes: &[i64]) -> Value {
        self.op("Transpose", &[x], &[("perm", Attribute::Ints(axes.to_vec()))])
    }

    /// `start..end` of one axis.
    pub(crate) fn slice(&mut self, x: &Value, axis: i64, start: i64, end: i64) -> Value {
        let (start, end, axis) = (self.ints(&[start]), self.ints(&[end]), self.ints(&[axis]));
        self.op("Slice", &[x, &start, &end, &axis], &[])
    }

    /// Tensors one after the other along an axis.
    pub(crate) fn concat(&mut self, parts: &[&Value], axis: i64) -> Value {
        self.op("Concat", parts, &[("axis", Attribute::Int(axis))])
    }

    /// Each pixel of maps `[batch, channel, height, width]` as 2 × 2 of them.
    pub(crate) fn doubled(&mut self, x: &Value, [height, width]: [usize; 2]) -> Value {
        let (height, width) = (height as i64, width as i64);
        let along = self.reshape(x, &[0, 0, height, width, 1]);
        let along = self.concat(&[&along, &along], 4);
        let lines = self.reshape(&along, &[0, 0, height, 1, 2 * width]);
        let lines = self.concat(&[&lines, &lines], 3);
        self.reshape(&lines, &[0, 0, 2 * height, 2 * width])
    }

    /// Zeros before and after each axis: all the befores, then all the afters.
    pub(crate) fn pad(&mut self, x: &Value, amounts: &[i64]) -> Value {
        let amounts = self.ints(amounts);
        self.op("Pad", &[x, &amounts], &[])
    }

    /// Another element type.
    pub(crate) fn cast(&mut self, x: &Value, element: ElementType) -> Value {
        self.op("Cast", &[x], &[("to", Attribute::Int(element as i64))])
    }

    /// The side of an axis, as a tensor of one integer.
    pub(crate) fn side(&mut self, x: &Value, axis: i64) -> Value {
        self.op("Shape", &[x], &[("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))])
    }

    /// The bytes of the file; what stands beside it is whole then.
    ///
    /// # Errors
    /// A file beside it that could not be written.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        if let Some(beside) = self.beside.take() {
            beside.finish()?;
        }
        Ok(self.into_bytes())
    }

    /// The bytes of the file of a graph that holds all its constants.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: PRODUCER.into(),
            graph: Some(self.proto),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        }
        .encode_to_vec()
    }

    fn initializer(&mut self, name: &str, element: ElementType, raw_data: Vec<u8>, shape: &[usize]) -> Value {
        let name = format!("{name}_{}", self.proto.initializer.len());
        let dims = shape.iter().map(|&side| side as i64).collect();
        let tensor = TensorProto { dims, data_type: element as i32, name: name.clone(), ..TensorProto::default() };
        let tensor = match self.beside.as_mut().and_then(|beside| beside.take(&raw_data)) {
            Some(external_data) => TensorProto { external_data, data_location: 1, ..tensor },
            None => TensorProto { raw_data, ..tensor },
        };
        self.proto.initializer.push(tensor);
        Value(name)
    }
}

/// A side of an input or output.
#[derive(Debug, Clone)]
pub(crate) enum Side {
    /// Known when the graph is written.
    Fixed(usize),
    /// Known when it runs.
    Free(&'static str),
}

/// Name, type and sides of an input or output.
pub(crate) fn value_info(name: &str, element: ElementType, sides: &[Side]) -> ValueInfoProto {
    let dim = sides
        .iter()
        .map(|side| DimensionProto {
            value: Some(match side {
                Side::Fixed(size) => DimensionValue::Size(*size as i64),
                Side::Free(name) => DimensionValue::Name((*name).into()),
            }),
        })
        .collect();
    let tensor_type = Some(TensorTypeProto { elem_type: element as i32, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let empty = AttributeProto { name: name.into(), ..AttributeProto::default() };
    match value {
        Attribute::Float(f) => AttributeProto { f: *f, r#type: 1, ..empty },
        Attribute::Int(i) => AttributeProto { i: *i, r#type: 2, ..empty },
        Attribute::Text(s) => AttributeProto { s: s.as_bytes().to_vec(), r#type: 3, ..empty },
        Attribute::Ints(ints) => AttributeProto { ints: ints.clone(), r#type: 7, ..empty },
    }
}
