//! The probe of an imported package, computed with Burn while its modules are at hand.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::Dtype as Stored;
use skysense_contract::{Dtype, Input, Modality, Value};
use skysense_model::checkpoint::Alone;
use skysense_model::{Calendar, Normalisation, SkySenseConfig, Tokens, UpHeadConfig, VitConfig};

use super::modules::Modules;
use crate::TrainError;
use crate::export::{Named, serialised, stored};
use crate::graphs::Graphs;
use crate::random::{Purpose, rng};

/// Tolerance of the probe, of its largest kind of values and of each. Attention scales of published weights may stand
/// at their bound, where the rounding of a cosine becomes a hundred times as large.
const TOLERANCE: f64 = 1e-3;

/// A probe file and its tolerance.
pub(super) struct Probe {
    pub(super) bytes: Vec<u8>,
    pub(super) absolute: f64,
    pub(super) relative: f64,
}

/// Pixels of one modality in a probe, and what its encoder makes of them.
struct Piece {
    modality: Modality,
    days: Vec<i64>,
    shape: Vec<usize>,
    pixels: Vec<f32>,
    features: Tensor<5>,
}

/// Makes one module after the other, writes its graph, and carries a batch through.
pub(super) fn run(
    (model, alone): (&SkySenseConfig, &[Alone]),
    inputs: &BTreeMap<Modality, Input>,
    modules: &mut Modules<'_>,
    graphs: &mut Graphs<'_>,
) -> Result<Probe, TrainError> {
    let device = Device::flex();
    let mut pieces = Vec::new();
    for (modality, input) in inputs {
        let (shape, pixels, days) = draw(*modality, input, graphs.chip_size);
        let normalised = normalised(&shape, &pixels, input, &device);
        let maps = match (modality, model) {
            (Modality::Hr, SkySenseConfig { hr: Some(hr), .. }) => {
                let backbone = modules.make("backbone_hr", &device, || Ok(hr.init(&device)?))?;
                graphs.hr(&backbone, input)?;
                backbone
                    .forward(normalised)
                    .pop()
                    .ok_or_else(|| TrainError::Model("an encoder without stages".into()))?
            }
            (Modality::S2, SkySenseConfig { s2: Some(series), .. })
            | (Modality::S1, SkySenseConfig { s1: Some(series), .. }) => {
                let module = format!("backbone_{modality}");
                let raised = alone.iter().all(|alone| alone.module != module || alone.raised);
                series_maps((*modality, raised), series, normalised, input, modules, graphs)?
            }
            _ => continue,
        };
        let [time, channel, rows, columns] = maps.dims();
        let features = maps.reshape([1, time, channel, rows, columns]);
        pieces.push(Piece { modality: *modality, days, shape, pixels, features });
    }
    if !alone.is_empty() {
        // One date each, side by side along the channels.
        let maps = pieces.iter().map(|piece| piece.features.clone().squeeze_dim::<4>(1)).collect();
        return file(inputs, &pieces, None, Tensor::cat(maps, 1));
    }
    let fusion = modules.make("fusion", &device, || Ok(model.fusion.init(&device)))?;
    graphs.fusion(&fusion)?;
    let output = fusion.forward(tokens(&pieces, model.fusion.calendar, &device));
    drop(fusion);
    let Some(sizes) = &model.geo_context else { return file(inputs, &pieces, None, output) };
    let context = modules.make("geo_context", &device, || Ok(sizes.init(&device)))?;
    graphs.geo_context(&context)?;
    let region = sizes.regions as i64 / 2;
    let output = context.forward(output, Tensor::from_data([region], &device));
    file(inputs, &pieces, Some(region), output)
}

fn series_maps(
    (modality, raised): (Modality, bool),
    (vit, up): &(VitConfig, UpHeadConfig),
    pixels: Tensor<4>,
    input: &Input,
    modules: &mut Modules<'_>,
    graphs: &mut Graphs<'_>,
) -> Result<Tensor<4>, TrainError> {
    let device = pixels.device();
    let backbone = modules.make(&format!("backbone_{modality}"), &device, || Ok(vit.init(&device)))?;
    if !raised {
        graphs.vit(modality, &backbone, input)?;
        let maps = backbone.forward(pixels);
        let [batch, channel, rows, columns] = maps.dims();
        let parts = maps.reshape([batch, channel, rows, 1, columns, 1]);
        let spread = parts.repeat_dim(3, vit.patch).repeat_dim(5, vit.patch);
        return Ok(spread.reshape([batch, channel, rows * vit.patch, columns * vit.patch]));
    }
    let head = modules.make(&format!("head_{modality}"), &device, || Ok(up.init(&device)))?;
    graphs.series(modality, &backbone, &head, input)?;
    Ok(head.forward(backbone.forward(pixels)))
}

