//! What a run of pretraining takes, without making the model.

use std::collections::BTreeMap;

use serde::Serialize;
use skysense_contract::{Dtype, Modality, Offer};
use skysense_model::cost::{Chip, flops, memory, parameters};
use skysense_model::{SegmentationHeadConfig, SkySenseConfig};

use super::network::{Order, channels};
use super::plan::{Plan, plan};
use super::stream::{Level, Stream};
use super::{PretrainConfig, Targets};
use crate::normalise::Moments;
use crate::{Compute, TrainError, TrainingDevice};

/// What a run takes.
///
/// Counts are those of `skysense model cost`: FLOP of products, a backward pass as two forward passes, memory of Burn.
/// Projections count with the pixels that they are given; losses, Sinkhorn and prototypes do not count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretrainCost {
    /// Parameters of the encoder, prototypes counted.
    pub parameters: u64,
    /// Parameters of the student's projections.
    pub projections: u64,
    /// Places that the run sees in all.
    pub samples: u64,
    /// FLOP of a place: both views, or all, through the student and back, two through the teacher.
    pub flop_of_a_place: u64,
    /// FLOP of the run.
    pub flop: f64,
    /// Days of all devices together at the speed that was assumed.
    pub device_days: f64,
    /// Days until they are done.
    pub wall_days: f64,
    /// Bytes of memory for weights of both networks, gradients and moments on each device.
    pub weight_bytes: u64,
    /// Bytes of memory that a round of its share of a step takes on top.
    pub activation_bytes: u64,
    /// Bytes of the student's gradients.
    pub gradient_bytes: u64,
    /// Bytes of gradients that each device sends in the run.
    pub sent_bytes: f64,
    /// Bytes of places that all devices read in the run.
    pub read_bytes: f64,
    /// Bytes of a checkpoint.
    pub checkpoint_bytes: u64,
    /// Bytes of a place on disk, in the type of its pixels, without compression.
    pub place_bytes: u64,
}

/// What days and shares of a batch are counted with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assumed {
    /// Speed of a device in training in 10¹² FLOP a second.
    pub tflops: f64,
    /// Devices that share every batch.
    pub devices: usize,
}

/// Bytes of a number.
const VALUE: u64 = 4;
const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// Counts what a run takes on places like `offers` of `size` pixels.
///
/// # Errors
/// As [`super::planned_pretrained`].
pub fn pretrain_cost(
    offers: &BTreeMap<Modality, Offer>,
    size: usize,
    config: &PretrainConfig,
    Assumed { tflops, devices }: Assumed,
) -> Result<PretrainCost, TrainError> {
    if !(tflops.is_finite() && tflops > 0.0) {
        let (value, expected) = (tflops.to_string(), "more than 0".into());
        return Err(TrainError::Setting { setting: "tflops", value, expected });
    }
    if devices == 0 || devices > config.recipe.batch {
        let (value, expected) =
            (devices.to_string(), format!("1 to {}, a place of each batch for each", config.recipe.batch));
        return Err(TrainError::Setting { setting: "devices", value, expected });
    }
    let Plan { setup, sizes } = plan(offers, size, config, &|| Ok(Moments::new(offers).statistics()))?;
    let dates = |modality| setup.inputs.get(&modality).map_or(0, |input| input.dates);
    let chip = |size| Chip { size, dates_s2: dates(Modality::S2), dates_s1: dates(Modality::S1) };
    let (whole, small) = (chip(setup.chip_size), chip(config.crops.local_size));
    let count = |chip: Chip| {
        let counts = flops::by_module(&sizes, chip);
        let forward: u64 = counts.iter().map(|(_, count)| count.forward).sum();
        (forward, counts.iter().map(|(_, count)| count.training()).sum::<u64>())
    };
    let projections = Projections::new(&sizes, config, &setup.inputs.keys().copied().collect::<Vec<_>>(), whole);
    let ((forward, training), locals) = (count(whole), config.crops.locals as u64);
    let of_locals = if locals > 0 { locals * count(small).1 } else { 0 };
    let of_projections = projections.flop_of_a_view.saturating_mul(2 * 4);
    // With several rounds, what compares the whole step is made by a forward pass of its own, of both networks.
    let again = config.accumulate > 1 && (config.alignment.weight > 0.0 || config.targets != Targets::Centred);
    let of_again = if again { 4 * forward + locals * count(small).0 } else { 0 };
    let of_again = of_again.saturating_add(if again { projections.flop_of_a_view.saturating_mul(2) } else { 0 });
    let flop_of_a_place =
        (2 * (forward + training) + of_locals).saturating_add(of_projections).saturating_add(of_again);
    let recipe = &config.recipe;
    let samples = (recipe.steps as u64).saturating_mul(recipe.batch as u64);
    let flop = samples as f64 * flop_of_a_place as f64;
    let encoder: u64 = parameters::by_module(&sizes).into_iter().map(|(_, count)| count as u64).sum();
    let student = encoder + projections.parameters;
    let Compute { precision, checkpointing, device } = config.compute;
    // Parts that run side by side have gradients of their own.
    let parts = if device == TrainingDevice::cpu() { recipe.parts as u64 } else { 1 };
    // Weights and two moments of the student, weights of the teacher, and the copy that follows it; gradients.
    let weight_bytes = VALUE * (5 + parts) * student;
    let views = 2 * recipe.batch.div_ceil(devices).div_ceil(config.accumulate) as u64;
    let mode = memory::Mode { precision, checkpointing, parts: 1 };
    let none = SegmentationHeadConfig { channels: sizes.channels(), hidden: 1, classes: 1 };
    let activations = memory::training(mode, &sizes, &none, whole, views).activations;
    let activations = activations + memory::inference(&sizes, &none, whole, views).activations;
    let place: u64 = offers.values().map(place_bytes).sum();
    Ok(PretrainCost {
        parameters: encoder,
        projections: projections.parameters,
        samples,
        flop_of_a_place,
        flop,
        device_days: flop / (tflops * 1e12) / SECONDS_OF_A_DAY,
        wall_days: flop / (tflops * 1e12) / SECONDS_OF_A_DAY / devices as f64,
        gradient_bytes: VALUE * student,
        sent_bytes: 2.0 * (devices - 1) as f64 / devices as f64 * (VALUE * student) as f64 * recipe.steps as f64,
        read_bytes: samples as f64 * place as f64,
        weight_bytes,
        activation_bytes: activations.saturating_add(views.saturating_mul(projections.bytes_of_a_view)),
        checkpoint_bytes: VALUE * 4 * student,
        place_bytes: place,
    })
}

