//! The checkpoint of a package whose graphs were made smaller.

use std::path::Path;

use super::half::narrowed;
use super::{PATCH_EMBEDDING, Precision};
use crate::Result;
use crate::checkpoint::{Element, Planned, Stored, WEIGHTS_STEM, WeightFile, WeightsWriter};
use crate::onnx::ElementType;

/// Writes the checkpoint at `from` (a file, or the list of shards) into `folder` in the precision, in files of at most
/// `limit` bytes, and gives their names: in 16 bit whole, as far as the type can hold it, so that training can go on from
/// it; in 8 bit only the patch embeddings, for which inference needs the file. Those stay f32 in either. Memory holds one
/// tensor.
///
/// # Errors
/// What is no file of weights, or a file that cannot be read or written.
pub fn weights(from: &Path, precision: Precision, folder: &Path, limit: u64) -> Result<Vec<String>> {
    let file = WeightFile::open(from, None)?;
    let mut tensors: Vec<(&str, &Stored)> = file.tensors().filter(|(name, _)| stays(name, precision)).collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut planned: Vec<Planned> = Vec::new();
    for (name, stored) in &tensors {
        // Whether a type can hold all values is known when they are seen, and must be known before they are written.
        let element = small(name, stored, precision)?.map_or(Element::F32, |(element, _)| element);
        planned.push(((*name).to_owned(), element, stored.shape().to_vec()));
    }
    let mut writer = WeightsWriter::new(folder, WEIGHTS_STEM, planned, limit);
    for (name, stored) in &tensors {
        match small(name, stored, precision)? {
            Some((_, bytes)) => writer.bytes(&bytes)?,
            None => writer.stored(stored)?,
        }
    }
    Ok(writer.finish()?)
}

/// Whether a tensor is part of the checkpoint in the precision.
fn stays(name: &str, precision: Precision) -> bool {
    matches!(precision, Precision::Fp16 | Precision::Bf16) || name.ends_with(PATCH_EMBEDDING)
}

/// A matrix or table in 16 bit; `None` for what stays f32.
fn small(name: &str, stored: &Stored, precision: Precision) -> Result<Option<(Element, Vec<u8>)>> {
    let half = matches!(precision, Precision::Fp16 | Precision::Bf16);
    if !half || name.ends_with(PATCH_EMBEDDING) || stored.shape().len() < 2 {
        return Ok(None);
    }
    let of = |(kind, bytes)| (if kind == ElementType::Bf16 { Element::BF16 } else { Element::F16 }, bytes);
    Ok(narrowed(&stored.floats()?, precision).map(of))
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, SafeTensors, TensorView};

    use super::*;

    #[test]
    fn the_patch_embedding_stays_and_the_rest_is_halved_or_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (patches, matrix) = (1.5_f32.to_le_bytes().repeat(4), 2.5_f32.to_le_bytes().repeat(4));
        let large = 1e9_f32.to_le_bytes().repeat(4);
        let embedding = format!("backbone_s2.{PATCH_EMBEDDING}");
        let views = [
            (embedding.as_str(), TensorView::new(Dtype::F32, vec![1, 1, 2, 2], &patches).unwrap()),
            ("fusion.weight", TensorView::new(Dtype::F32, vec![2, 2], &matrix).unwrap()),
            ("fusion.large", TensorView::new(Dtype::F32, vec![2, 2], &large).unwrap()),
            ("fusion.bias", TensorView::new(Dtype::F32, vec![4], &matrix).unwrap()),
        ];
        let from = folder.path().join("from.safetensors");
        std::fs::write(&from, safetensors::serialize(views, None).unwrap()).unwrap();
        for precision in Precision::ALL {
            let names = weights(&from, precision, folder.path(), u64::MAX).unwrap();
            assert_eq!(names, ["weights.safetensors"]);
            let small = std::fs::read(folder.path().join(&names[0])).unwrap();
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
            if precision == Precision::Fp16 {
                assert_eq!(small.tensor("fusion.large").unwrap().data(), large, "half precision ends at 65504");
            }
        }
        std::fs::write(&from, b"no weights").unwrap();
        assert!(weights(&from, Precision::Fp16, folder.path(), 1).is_err());
    }
}
