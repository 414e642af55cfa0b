//! Weights in 8 bit with a scale for each output channel, and products of integers.

use std::collections::BTreeMap;

use super::constants::Constants;
use super::tensors::{constant, float_constant, node, node_of, to_f32, with};
use super::{PATCH_EMBEDDING, Ranges, fault};
use crate::Result;
use crate::onnx::{ElementType, GraphProto, NodeProto, TensorProto};

/// Largest magnitude of a weight that f32 is made of again.
const WIDE: f32 = 127.0;
/// Largest magnitude of a weight that is multiplied as an integer. Processors without VNNI instructions add two products
/// with an input of up to 255 in 16 bit: 2 · 255 · 64 fits, so all processors give the same.
const NARROW: f32 = 64.0;

/// A product with a weight that was made small.
struct Product<'a> {
    /// Name of the other factor.
    input: &'a str,
    /// Name of the result.
    output: &'a str,
    /// Name of the weight in 8 bit.
    weight: String,
    /// Name of its scales.
    scale: String,
}

/// Weights of products and convolutions in 8 bit, made f32 again in front of their use.
pub(super) fn weights_only(graph: &mut GraphProto, constants: &mut Constants) -> Result<()> {
    let axes = weights(graph);
    let mut before = Vec::new();
    let mut scales = Vec::new();
    for tensor in &mut graph.initializer {
        let Some(&axis) = axes.get(&tensor.name) else { continue };
        let (small, factors) = quantised(&graph.name, tensor, axis, WIDE, constants)?;
        // One side for each axis, so that the factors meet their channels.
        let mut sides = vec![1; tensor.dims.len()];
        sides[axis] = tensor.dims[axis];
        let (wide, scale) = (format!("{}.wide", tensor.name), scale_name(&tensor.name));
        before.push(to_f32(&small.name, &wide));
        before.push(node("Mul", &[&wide, &scale], &tensor.name));
        scales.push(float_constant(scale, &sides, &factors));
        *tensor = constants.keep(small);
    }
    graph.initializer.append(&mut scales);
    before.append(&mut graph.node);
    graph.node = before;
    Ok(())
}

/// Products of integers, their inputs scaled by the least and largest value of the batch at hand.
pub(super) fn dynamic(graph: &mut GraphProto, constants: &mut Constants) -> Result<()> {
    products(graph, constants, |_, product| {
        let Product { input, output, weight, scale } = product;
        let name = |what: &str| format!("{output}.{what}");
        let (q, x_scale, x_zero) = (name("x"), name("x_scale"), name("x_zero"));
        let (sum, wide, both) = (name("sum"), name("wide"), name("scale"));
        Ok(vec![
            node_of("DynamicQuantizeLinear", &[input], &[&q, &x_scale, &x_zero]),
            node("MatMulInteger", &[&q, weight, &x_zero], &sum),
            to_f32(&sum, &wide),
            node("Mul", &[&x_scale, scale], &both),
            node("Mul", &[&wide, &both], output),
        ])
    })
}

/// Products of integers, their inputs scaled by `ranges`.
pub(super) fn calibrated(graph: &mut GraphProto, ranges: &Ranges, constants: &mut Constants) -> Result<()> {
    let name = graph.name.clone();
    products(graph, constants, |added, product| {
        let Product { input, output, weight, scale } = product;
        let Some(range) = ranges.get(*input) else {
            return Err(fault(&name, format!("no range is known of {input}, an input of a product")));
        };
        let [step, zero] = spread(*range).ok_or_else(|| {
            fault(&name, format!("the range of {input} is {range:?}, expected two numbers, the smaller first"))
        })?;
        let of = |what: &str| format!("{output}.{what}");
        let (x_scale, x_zero, q, x, w) = (of("x_scale"), of("x_zero"), of("x"), of("x_wide"), of("weight"));
        added.push(float_constant(x_scale.clone(), &[], &[step]));
        added.push(constant(x_zero.clone(), ElementType::U8, &[], vec![zero as u8]));
        Ok(vec![
            node("QuantizeLinear", &[input, &x_scale, &x_zero], &q),
            node("DequantizeLinear", &[&q, &x_scale, &x_zero], &x),
            with(node("DequantizeLinear", &[weight, scale], &w), "axis", 1),
            node("MatMul", &[&x, &w], output),
        ])
    })
}

