//! Smaller numbers in the ONNX graphs that [`crate::export_hr`] and its siblings wrote.
//!
//! | precision | what is stored | what is computed |
//! | --- | --- | --- |
//! | [`Precision::Fp16`], [`Precision::Bf16`] | tables and matrices in 16 bit | all in f32 |
//! | [`Precision::Int8`] | weights of products and convolutions in 8 bit, a scale for each output channel | all in f32 |
//! | [`Precision::Int8Dynamic`] | the same | products with weights in integers, inputs scaled by what is in them |
//! | [`Precision::Int8Static`] | the same | products with weights in integers, inputs scaled by calibrated ranges |
//!
//! Norms, softmax, biases, products of two activations and sums stay f32 everywhere; so does the patch embedding, which
//! a runtime replaces by name where a source lacks bands. Where no integers are computed with, a runtime that folds
//! constants turns the weights into f32 as it loads the graph, and runs as fast as with the graph that they came from.

mod constants;
mod half;
mod int8;
mod read;
mod tensors;
mod watch;
mod weights;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use prost::Message as _;

use crate::{ModelError, Result};

pub use constants::DataFiles;
pub use watch::{HIGH, LOW, watched};
pub use weights::weights;

/// Name of the patch embedding's weights, which stay as they are.
pub const PATCH_EMBEDDING: &str = "patch_embed.projection.weight";

/// Least and largest value of each product's input, by the input's name.
pub type Ranges = BTreeMap<String, [f32; 2]>;

/// How a graph is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Weights in IEEE half precision.
    Fp16,
    /// Weights in bfloat16.
    Bf16,
    /// Weights in 8 bit, computed with in f32.
    Int8,
    /// Weights and inputs of products in 8 bit, inputs scaled by what is in the batch.
    Int8Dynamic,
    /// Weights and inputs of products in 8 bit, inputs scaled by ranges that were seen before.
    Int8Static,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fp16, Self::Bf16, Self::Int8, Self::Int8Dynamic, Self::Int8Static];

    /// Name in settings and packages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Int8Dynamic => "int8-dynamic",
            Self::Int8Static => "int8-static",
        }
    }

    /// Whether what one member of a batch gives depends on the others.
    pub fn batch_dependent(self) -> bool {
        self == Self::Int8Dynamic
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            ModelError::Config(format!("no precision is named {text:?}; known are {known}"))
        })
    }
}

/// A graph in a smaller precision. Where its constants lie in a file beside it, `beside` says where, and large constants
/// of the new graph go into another such file; memory holds one of them at a time. `ranges` are for [`Precision::Int8Static`], which asks for one for each input that
/// [`watched`] shows.
///
/// # Errors
/// [`ModelError::Graph`]: a graph that this crate did not write, that was made smaller before, whose weights are not
/// numbers, or that has a product without a range. [`ModelError::File`]: a file beside it that cannot be read or written.
pub fn reduce(graph: &[u8], precision: Precision, ranges: &Ranges, beside: Option<DataFiles<'_>>) -> Result<Vec<u8>> {
    let mut model = read::read(graph)?;
    let graph = read::graph(&mut model)?;
    let mut constants = constants::Constants::open(beside)?;
    match precision {
        Precision::Fp16 | Precision::Bf16 => half::reduce(graph, precision, &mut constants)?,
        Precision::Int8 => int8::weights_only(graph, &mut constants)?,
        Precision::Int8Dynamic => int8::dynamic(graph, &mut constants)?,
        Precision::Int8Static => int8::calibrated(graph, ranges, &mut constants)?,
    }
    constants.finish(graph)?;
    Ok(model.encode_to_vec())
}

/// An error of a graph.
fn fault(graph: &str, fault: impl Into<String>) -> ModelError {
    ModelError::Graph { graph: graph.into(), fault: fault.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{ElementType, Graph, Side};

    /// `y = x·W + b` with a weight `[in, out]` of these values.
    pub(super) fn linear(values: &[f32], [inputs, outputs]: [usize; 2]) -> Vec<u8> {
        let mut graph = Graph::new("linear");
        let x = graph.input("x", ElementType::F32, &[Side::Free("batch"), Side::Fixed(inputs)]);
        let weight = graph.floats("weight", values, &[inputs, outputs]);
        let bias = graph.floats("bias", &vec![0.1; outputs], &[outputs]);
        let product = graph.op("MatMul", &[&x, &weight], &[]);
        let sum = graph.op("Add", &[&product, &bias], &[]);
        graph.output("y", &sum, &[Side::Free("batch"), Side::Fixed(outputs)]);
        graph.into_bytes()
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse::<Precision>().unwrap(), precision);
        }
        let told = "int4".parse::<Precision>().unwrap_err().to_string();
        assert!(told.contains("int4") && told.contains("int8-static"), "{told}");
    }
}
