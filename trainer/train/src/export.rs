//! A trained model as a package.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use safetensors::tensor::{Dtype as Stored, SafeTensors, TensorView};
use serde_json::{Value as Json, json};
use skysense_contract::{
    CONTRACT_VERSION, Contract, Dtype, Head, MlmContext, Modality, Module as Part, Package, PackageWriter, Probe, Value,
};
use skysense_model::{checkpoint, export_head};

use crate::batch::stack;
use crate::graphs::{Graphs, INSIDE};
use crate::network::{HEAD, Network};
use crate::{TrainError, Trained};

/// Tolerance of the probe: what the model's ONNX graphs must hold against Burn.
const TOLERANCE: f64 = 1e-4;

/// Writes a trained model as a package at `folder`, which must not exist: graphs, weights, contract, probe and
/// STAC item. The same weights give the same bytes. `context` says what the STAC item should tell of the
/// training area; the count of parameters is added.
///
/// # Errors
/// [`TrainError::Contract`] when the folder exists or cannot be written.
pub fn export(trained: &Trained, folder: &Path, context: &MlmContext) -> Result<Package, TrainError> {
    let Trained { network, setup, config, .. } = trained;
    let mut writer = PackageWriter::new(folder)?;
    let mut graphs = Graphs { writer: &mut writer, inside: INSIDE, chip_size: setup.chip_size };
    let encoders = &network.encoder.encoders;
    for (modality, input) in &setup.inputs {
        let series = match modality {
            Modality::Hr => None,
            Modality::S2 => encoders.backbone_s2.as_ref().zip(encoders.head_s2.as_ref()),
            Modality::S1 => encoders.backbone_s1.as_ref().zip(encoders.head_s1.as_ref()),
        };
        match (series, &encoders.backbone_hr) {
            (Some((backbone, head)), _) => graphs.series(*modality, backbone, head, input)?,
            (None, Some(backbone)) if *modality == Modality::Hr => graphs.hr(backbone, input)?,
            _ => {}
        }
    }
    graphs.fusion(&network.encoder.fusion)?;
    let channels = network.encoder.config().channels();
    writer.graph(Part::Head, &export_head(&network.head, channels, [setup.chip_size; 2]), None)?;
    writer.weights(&weights(network)?)?;
    writer.probe(&probe(trained)?, TOLERANCE, TOLERANCE)?;
    let contract = Contract {
        contract: CONTRACT_VERSION,
        name: config.name.clone(),
        preset: setup.preset.clone(),
        modalities: setup.inputs.clone(),
        chip_size: setup.chip_size,
        // Attention reaches over the whole chip, so no pixel is free of the rim; an eighth is where tokens of the
        // patch grid and the head's convolution stop meeting padding. Our choice.
        margin: setup.chip_size / 8,
        channels,
        calendar: setup.calendar,
        regions: None,
        head: Some(Head { task: "segmentation".into(), classes: config.classes.clone() }),
        graphs: BTreeMap::new(),
        probe: Probe { path: String::new(), sha256: String::new(), absolute: TOLERANCE, relative: TOLERANCE },
        licence: config.licence.clone(),
        weights_sha256: String::new(),
        weights_shards: Vec::new(),
        architecture: setup.package.as_ref().and_then(|package| package.contract().architecture.clone()),
        notes: notes(trained)?,
    };
    let parameters = Some(network.num_params() as u64);
    Ok(writer.finish(contract, &MlmContext { parameters, ..context.clone() })?)
}

/// Encoder under the published names, head under its own prefix, in one file.
fn weights(network: &Network) -> Result<Vec<u8>, TrainError> {
    let fault = |error: safetensors::SafeTensorError| TrainError::Model(error.to_string());
    let files = [checkpoint::save(&network.encoder, "")?, checkpoint::save(&network.head, HEAD)?];
    let mut all = BTreeMap::new();
    for file in &files {
        for (name, view) in SafeTensors::deserialize(file).map_err(fault)?.tensors() {
            all.insert(name, view);
        }
    }
    safetensors::serialize(all, None).map_err(fault)
}

/// One training sample and what Burn gives for it.
fn probe(trained: &Trained) -> Result<Vec<u8>, TrainError> {
    let sample = &trained.probe;
    let classes = trained.config.classes.len();
    let batch = stack(std::slice::from_ref(sample), &trained.setup.inputs, &vec![1.0; classes], false, &Device::flex());
    let logits = trained.network.logits(&batch);
    let size = sample.size;
    let mut tensors: BTreeMap<String, (Stored, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let output = logits.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
    tensors.insert("output".into(), (Stored::F32, vec![1, classes, size, size], output));
    for (modality, series) in &sample.series {
        let input = &trained.setup.inputs[modality];
        let shape = vec![1, series.days.len(), input.bands.len(), series.side, series.side];
        let (dtype, bytes) = stored(&series.pixels, input.dtype);
        tensors.insert(modality.to_string(), (dtype, shape, bytes));
        let days = series.days.iter().flat_map(|day| day.to_le_bytes()).collect();
        tensors.insert(format!("{modality}.day"), (Stored::I64, vec![1, series.days.len()], days));
    }
    let fault = |error: safetensors::SafeTensorError| TrainError::Model(error.to_string());
    let mut views: Vec<(&String, TensorView<'_>)> = Vec::new();
    for (name, (dtype, shape, bytes)) in &tensors {
        views.push((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(fault)?));
    }
    safetensors::serialize(views, None).map_err(fault)
}

/// Pixels, which hold the type's values already, as little-endian bytes of it.
pub(crate) fn stored(pixels: &[f32], dtype: Dtype) -> (Stored, Vec<u8>) {
    let wide = pixels.iter().map(|value| f64::from(*value));
    match dtype {
        Dtype::U8 => (Stored::U8, wide.map(u8::from_f64).collect()),
        Dtype::I16 => (Stored::I16, wide.flat_map(|value| i16::from_f64(value).to_le_bytes()).collect()),
        Dtype::F32 => (Stored::F32, pixels.iter().flat_map(|value| value.to_le_bytes()).collect()),
    }
}

/// How the model came to be. Nothing here depends on the clock: the same run gives the same package.
fn notes(trained: &Trained) -> Result<BTreeMap<String, Json>, TrainError> {
    let config = &trained.config;
    let fault = |error: serde_json::Error| TrainError::Model(error.to_string());
    let settings = serde_json::to_value(config).map_err(fault)?;
    let scores = json!({"training": trained.training, "validation": trained.validation});
    let split = format!("blocks of {} pixels, share {}", config.block, config.validation);
    Ok(BTreeMap::from([
        ("settings".into(), settings),
        ("scores".into(), scores),
        ("split".into(), json!(split)),
        ("steps".into(), json!(trained.steps)),
        ("final_loss".into(), json!(trained.losses.last())),
        ("class_weights".into(), json!(trained.class_weights)),
        ("normalisation".into(), json!(trained.setup.normalisation)),
    ]))
}
