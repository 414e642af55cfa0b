//! `bands: subset`: a model runs on fewer bands than it was trained with.
//!
//! The patch embedding is a convolution, so a lacking band is left out by setting its inputs to zero, and the
//! other inputs are rescaled by C/k (C bands of the model, k of the data), as the official code does for four
//! of ten bands. The graph stays as it is: its weights are replaced when the session is built, so pixels keep
//! their integer type. Lacking bands are fed a constant, and opening the model shows that it has no influence.

use std::fs;

use ort::value::{DynValue, Tensor};
use safetensors::{Dtype, SafeTensors};
use skysense_contract::{ContractError, Modality, Package};

use crate::InferError;
use crate::session::Initializer;

/// Name of the patch embedding's weights in the encoder graphs, the published checkpoint's own.
const PATCH_EMBEDDING: &str = "patch_embed.projection.weight";

/// The weights that leave out the bands without a source and rescale the others.
pub(crate) fn patch_embedding(
    package: &Package,
    modality: Modality,
    bands: &[Option<usize>],
) -> Result<Initializer, InferError> {
    let fault = |reason: String| subset_fault(package, modality, reason);
    let key = format!("backbone_{modality}.{PATCH_EMBEDDING}");
    let path = package.weights_of(&key)?;
    let bytes = fs::read(&path).map_err(|source| ContractError::Read { path, source })?;
    let weights = SafeTensors::deserialize(&bytes).map_err(|error| fault(error.to_string()))?;
    let tensor = weights.tensor(&key).map_err(|error| fault(format!("weights hold no {key}: {error}")))?;
    let shape = tensor.shape().to_vec();
    if tensor.dtype() != Dtype::F32 || shape.len() != 4 || shape[1] != bands.len() {
        let reason =
            format!("{key} is {:?} {shape:?}, expected F32 [channel, {}, height, width]", tensor.dtype(), bands.len());
        return Err(fault(reason));
    }
    let mut values: Vec<f32> = tensor
        .data()
        .chunks_exact(4)
        .map(|piece| f32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]))
        .collect();
    rescale(&mut values, bands, shape[2] * shape[3]);
    let value: DynValue = Tensor::from_array((shape, values)).map_err(|error| fault(error.to_string()))?.into_dyn();
    Ok(Initializer { name: PATCH_EMBEDDING.into(), value })
}

/// Rescales weights `[channel, band, area]` by C/k and sets those of lacking bands to zero.
fn rescale(values: &mut [f32], bands: &[Option<usize>], area: usize) {
    let kept = bands.iter().flatten().count();
    let factor = bands.len() as f32 / kept as f32;
    for (index, inputs) in values.chunks_exact_mut(area).enumerate() {
        let factor = if bands[index % bands.len()].is_some() { factor } else { 0.0 };
        inputs.iter_mut().for_each(|weight| *weight *= factor);
    }
}

pub(crate) fn subset_fault(package: &Package, modality: Modality, reason: String) -> InferError {
    InferError::Subset { model: package.contract().name.clone(), modality, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_bands_vanish_and_the_others_grow() {
        let mut values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        rescale(&mut values, &[Some(0), None, Some(1)], 1);
        assert_eq!(values, [1.5, 0.0, 4.5, 6.0, 0.0, 9.0]);
    }
}
