//! A trained detector as a package.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use safetensors::tensor::Dtype as Stored;
use serde_json::{Value as Json, json};
use skysense_contract::{MlmContext, Modality, Package, PackageWriter};
use skysense_detect::{Region, RotatedBox};
use skysense_model::Tape;
use skysense_model::checkpoint::{self, Element, WEIGHTS_STEM, WeightsWriter};

use super::image::{block_side, stack};
use super::predict::judge;
use super::{TrainedDetector, contract};
use crate::export::{Named, serialised, stored};
use crate::graphs::{Graphs, INSIDE, SHARD};
use crate::{Curve, TrainError};

/// What the graphs must hold against Burn. A detector's maps have passed more layers than an encoder's.
const TOLERANCE: f64 = 5e-4;

/// Writes a trained detector as a package at `folder`, which must not exist, as [`crate::export()`] writes other models.
///
/// # Errors
/// As [`crate::export()`].
pub fn export_detector(trained: &TrainedDetector, folder: &Path, context: &MlmContext) -> Result<Package, TrainError> {
    export_within(trained, folder, context, INSIDE)
}

/// With weights beside the dense graph where they are more than `inside` bytes.
fn export_within(
    trained: &TrainedDetector,
    folder: &Path,
    context: &MlmContext,
    inside: u64,
) -> Result<Package, TrainError> {
    let TrainedDetector { network, setup, config, .. } = trained;
    let mut writer = PackageWriter::new(folder)?;
    let input = &setup.inputs[&Modality::Hr];
    Graphs { writer: &mut writer, inside, chip_size: setup.chip_size }.detector(network, input)?;
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
    let block = block_side(trained.setup.chip_size, config.recipe.block);
    let split = format!("blocks of {block} pixels, share {}", config.recipe.validation);
    Ok(BTreeMap::from([
        ("settings".into(), settings),
        ("start".into(), trained.setup.start()),
        ("scores".into(), json!({"training": trained.training, "validation": trained.validation})),
        ("split".into(), json!(split)),
        ("curve".into(), json!(Curve::new(&trained.losses, (&[], 1)))),
        ("steps".into(), json!(trained.steps)),
        ("final_loss".into(), json!(trained.losses.last())),
        ("normalisation".into(), json!(trained.setup.normalisation)),
    ]))
}

#[cfg(test)]
#[path = "../../tests/support/rectangles.rs"]
mod rectangles;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoHooks;

    #[test]
    fn a_dense_graph_of_any_size_has_its_weights_beside_it() {
        let samples = rectangles::samples(4, false);
        let config = rectangles::config(1, false);
        let trained = crate::train_detector(&samples, &rectangles::offers(), &config, &mut NoHooks).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let export = |name: &str, inside| {
            export_within(&trained, &folder.path().join(name), &MlmContext::default(), inside).unwrap()
        };
        let (one, two) = (export("one", INSIDE), export("two", 0));
        two.verify().unwrap();
        let graph = |package: &Package| {
            let graph = package.contract().graphs[&skysense_contract::Module::Hr].clone();
            let bytes = |name: &str| std::fs::metadata(package.folder().join(name)).unwrap().len();
            (bytes(&graph.path), graph.data.as_ref().map(|data| bytes(&data.path)))
        };
        let ((whole, none), (small, data)) = (graph(&one), graph(&two));
        assert_eq!(none, None);
        // All weights went, and nothing else: names and sides of the tensors stay.
        let (moved, data) = (whole - small, data.unwrap());
        assert!(small < whole / 4 && data.abs_diff(moved) < data / 20, "{whole} to {small} and {data}");
    }
}