/// Step and zero point that spread a range over 0 to 255; the range is widened to hold zero, which must be exact.
fn spread([low, high]: [f32; 2]) -> Option<[f32; 2]> {
    if !low.is_finite() || !high.is_finite() || low > high {
        return None;
    }
    let (low, high) = (low.min(0.0), high.max(0.0));
    // Divided before they are subtracted: the two ends may lie further apart than f32 reaches.
    let step = (high / 255.0 - low / 255.0).max(f32::MIN_POSITIVE);
    Some([step, (-low / step).round_ties_even().clamp(0.0, 255.0)])
}

/// Puts what `build` gives in the place of every product with a weight, then makes the weights of convolutions small.
fn products(
    graph: &mut GraphProto,
    constants: &mut Constants,
    mut build: impl FnMut(&mut Vec<TensorProto>, &Product<'_>) -> Result<Vec<NodeProto>>,
) -> Result<()> {
    let mut axes = weights(graph);
    let products: Vec<String> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "MatMul")
        .filter_map(|node| node.input.get(1).cloned())
        .collect();
    axes.retain(|weight, _| products.contains(weight));
    let mut added = Vec::new();
    for tensor in &mut graph.initializer {
        let Some(&axis) = axes.get(&tensor.name) else { continue };
        let (small, scales) = quantised(&graph.name, tensor, axis, NARROW, constants)?;
        added.push(float_constant(scale_name(&tensor.name), &[tensor.dims[axis]], &scales));
        *tensor = constants.keep(small);
    }
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        match (node.input.as_slice(), node.output.as_slice()) {
            ([input, weight], [output]) if node.op_type == "MatMul" && axes.contains_key(weight) => {
                let (weight, scale) = (small_name(weight), scale_name(weight));
                nodes.extend(build(&mut added, &Product { input, output, weight, scale })?);
            }
            _ => nodes.push(node),
        }
    }
    graph.node = nodes;
    graph.initializer.append(&mut added);
    weights_only(graph, constants)
}

/// The weights that can be made small, with the axis of their output channels: second factors of products and weights
/// of convolutions, where they are used as nothing else.
pub(super) fn weights(graph: &GraphProto) -> BTreeMap<String, usize> {
    let floats = graph.initializer.iter().filter(|tensor| tensor.data_type == ElementType::F32 as i32);
    let ranks: BTreeMap<&str, usize> = floats.map(|tensor| (tensor.name.as_str(), tensor.dims.len())).collect();
    let mut axes: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for node in &graph.node {
        for (at, input) in node.input.iter().enumerate() {
            let axis = match (node.op_type.as_str(), at, ranks.get(input.as_str())) {
                (_, _, None) => continue,
                ("MatMul", 1, Some(2)) => Some(1),
                ("Conv", 1, Some(4)) if input != PATCH_EMBEDDING => Some(0),
                _ => None,
            };
            let known = axes.entry(input.clone()).or_insert(axis);
            if *known != axis {
                *known = None;
            }
        }
    }
    axes.into_iter().filter_map(|(name, axis)| Some((name, axis?))).collect()
}

/// A weight as integers of up to `limit`, and the factor of each channel along `axis`.
fn quantised(
    graph: &str,
    tensor: &TensorProto,
    axis: usize,
    limit: f32,
    constants: &mut Constants,
) -> Result<(TensorProto, Vec<f32>)> {
    let values = constants.floats(graph, tensor)?;
    let channels = tensor.dims[axis] as usize;
    let inner: usize = tensor.dims[axis + 1..].iter().product::<i64>() as usize;
    let channel = |index: usize| index / inner % channels;
    let mut largest = vec![0.0_f32; channels];
    for (index, value) in values.iter().enumerate() {
        let most = &mut largest[channel(index)];
        *most = most.max(value.abs());
    }
    // A channel of zeros has any factor; a number below f32's normal range would make quotients that are not finite.
    let scales: Vec<f32> =
        largest.iter().map(|most| if most / limit < f32::MIN_POSITIVE { 1.0 } else { most / limit }).collect();
    let small = |(index, value): (usize, &f32)| (value / scales[channel(index)]).round_ties_even() as i8;
    let bytes = values.iter().enumerate().map(small).flat_map(i8::to_le_bytes).collect();
    Ok((constant(small_name(&tensor.name), ElementType::I8, &tensor.dims, bytes), scales))
}

