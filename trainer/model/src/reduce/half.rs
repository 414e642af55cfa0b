//! Weights in 16 bit, cast to f32 in front of their use.

use half::{bf16, f16};

use super::constants::Constants;
use super::tensors::{constant, to_f32};
use super::{PATCH_EMBEDDING, Precision};
use crate::Result;
use crate::onnx::{ElementType, GraphProto};

/// Stores tables and matrices in 16 bit. Vectors (biases, norms) are small and stay, and so does a weight that the type
/// cannot hold: half precision ends at 65504.
pub(super) fn reduce(graph: &mut GraphProto, precision: Precision, constants: &mut Constants) -> Result<()> {
    let mut casts = Vec::new();
    for tensor in &mut graph.initializer {
        if tensor.data_type != ElementType::F32 as i32 || tensor.dims.len() < 2 || tensor.name == PATCH_EMBEDDING {
            continue;
        }
        let values = constants.floats(&graph.name, tensor)?;
        let Some((element, bytes)) = narrowed(&values, precision) else { continue };
        let name = format!("{}.{precision}", tensor.name);
        casts.push(to_f32(&name, &tensor.name));
        *tensor = constants.keep(constant(name, element, &tensor.dims, bytes));
    }
    casts.append(&mut graph.node);
    graph.node = casts;
    Ok(())
}

/// The values in 16 bit, rounded to nearest even; `None` where one is too large.
pub(super) fn narrowed(values: &[f32], precision: Precision) -> Option<(ElementType, Vec<u8>)> {
    let (element, words): (_, Vec<u16>) = if precision == Precision::Bf16 {
        let fits = values.iter().all(|value| bf16::from_f32(*value).is_finite());
        (ElementType::Bf16, fits.then(|| values.iter().map(|value| bf16::from_f32(*value).to_bits()).collect())?)
    } else {
        let fits = values.iter().all(|value| f16::from_f32(*value).is_finite());
        (ElementType::F16, fits.then(|| values.iter().map(|value| f16::from_f32(*value).to_bits()).collect())?)
    };
    Some((element, words.iter().flat_map(|word| word.to_le_bytes()).collect()))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::{Ranges, reduce};
    use super::*;
    use crate::onnx::ModelProto;
    use crate::reduce::tests::linear;

    #[test]
    fn weights_take_two_bytes_and_are_rounded_to_the_nearest() {
        let third = 1.0_f32 / 3.0;
        for (precision, stored) in
            [(Precision::Fp16, f16::from_f32(third).to_bits()), (Precision::Bf16, bf16::from_f32(third).to_bits())]
        {
            let small = reduce(&linear(&[third; 64], [8, 8]), precision, &Ranges::new(), None).unwrap();
            let graph = ModelProto::decode(small.as_slice()).unwrap().graph.unwrap();
            let weight = graph.initializer.iter().find(|tensor| tensor.dims == [8, 8]).unwrap();
            assert_eq!(weight.raw_data, stored.to_le_bytes().repeat(64));
            // The product finds its weight under the name that it had, and the cast comes first.
            let product = graph.node.iter().find(|node| node.op_type == "MatMul").unwrap();
            assert_eq!((graph.node[0].op_type.as_str(), &graph.node[0].input[0]), ("Cast", &weight.name));
            assert_eq!(graph.node[0].output[0], product.input[1]);
            assert!(
                graph.initializer.iter().any(|tensor| tensor.dims == [8] && tensor.data_type == 1),
                "the bias stays"
            );
        }
    }

    #[test]
    fn what_half_precision_cannot_hold_stays() {
        let mut values = [0.5_f32; 64];
        values[9] = -1e9;
        let kept = reduce(&linear(&values, [8, 8]), Precision::Fp16, &Ranges::new(), None).unwrap();
        assert_eq!(kept, linear(&values, [8, 8]));
        let small = reduce(&linear(&values, [8, 8]), Precision::Bf16, &Ranges::new(), None).unwrap();
        assert_ne!(small, linear(&values, [8, 8]), "bfloat16 reaches as far as f32");
    }
}
