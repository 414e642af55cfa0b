//! A trained detector as a package.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use safetensors::tensor::Dtype as Stored;
use serde_json::{Value as Json, json};
use skysense_contract::{Dtype, MlmContext, Modality, Module as Part, Package, PackageWriter};
use skysense_detect::{Region, RotatedBox};
use skysense_model::checkpoint::{self, Element, WEIGHTS_STEM, WeightsWriter};
use skysense_model::{Normalisation, PixelType, Tape, export_dense, export_regions};

use super::image::stack;
use super::predict::judge;
use super::{TrainedDetector, contract};
use crate::TrainError;
use crate::export::{Named, serialised, stored};
use crate::graphs::SHARD;

/// What the graphs must hold against Burn. A detector's maps have passed more layers than an encoder's.
const TOLERANCE: f64 = 5e-4;

/// Writes a trained detector as a package at `folder`, which must not exist, as [`crate::export()`] writes other models.
///
/// # Errors
/// As [`crate::export()`].
pub fn export_detector(trained: &TrainedDetector, folder: &Path, context: &MlmContext) -> Result<Package, TrainError> {
    let TrainedDetector { network, setup, config, .. } = trained;
    let mut writer = PackageWriter::new(folder)?;
    let input = &setup.inputs[&Modality::Hr];
    let normalisation = Normalisation { mean: input.mean.clone(), std: input.std.clone() };
    let pixels = match input.dtype {
        Dtype::U8 => PixelType::U8,
        Dtype::I16 => PixelType::I16,
        Dtype::F32 => PixelType::F32,
    };
    let side = setup.chip_size * input.scale;
    writer.graph(Part::Hr, &export_dense(network, &normalisation, pixels, [side; 2]), None)?;
    writer.graph(Part::Head, &export_regions(network), None)?;
    let names = checkpoint::parameters(network, "");
    let planned = names.into_iter().map(|(name, shape)| (name, Element::F32, shape)).collect();
    let mut weights = WeightsWriter::new(writer.folder(), WEIGHTS_STEM, planned, SHARD);
    checkpoint::write_module(network, &mut weights)?;
    let files = weights.finish()?;
    writer.weights_written(&files)?;
    writer.probe(&probe(trained)?, TOLERANCE, TOLERANCE)?;
    let mut contract = contract(setup, config)?;
    contract.notes = notes(trained)?;
    let parameters = Some(network.num_params() as u64);
    Ok(writer.finish(contract, &MlmContext { parameters, ..context.clone() })?)
}

/// A chip, regions of it, and what Burn gives: of each level objectness, codes and pooled features, then logits and codes of
/// the regions.
fn probe(trained: &TrainedDetector) -> Result<Vec<u8>, TrainError> {
    let TrainedDetector { network, setup, probe, .. } = trained;
    let (input, detector) = (&setup.inputs[&Modality::Hr], network.detector());
    let dense = network.dense(&Tape::off(), stack(&[probe], input, &Device::flex()), false);
    let mut output: Vec<f32> = Vec::new();
    for level in 0..detector.strides.len() {
        let maps = [Some(&dense.objectness[level]), Some(&dense.codes[level]), dense.features.get(level)];
        maps.into_iter().flatten().for_each(|map| output.extend(map.clone().into_data().iter::<f32>()));
    }
    // The objects of the chip, and one region of each level.
    let middle = probe.side as f32 / 2.0;
    let coarse = [60.0, 120.0, 240.0, 480.0].map(|side| RotatedBox {
        centre: [middle; 2],
        size: [side, side / 1.5],
        angle: if detector.rotated { 0.4 } else { 0.0 },
    });
    let areas: Vec<RotatedBox> = probe.objects.iter().map(|object| object.area).chain(coarse).collect();
    let regions: Vec<Region> = areas.iter().map(|area| Region { image: 0, area: *area }).collect();
    let (logits, codes) = judge(network, &dense, &regions);
    output.extend(logits.into_iter().chain(codes));
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let told: Vec<f32> = areas.iter().flat_map(|a| [a.centre[0], a.centre[1], a.size[0], a.size[1], a.angle]).collect();
    let (dtype, bytes) = stored(&probe.pixels, input.dtype);
    let side = probe.side;
    let mut tensors = Named::new();
    tensors.insert("hr".into(), (dtype, vec![1, 1, input.bands.len(), side, side], bytes));
    tensors.insert("hr.day".into(), (Stored::I64, vec![1, 1], vec![0; 8]));
    tensors.insert("regions".into(), (Stored::F32, vec![areas.len(), 5], floats(&told)));
    tensors.insert("output".into(), (Stored::F32, vec![output.len()], floats(&output)));
    serialised(&tensors)
}

fn notes(trained: &TrainedDetector) -> Result<BTreeMap<String, Json>, TrainError> {
    let config = &trained.config;
    let settings = serde_json::to_value(config).map_err(|error| TrainError::Model(error.to_string()))?;
    let split = format!("blocks of {} pixels, share {}", config.recipe.block, config.recipe.validation);
    Ok(BTreeMap::from([
        ("settings".into(), settings),
        ("start".into(), trained.setup.start()),
        ("scores".into(), json!({"training": trained.training, "validation": trained.validation})),
        ("split".into(), json!(split)),
        ("steps".into(), json!(trained.steps)),
        ("final_loss".into(), json!(trained.losses.last())),
        ("normalisation".into(), json!(trained.setup.normalisation)),
    ]))
}