fn small_name(weight: &str) -> String {
    format!("{weight}.int8")
}

fn scale_name(weight: &str) -> String {
    format!("{weight}.scale")
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::tensors::floats;
    use super::super::{Precision, reduce};
    use super::*;
    use crate::onnx::ModelProto;
    use crate::reduce::tests::linear;

    fn graph(precision: Precision, ranges: &Ranges) -> GraphProto {
        // Channel 0, a column, reaches to −2, channel 1 holds zeros, channel 2 a half.
        let values: Vec<f32> = (0..12).map(|at| [if at == 3 { -2.0 } else { 1.0 }, 0.0, 0.5][at % 3]).collect();
        let small = reduce(&linear(&values, [4, 3]), precision, ranges, None).unwrap();
        ModelProto::decode(small.as_slice()).unwrap().graph.unwrap()
    }

    fn constant_of<'a>(graph: &'a GraphProto, end: &str) -> &'a TensorProto {
        graph.initializer.iter().find(|tensor| tensor.name.ends_with(end)).unwrap()
    }

    #[test]
    fn every_output_channel_has_its_own_scale() {
        let graph = graph(Precision::Int8, &Ranges::new());
        let bytes: Vec<i8> = constant_of(&graph, ".int8").raw_data.iter().map(|byte| byte.cast_signed()).collect();
        assert_eq!(bytes, [64, 0, 127, -127, 0, 127, 64, 0, 127, 64, 0, 127]);
        let scale = constant_of(&graph, ".scale");
        assert_eq!(scale.dims, [1, 3]);
        assert_eq!(floats("", scale, &scale.raw_data).unwrap(), [2.0 / 127.0, 1.0, 0.5 / 127.0]);
    }

    #[test]
    fn weights_of_integer_products_leave_room_in_16_bit() {
        for precision in [Precision::Int8Dynamic, Precision::Int8Static] {
            let graph = graph(precision, &Ranges::from([("x".into(), [-1.0, 3.0])]));
            let most = constant_of(&graph, ".int8").raw_data.iter().map(|byte| byte.cast_signed().unsigned_abs()).max();
            assert_eq!(most, Some(64), "{precision}");
        }
    }

    #[test]
    fn a_product_without_a_range_is_refused() {
        let bytes = linear(&[1.0; 12], [4, 3]);
        let told = reduce(&bytes, Precision::Int8Static, &Ranges::new(), None).unwrap_err().to_string();
        assert!(told.contains("no range is known of x"), "{told}");
        let wrong = Ranges::from([("x".into(), [1.0, f32::NAN])]);
        assert!(reduce(&bytes, Precision::Int8Static, &wrong, None).is_err());
        let told =
            reduce(&linear(&[f32::NAN; 12], [4, 3]), Precision::Int8, &Ranges::new(), None).unwrap_err().to_string();
        assert!(told.contains("holds NaN"), "{told}");
    }

    #[test]
    fn ranges_are_spread_over_a_byte_with_an_exact_zero() {
        assert_eq!(spread([-1.0, 1.55]), Some([0.01, 100.0]));
        assert_eq!(spread([2.0, 5.1]), Some([0.02, 0.0]), "widened to hold zero");
        let [step, zero] = spread([f32::MIN, f32::MAX]).unwrap();
        assert!(step.is_finite() && zero == 128.0, "{step} {zero}");
        assert!(spread([0.0, 0.0]).unwrap()[0] > 0.0 && spread([1.0, 0.0]).is_none());
    }
}
