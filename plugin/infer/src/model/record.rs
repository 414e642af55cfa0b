//! What a model is fed, and what its results were made with.

use std::collections::BTreeMap;

use serde::Serialize;
use skysense_contract::{Contract, Modality};

use crate::{Device, OPTIMISATION, Options, runtime};

/// What a result was made with, for provenance: results with equal records have equal bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Name of the model.
    pub model: String,
    /// Checksum of its weights.
    pub weights_sha256: String,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// Device that it ran on: what `auto` stood for.
    pub device: String,
    /// Graph optimisation level.
    pub optimisation: String,
    /// Bands of the model that the data lacked, by modality; the patch embedding was rescaled for these.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<Modality, Vec<String>>,
    /// Slots of the sequence, by modality.
    pub dates: BTreeMap<Modality, usize>,
}

/// Source of each band of the modalities that take part.
pub(super) fn inputs(contract: &Contract, options: &Options) -> BTreeMap<Modality, Vec<Option<usize>>> {
    let identity = |modality: &Modality| (0..contract.modalities[modality].bands.len()).map(Some).collect();
    let known = contract.modalities.keys().filter(|modality| options.encoder.is_none_or(|only| only == **modality));
    match &options.binding {
        None => known.map(|modality| (*modality, identity(modality))).collect(),
        Some(binding) => known.filter_map(|m| Some((*m, binding.bands(*m)?.to_vec()))).collect(),
    }
}

pub(super) fn record(
    contract: &Contract,
    runtime: &runtime::Runtime,
    device: Device,
    inputs: &BTreeMap<Modality, Vec<Option<usize>>>,
    dates: &BTreeMap<Modality, usize>,
) -> Record {
    let left_out = |(modality, bands): (&Modality, &Vec<Option<usize>>)| {
        let names = contract.modalities[modality].bands.iter().zip(bands);
        let names: Vec<_> = names.filter(|(_, source)| source.is_none()).map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then_some((*modality, names))
    };
    Record {
        model: contract.name.clone(),
        weights_sha256: contract.weights_sha256.clone(),
        runtime: runtime.info.version.clone(),
        device: device.to_string(),
        optimisation: OPTIMISATION.into(),
        left_out: inputs.iter().filter_map(left_out).collect(),
        dates: dates.clone(),
    }
}