/// Pixels as they might come: around the mean of each band, in the type of the input; and their days.
fn draw(modality: Modality, input: &Input, chip_size: usize) -> (Vec<usize>, Vec<f32>, Vec<i64>) {
    let days: &[i64] = if modality == Modality::S2 { &[120, 200] } else { &[180] };
    let side = chip_size * input.scale;
    let mut random: ChaCha8Rng = rng(1, Purpose::Split, modality as usize);
    let mut pixels = Vec::with_capacity(days.len() * input.bands.len() * side * side);
    for _ in days {
        for (mean, std) in input.mean.iter().zip(&input.std) {
            pixels.extend((0..side * side).map(|_| {
                let value = mean + std * (2.0 * random.random::<f64>() - 1.0);
                match input.dtype {
                    Dtype::U8 => f32::from(u8::from_f64(value)),
                    Dtype::I16 => f32::from(i16::from_f64(value)),
                    Dtype::F32 => value as f32,
                }
            }));
        }
    }
    // A series has as many dates as it may have, at most these.
    let days = days[..days.len().min(input.dates)].to_vec();
    pixels.truncate(days.len() * input.bands.len() * side * side);
    (vec![days.len(), input.bands.len(), side, side], pixels, days)
}

fn normalised(shape: &[usize], pixels: &[f32], input: &Input, device: &Device) -> Tensor<4> {
    let normalisation = Normalisation { mean: input.mean.clone(), std: input.std.clone() };
    normalisation.forward(Tensor::from_data(TensorData::new(pixels.to_vec(), shape.to_vec()), device))
}

fn tokens(pieces: &[Piece], calendar: Calendar, device: &Device) -> Tokens {
    let (mut features, mut days, mut covered) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let time = piece.days.len();
        let carries = match calendar {
            Calendar::None => false,
            Calendar::S2Only => piece.modality == Modality::S2,
            Calendar::All => true,
        };
        features.push(piece.features.clone());
        days.push(Tensor::<2, Int>::from_data(TensorData::new(piece.days.clone(), [1, time]), device));
        covered.push(Tensor::<2>::full([1, time], f32::from(u8::from(carries)), device));
    }
    Tokens {
        features: Tensor::cat(features, 1),
        day: Tensor::<2, Int>::cat(days, 1),
        calendar: Tensor::cat(covered, 1),
        present: None,
    }
}

fn file(
    inputs: &BTreeMap<Modality, Input>,
    pieces: &[Piece],
    region: Option<i64>,
    output: Tensor<4>,
) -> Result<Probe, TrainError> {
    let shape = output.dims().to_vec();
    let values: Vec<f32> = output.into_data().iter::<f32>().collect();
    let square = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / values.len().max(1) as f64;
    if !square.is_finite() {
        return Err(TrainError::Incomplete {
            found: "the model gives values that are not finite".into(),
            hint: "the weights hold infinities or are of another model: compare the checksums of the files",
        });
    }
    let mut tensors = Named::new();
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let _new = tensors.insert("output".into(), (Stored::F32, shape, bytes));
    for piece in pieces {
        let (dtype, bytes) = stored(&piece.pixels, inputs[&piece.modality].dtype);
        let shape = [&[1], &piece.shape[..]].concat();
        let _new = tensors.insert(piece.modality.to_string(), (dtype, shape, bytes));
        let days = piece.days.iter().flat_map(|day| day.to_le_bytes()).collect();
        let _new = tensors.insert(format!("{}.day", piece.modality), (Stored::I64, vec![1, piece.days.len()], days));
    }
    if let Some(region) = region {
        let _new = tensors.insert("region".into(), (Stored::I64, vec![1], region.to_le_bytes().to_vec()));
    }
    Ok(Probe { bytes: serialised(&tensors)?, absolute: TOLERANCE * square.sqrt(), relative: TOLERANCE })
}
