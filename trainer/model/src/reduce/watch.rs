//! The same graph with the range of each product's input as further outputs: what calibration runs.

use prost::Message as _;

use super::tensors::{node, with};
use super::{int8, read};
use crate::Result;
use crate::onnx::{ElementType, value_info};

/// Begins the name of an output that is the least value of what is named after it.
pub const LOW: &str = "low ";
/// Begins the name of an output that is the largest value of what is named after it.
pub const HIGH: &str = "high ";

/// A graph whose outputs are followed by two numbers for each input of a product with a weight: [`LOW`] and its name,
/// [`HIGH`] and its name.
///
/// # Errors
/// As [`super::reduce`].
pub fn watched(graph: &[u8]) -> Result<Vec<u8>> {
    let mut model = read::read(graph)?;
    let graph = read::graph(&mut model)?;
    let weights = int8::weights(graph);
    let products = graph.node.iter().filter(|node| node.op_type == "MatMul");
    let weighted = products.filter(|node| node.input.get(1).is_some_and(|weight| weights.contains_key(weight)));
    let mut inputs: Vec<String> = weighted.map(|node| node.input[0].clone()).collect();
    inputs.sort();
    inputs.dedup();
    for input in inputs {
        for (kind, begin) in [("ReduceMin", LOW), ("ReduceMax", HIGH)] {
            let name = format!("{begin}{input}");
            graph.node.push(with(node(kind, &[&input], &name), "keepdims", 0));
            graph.output.push(value_info(&name, ElementType::F32, &[]));
        }
    }
    Ok(model.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::ModelProto;
    use crate::reduce::tests::linear;

    #[test]
    fn inputs_of_products_are_shown_after_the_output() {
        let watched = watched(&linear(&[1.0; 64], [8, 8])).unwrap();
        let graph = ModelProto::decode(watched.as_slice()).unwrap().graph.unwrap();
        let names: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
        assert_eq!(names, ["y", "low x", "high x"]);
    }
}