/// Pixels and validity of one modality of a place.
fn place_bytes(offer: &Offer) -> u64 {
    let wide = match offer.dtype {
        Dtype::U8 => 1,
        Dtype::I16 => 2,
        Dtype::F32 => 4,
    };
    (offer.dates * offer.size * offer.size * (offer.bands.len() * wide + 1)) as u64
}

/// What the projections take.
struct Projections {
    parameters: u64,
    /// FLOP of a forward pass.
    flop_of_a_view: u64,
    /// What both sides hold of their outputs: logits, targets, and what the backward pass reads.
    bytes_of_a_view: u64,
}

impl Projections {
    fn new(sizes: &SkySenseConfig, config: &PretrainConfig, modalities: &[Modality], chip: Chip) -> Self {
        let mut all = Self { parameters: 0, flop_of_a_view: 0, bytes_of_a_view: 0 };
        let pixels = chip.size * chip.size;
        for stream in Order::new(modalities.iter().copied()).0 {
            let dates = match stream {
                Stream::Modality(Modality::S2) => chip.dates_s2,
                Stream::Modality(Modality::S1) => chip.dates_s1,
                Stream::Modality(Modality::Hr) | Stream::Fused => 1,
            };
            if stream != Stream::Fused && config.alignment.weight > 0.0 {
                all.parameters += ((channels(sizes, stream) + 1) * config.alignment.outputs) as u64;
            }
            for level in Level::ALL.into_iter().filter(|level| config.weight(stream, *level) > 0.0) {
                let rows = match level {
                    Level::Pixel => config.crops.pixels.unwrap_or(pixels).min(pixels),
                    Level::Object => config.levels.objects.clusters.min(pixels),
                    Level::Image => 1,
                };
                let (rows, parameters) =
                    ((dates * rows) as u64, config.heads.parameters(channels(sizes, stream)) as u64);
                all.parameters += parameters;
                all.flop_of_a_view = all.flop_of_a_view.saturating_add((2 * rows).saturating_mul(parameters));
                let held = 6 * config.heads.outputs + 4 * config.heads.layers * config.heads.hidden;
                all.bytes_of_a_view += (VALUE * rows).saturating_mul(held as u64);
            }
        }
        all
    }
}
