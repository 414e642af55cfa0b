//! The checkpoint of a package whose graphs were made smaller.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::half::narrowed;
use super::{PATCH_EMBEDDING, Precision};
use crate::{ModelError, Result};

/// The checkpoint in the precision: in 16 bit whole, as far as the type can hold it, so that training can go on from it;
/// in 8 bit only the patch embeddings, for which inference needs the file. Those stay f32 in either.
///
/// # Errors
/// [`ModelError::Weights`] for what is no safetensors file.
pub fn weights(checkpoint: &[u8], precision: Precision) -> Result<Vec<u8>> {
    let fault = |error: safetensors::SafeTensorError| ModelError::Weights(error.to_string());
    let file = SafeTensors::deserialize(checkpoint).map_err(fault)?;
    let whole = matches!(precision, Precision::Fp16 | Precision::Bf16);
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, view) in file.tensors() {
        let patches = name.ends_with(PATCH_EMBEDDING);
        if !whole && !patches {
            continue;
        }
        let small = (!patches && view.dtype() == Dtype::F32 && view.shape().len() > 1).then(|| {
            let word = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            narrowed(&view.data().chunks_exact(4).map(word).collect::<Vec<_>>(), precision)
        });
        let dtype = if precision == Precision::Bf16 { Dtype::BF16 } else { Dtype::F16 };
        tensors.push(match small.flatten() {
            Some((_, bytes)) => (name, dtype, view.shape().to_vec(), bytes),
            None => (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()),
        });
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &tensors {
        views.push((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(fault)?));
    }
    safetensors::serialize(views, None).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patch_embedding_stays_and_the_rest_is_halved_or_left_out() {
        let (patches, matrix) = (vec![1_u8; 4 * 4], 2.5_f32.to_le_bytes().repeat(4));
        let embedding = format!("backbone_s2.{PATCH_EMBEDDING}");
        let views = [
            (embedding.as_str(), TensorView::new(Dtype::F32, vec![1, 1, 2, 2], &patches).unwrap()),
            ("fusion.weight", TensorView::new(Dtype::F32, vec![2, 2], &matrix).unwrap()),
            ("fusion.bias", TensorView::new(Dtype::F32, vec![4], &matrix).unwrap()),
        ];
        let file = safetensors::serialize(views, None).unwrap();
        for precision in Precision::ALL {
            let small = weights(&file, precision).unwrap();
            let small = SafeTensors::deserialize(&small).unwrap();
            assert_eq!(small.tensor(&embedding).unwrap().data(), patches);
            let expected = match precision {
                Precision::Fp16 => Some((Dtype::F16, half::f16::from_f32(2.5).to_le_bytes())),
                Precision::Bf16 => Some((Dtype::BF16, half::bf16::from_f32(2.5).to_le_bytes())),
                _ => None,
            };
            let found = small.tensor("fusion.weight").ok();
            assert_eq!(found.as_ref().map(TensorView::dtype), expected.map(|(dtype, _)| dtype));
            assert_eq!(found.map(|view| view.data().to_vec()), expected.map(|(_, word)| word.repeat(4)));
            assert_eq!(small.tensor("fusion.bias").is_ok(), expected.is_some());
        }
        assert!(weights(b"no weights", Precision::Fp16).is_err());
    }
}
