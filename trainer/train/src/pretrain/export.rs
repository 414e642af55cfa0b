//! A pretrained model as a package.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::{Value as Json, json};
use skysense_contract::{MlmContext, Module as Part, Package, PackageWriter};
use skysense_model::{Precision, SkySense, Tape, export_geo_context};

use super::plan::contract;
use super::{Pretrained, Side};
use crate::TrainError;
use crate::batch::stack;
use crate::dataset::Prepared;
use crate::export::{TOLERANCE, encoder_graphs, probe_file, weights};
use crate::graphs::SHARD;
use crate::network::tokens;

/// Prototypes of regions that no place of the training lies in become 0: they say nothing there, rather than noise.
pub(super) fn settled(mut encoder: SkySense, visits: &[f32]) -> SkySense {
    encoder.geo_context = encoder.geo_context.map(|context| {
        let table = context.prototypes();
        let seen: Vec<f32> = visits.iter().map(|visits| f32::from(u8::from(*visits > 0.0))).collect();
        let seen = TensorData::new(seen, [visits.len(), 1, 1]);
        let seen = Tensor::<3>::from_data(seen, &table.device());
        context.with_prototypes(table * seen)
    });
    encoder
}

/// Writes a pretrained model as a package without a head at `folder`, which must not exist. It gives features as it is,
/// teaches a student, and gets a head when fine-tuning starts from it. The same weights give the same bytes. `context` as
/// in [`crate::export()`].
///
/// # Errors
/// [`TrainError::Contract`] when the folder exists or cannot be written.
pub fn export_pretrained(trained: &Pretrained, folder: &Path, context: &MlmContext) -> Result<Package, TrainError> {
    let Pretrained { encoder, setup, config, .. } = trained;
    let mut writer = PackageWriter::new(folder)?;
    encoder_graphs(encoder, setup, &mut writer)?;
    if let Some(prototypes) = &encoder.geo_context {
        writer.graph(Part::GeoContext, &export_geo_context(prototypes, [setup.chip_size; 2]), None)?;
    }
    let files = weights(encoder, None, writer.folder(), SHARD)?;
    writer.weights_written(&files)?;
    let (view, region) = &trained.probe;
    let device = Device::flex();
    let batch = stack(&[&view.sample], &setup.inputs, &device);
    let fused = encoder.fusion.forward(tokens(encoder, &Tape::off(), &batch, Precision::F32));
    let output = match &encoder.geo_context {
        Some(context) => {
            let region = TensorData::new(vec![*region as i64], [1]);
            context.forward(fused, Tensor::<1, Int>::from_data(region, &device))
        }
        None => fused,
    };
    let sample = Prepared { region: encoder.geo_context.as_ref().map(|_| *region), ..view.sample.clone() };
    writer.probe(&probe_file(&sample, &setup.inputs, output)?, TOLERANCE, TOLERANCE)?;
    let mut contract = contract(setup, &trained.sizes, config)?;
    contract.notes = notes(trained)?;
    let parameters = Some(encoder.num_params() as u64);
    Ok(writer.finish(contract, &MlmContext { parameters, ..context.clone() })?)
}

/// How the model came to be. Nothing here depends on the clock: the same run gives the same package.
fn notes(trained: &Pretrained) -> Result<BTreeMap<String, Json>, TrainError> {
    let settings = serde_json::to_value(&trained.config).map_err(|error| TrainError::Model(error.to_string()))?;
    let from = json!({
        "places": trained.places,
        "places_sha256": trained.checksum,
        "network": match trained.config.export {
            Side::Student => "student",
            Side::Teacher => "teacher, the moving average of the student",
        },
        "regions_seen": trained.regions,
        "projections": "not part of this package",
    });
    Ok(BTreeMap::from([
        ("pretrained".into(), from),
        ("settings".into(), settings),
        ("start".into(), trained.setup.start()),
        ("steps".into(), json!(trained.steps)),
        ("final_loss".into(), json!(trained.losses.last())),
        ("normalisation".into(), json!(trained.setup.normalisation)),
    ]))
}
