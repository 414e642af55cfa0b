//! A trained model as a package.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module as BurnModule;
use burn::tensor::{Device, Tensor};
use safetensors::tensor::{Dtype as Stored, TensorView};
use serde_json::{Value as Json, json};
use skysense_contract::{Dtype, Input, MlmContext, Modality, Module as Part, Package, PackageWriter, Value};
use skysense_model::checkpoint::{self, Element, WEIGHTS_STEM, WeightsWriter};
use skysense_model::{Head, SkySense, export_head};

use crate::batch::stack;
use crate::dataset::Prepared;
use crate::encoder::Encoder;
use crate::graphs::{Graphs, INSIDE, SHARD};
use crate::network::HEAD;
use crate::setup::Setup;
use crate::{TrainError, Trained};

/// Tolerance of the probe: what the model's ONNX graphs must hold against Burn.
pub(crate) const TOLERANCE: f64 = 1e-4;

/// Writes a trained model as a package at `folder`, which must not exist: graphs, weights, contract, probe and
/// STAC item. The same weights give the same bytes. `context` says what the STAC item should tell of the
/// training area; the count of parameters is added.
///
/// # Errors
/// [`TrainError::Contract`] when the folder exists or cannot be written.
pub fn export(trained: &Trained, folder: &Path, context: &MlmContext) -> Result<Package, TrainError> {
    let Trained { network, setup, config, .. } = trained;
    let mut writer = PackageWriter::new(folder)?;
    match &network.encoder {
        Encoder::Fused(encoder) => encoder_graphs(encoder, setup, &mut writer)?,
        Encoder::Pixels(encoder) => {
            let mut graphs = Graphs { writer: &mut writer, inside: INSIDE, chip_size: setup.chip_size };
            graphs.pixels(encoder, &setup.inputs[&Modality::Hr])?;
        }
    }
    let channels = network.encoder.channels();
    let channels = if config.task.compares() { 2 * channels } else { channels };
    writer.graph(Part::Head, &export_head(&network.head, channels, [setup.chip_size; 2]), None)?;
    let files = weights(&network.encoder, Some(&network.head), writer.folder(), SHARD)?;
    writer.weights_written(&files)?;
    writer.probe(&probe(trained)?, TOLERANCE, TOLERANCE)?;
    let mut contract = setup.contract(&config.name, &config.licence, Some(trained.head.clone()))?;
    contract.notes = notes(trained)?;
    let parameters = Some(network.num_params() as u64);
    Ok(writer.finish(contract, &MlmContext { parameters, ..context.clone() })?)
}

/// The graphs of an encoder: one for each modality, the fusion, and the prototypes where there are some.
pub(crate) fn encoder_graphs(encoder: &SkySense, setup: &Setup, writer: &mut PackageWriter) -> Result<(), TrainError> {
    let mut graphs = Graphs { writer, inside: INSIDE, chip_size: setup.chip_size };
    let encoders = &encoder.encoders;
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
    graphs.fusion(&encoder.fusion)?;
    encoder.geo_context.as_ref().map_or(Ok(()), |context| graphs.geo_context(context))
}

/// Encoder under the published names, head under its own prefix, tensor by tensor; gives the names of the files.
pub(crate) fn weights<M: BurnModule>(
    encoder: &M,
    head: Option<&Head>,
    folder: &Path,
    limit: u64,
) -> Result<Vec<String>, TrainError> {
    let of_head = head.map(|head| checkpoint::parameters(head, HEAD)).unwrap_or_default();
    let names = [checkpoint::parameters(encoder, ""), of_head].concat();
    let planned = names.into_iter().map(|(name, shape)| (name, Element::F32, shape)).collect();
    let mut writer = WeightsWriter::new(folder, WEIGHTS_STEM, planned, limit);
    checkpoint::write_module(encoder, &mut writer)?;
    if let Some(head) = head {
        checkpoint::write_module(head, &mut writer)?;
    }
    Ok(writer.finish()?)
}

/// One training sample and what Burn gives for it.
fn probe(trained: &Trained) -> Result<Vec<u8>, TrainError> {
    let sample = &trained.probe;
    let batch = stack(&[sample], &trained.setup.inputs, &Device::flex());
    probe_file(sample, &trained.setup.inputs, trained.network.outputs(&batch))
}

/// A sample and what the last graph gives for it, `[1, channel, height, width]`, with its region where the model has
/// geo-context.
pub(crate) fn probe_file(
    sample: &Prepared,
    inputs: &BTreeMap<Modality, Input>,
    output: Tensor<4>,
) -> Result<Vec<u8>, TrainError> {
    let mut tensors = Named::new();
    let shape = output.dims().to_vec();
    let output = output.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
    tensors.insert("output".into(), (Stored::F32, shape, output));
    for (prefix, all) in [("", &sample.series), ("before.", &sample.before)] {
        for (modality, series) in all {
            let input = &inputs[modality];
            let shape = vec![1, series.days.len(), input.bands.len(), series.side, series.side];
            let (dtype, bytes) = stored(&series.pixels, input.dtype);
            tensors.insert(format!("{prefix}{modality}"), (dtype, shape, bytes));
            let days = series.days.iter().flat_map(|day| day.to_le_bytes()).collect();
            tensors.insert(format!("{prefix}{modality}.day"), (Stored::I64, vec![1, series.days.len()], days));
        }
    }
    if let Some(region) = sample.region {
        tensors.insert("region".into(), (Stored::I64, vec![1], (region as i64).to_le_bytes().to_vec()));
    }
    serialised(&tensors)
}

/// Type, sides and little-endian bytes of tensors by name.
pub(crate) type Named = BTreeMap<String, (Stored, Vec<usize>, Vec<u8>)>;

/// A safetensors file of tensors.
pub(crate) fn serialised(tensors: &Named) -> Result<Vec<u8>, TrainError> {
    let fault = |error: safetensors::SafeTensorError| TrainError::Model(error.to_string());
    let mut views: Vec<(&String, TensorView<'_>)> = Vec::new();
    for (name, (dtype, shape, bytes)) in tensors {
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
    Ok(BTreeMap::from([
        ("settings".into(), settings),
        ("start".into(), trained.setup.start()),
        ("scores".into(), scores),
        ("split".into(), json!(trained.split)),
        ("calibration".into(), json!(trained.calibration)),
        ("curve".into(), json!(trained.curve)),
        ("steps".into(), json!(trained.steps)),
        ("final_loss".into(), json!(trained.losses.last())),
        ("normalisation".into(), json!(trained.setup.normalisation)),
    ]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skysense_contract::{Class, Modality, Offer, Unit};
    use skysense_model::checkpoint::WeightFile;

    use super::*;
    use crate::FinetuneConfig;
    use crate::network::Network;
    use crate::setup::setup;

    #[test]
    fn weights_in_shards_hold_what_one_file_holds() {
        let bands = vec!["B02".to_owned(), "B03".to_owned()];
        let offer = Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 1, size: 16, scale: 1 };
        let class = |value: u8| Class { value, name: format!("class {value}"), color: "00ff00".into() };
        let config = FinetuneConfig::new("shards", vec![class(1), class(2)]);
        let setup = setup(&[], &BTreeMap::from([(Modality::S2, offer)]), &config.recipe).unwrap();
        let network = Network::random(&setup, &config.head_record(), 0, &Device::flex()).unwrap();
        let read = |names: &[String], folder: &Path| -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
            let file = WeightFile::open(&folder.join(names.last().unwrap()), None).unwrap();
            file.tensors().map(|(key, at)| (key.to_owned(), (at.shape().to_vec(), at.floats().unwrap()))).collect()
        };
        let folder = tempfile::tempdir().unwrap();
        let one = weights(&network.encoder, Some(&network.head), folder.path(), SHARD).unwrap();
        assert_eq!(one, ["weights.safetensors"]);
        let shards = weights(&network.encoder, Some(&network.head), folder.path(), 500_000).unwrap();
        assert!(shards.len() > 3 && shards.last().unwrap() == "weights.safetensors.index.json", "{shards:?}");
        let (one, shards) = (read(&one, folder.path()), read(&shards, folder.path()));
        assert_eq!(one.len(), shards.len());
        assert!(one == shards && one.contains_key("head_s2.decoder.0.weight"));
        // What is in memory under the same names, with the sides that published files have.
        let saved = checkpoint::save(&network.encoder, "").unwrap();
        let saved = safetensors::SafeTensors::deserialize(&saved).unwrap();
        for (name, view) in saved.tensors() {
            let (shape, values) = &one[&name];
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert!(view.shape() == &shape[..] && view.data() == bytes, "{name}");
        }
    }
}
