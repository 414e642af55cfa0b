//! Encoder and head as one network that learns.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Int, Tensor};
use rand::RngExt;
use skysense_contract::{Calendar, GeoContext, Head as HeadRecord, Input, Modality, Package};
use skysense_model::{
    Calendar as ModelCalendar, GeoContextConfig, Head, ModelError, PRESETS, Precision, SkySense, SkySenseConfig, Tape,
    Tokens, checkpoint,
};

use crate::TrainError;
use crate::batch::Batch;
use crate::encoder::{Encoder, EncoderConfig};
use crate::random::{Purpose, rng};
use crate::setup::Setup;

/// Prefix of the head's parameters in `weights.safetensors`.
pub(crate) const HEAD: &str = "head";

/// Prefix of the parameters of prototypes and their projections.
const GEO_CONTEXT: &str = "geo_context.";

/// Encoder and head.
#[derive(Module, Debug)]
pub(crate) struct Network {
    pub(crate) encoder: Encoder,
    pub(crate) head: Head,
}

/// Burn's generator is one for the process: whoever seeds it must draw before another does.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Runs what draws from the device's generator, seeded, with no other run of this process in between.
pub(crate) fn seeded<R>(device: &Device, seed: u64, draw: impl FnOnce() -> R) -> R {
    let _mine = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    draw()
}

/// A module whose parameters are drawn: they are when first used, so they are made use of while the seed holds.
pub(crate) fn drawn<M: Module>(module: M) -> M {
    module.visit(&mut Draw);
    module
}

struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val());
    }
}

/// Names of the presets.
pub(crate) fn preset_names() -> Vec<String> {
    PRESETS.iter().map(ToString::to_string).collect()
}

impl From<ModelError> for TrainError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::File(fault) => Self::Weights(fault),
            other => Self::Model(other.to_string()),
        }
    }
}

/// Sizes of the whole model for the inputs of a run.
///
/// # Errors
/// Inputs of an image's own pixels, which have no fusion.
pub(crate) fn encoder_config(setup: &Setup) -> Result<SkySenseConfig, TrainError> {
    if setup.of_pixels() {
        let (value, expected) = ("chips with `hr_scale: 1`".into(), "`hr_scale: 32` for this task or node".into());
        return Err(TrainError::Setting { setting: "offers", value, expected });
    }
    let mut config = setup.architecture()?;
    fit(&mut config, (&setup.inputs, setup.calendar, setup.geo_context.as_ref()));
    config.check()?;
    if let Some(hr) = &config.hr {
        hr.check_size([32 * setup.chip_size; 2])?;
    }
    Ok(config)
}

/// What decides sizes beside a preset: inputs, calendar encoding, prototypes.
type Chosen<'a> = (&'a BTreeMap<Modality, Input>, Calendar, Option<&'a GeoContext>);

/// Sizes for the inputs that a model has: their bands, and no module for what it does not see.
pub(crate) fn fit(config: &mut SkySenseConfig, (inputs, calendar, geo_context): Chosen<'_>) {
    let bands = |modality: Modality| inputs.get(&modality).map(|input| input.bands.len());
    match (bands(Modality::Hr), &mut config.hr) {
        (Some(bands), Some(hr)) => hr.bands = bands,
        _ => config.hr = None,
    }
    for (modality, series) in [(Modality::S2, &mut config.s2), (Modality::S1, &mut config.s1)] {
        match (bands(modality), series.as_mut()) {
            (Some(bands), Some((vit, _))) => vit.bands = bands,
            _ => *series = None,
        }
    }
    config.fusion.calendar = match calendar {
        Calendar::None => ModelCalendar::None,
        Calendar::S2Only => ModelCalendar::S2Only,
        Calendar::All => ModelCalendar::All,
    };
    config.geo_context = geo_context.map(|context| GeoContextConfig {
        regions: context.regions(),
        prototypes: context.prototypes,
        channels: config.fusion.channels,
        width: context.width,
    });
}

/// An encoder with random weights for the inputs of a run.
pub(crate) fn random_encoder(setup: &Setup, seed: u64, device: &Device) -> Result<SkySense, TrainError> {
    let config = encoder_config(setup)?;
    seeded(device, rng(seed, Purpose::Weights, 0).random(), || Ok(drawn(config.init(device)?)))
}

/// Tensors of a package, by name.
pub(crate) type Tensors = BTreeMap<String, checkpoint::Stored>;

/// All that the weights of a package hold.
pub(crate) fn stored_tensors(package: &Package) -> Result<Tensors, TrainError> {
    let file = checkpoint::WeightFile::open(&package.weights(), None).map_err(ModelError::from)?;
    Ok(file.tensors().map(|(name, stored)| (name.to_string(), stored.clone())).collect())
}

/// The encoder's weights of a package, and all that the package holds.
pub(crate) fn load_encoder(encoder: SkySense, package: &Package) -> Result<(SkySense, Tensors), TrainError> {
    let tensors = stored_tensors(package)?;
    let (encoder, mut report) = checkpoint::load_stored(encoder, "", &tensors)?;
    // Prototypes are optional: a model may leave those of the package out, or start with others.
    let stated = package.contract().geo_context.as_ref().map(|c| (c.regions(), c.prototypes, c.width));
    let wanted = encoder.config().geo_context.as_ref().map(|c| (c.regions, c.prototypes, c.width));
    report.unexpected.retain(|name| !name.starts_with(HEAD));
    if stated != wanted {
        for names in [&mut report.unexpected, &mut report.missing, &mut report.mismatched] {
            names.retain(|name| !name.starts_with(GEO_CONTEXT));
        }
    }
    report.strict()?;
    Ok((encoder, tensors))
}

impl Network {
    /// A network with random weights for the inputs of a run.
    pub(crate) fn random(setup: &Setup, head: &HeadRecord, seed: u64, device: &Device) -> Result<Self, TrainError> {
        let config = EncoderConfig::of(setup)?;
        let head = config.head(head);
        seeded(device, rng(seed, Purpose::Weights, 0).random(), || {
            Ok(drawn(Self { encoder: config.init(device)?, head: head.init(device) }))
        })
    }

    /// The weights of a package; its head's too where the classes are the same.
    pub(crate) fn load(self, package: &Package, head: &HeadRecord) -> Result<Self, TrainError> {
        let (encoder, tensors) = self.encoder.load(package)?;
        let same = package
            .contract()
            .head
            .as_ref()
            .is_some_and(|own| (own.task, own.kind, &own.classes) == (head.task, head.kind, &head.classes));
        // Loading puts plain tensors in place of the parameters' own; they learn only when told to.
        let learning = |head| Self { encoder, head }.set_require_grad(true);
        if !same {
            return Ok(learning(self.head));
        }
        let (head, mut report) = checkpoint::load_stored(self.head, HEAD, &tensors)?;
        report.unexpected.clear();
        report.strict()?;
        Ok(learning(head))
    }

    /// Batch → what the head gives, `[batch, class, height, width]`, in single precision.
    pub(crate) fn outputs(&self, batch: &Batch) -> Tensor<4> {
        Precision::F32.cast(self.head.forward(self.features_on(&Tape::off(), batch, Precision::F32, false)))
    }

    /// What the head reads, with all blocks on a tape, computed in a precision; with a frozen encoder no gradient goes into
    /// it, and nothing of it is kept. Where a batch has an earlier time, its features come first along the channels.
    pub(crate) fn features_on(&self, tape: &Tape, batch: &Batch, precision: Precision, frozen: bool) -> Tensor<4> {
        let of = |batch: &Batch| match frozen {
            true => self.encoder.clone().no_grad().features(tape, batch, precision).detach(),
            false => self.encoder.features(tape, batch, precision),
        };
        let now = of(batch);
        if batch.before.is_empty() {
            return now;
        }
        let before = Batch { stacks: batch.before.clone(), before: BTreeMap::new(), regions: batch.regions.clone() };
        Tensor::cat(vec![of(&before), now], 1)
    }
}

/// Fused features of a batch, `[batch, channel, height, width]`.
pub(crate) fn features(encoder: &SkySense, tape: &Tape, batch: &Batch, precision: Precision) -> Tensor<4> {
    let fused = encoder.fusion.forward_on(tape, tokens(encoder, tape, batch, precision));
    match (&encoder.geo_context, &batch.regions) {
        (Some(context), Some(regions)) => context.forward(fused, regions.clone()),
        (Some(_), None) => unreachable!("samples of a model with prototypes are located before they are stacked"),
        (None, _) => fused,
    }
}

/// Tokens of all modalities of a batch, HR, S2, S1 in turn, with absent dates hidden.
pub(crate) fn tokens(encoder: &SkySense, tape: &Tape, batch: &Batch, precision: Precision) -> Tokens {
    let (mut features, mut days, mut calendars, mut present) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for modality in Modality::ALL {
        let Some(stack) = batch.stacks.get(&modality) else { continue };
        let pixels = precision.cast(stack.pixels.clone());
        features.push(encode(encoder, tape, modality, pixels));
        days.push(stack.days.clone());
        let carries = match encoder.fusion.config().calendar {
            ModelCalendar::None => false,
            ModelCalendar::S2Only => modality == Modality::S2,
            ModelCalendar::All => true,
        };
        calendars.push(Tensor::<2>::full(stack.days.dims(), f32::from(u8::from(carries)), &stack.pixels.device()));
        present.push(stack.present.clone());
    }
    Tokens {
        features: Tensor::cat(features, 1),
        day: Tensor::<2, Int>::cat(days, 1),
        calendar: Tensor::cat(calendars, 1),
        present: Some(Tensor::<2, Bool>::cat(present, 1)),
    }
}

/// `[batch, time, band, height, width]` → `[batch, time, channel, height, width]`.
fn encode(encoder: &SkySense, tape: &Tape, modality: Modality, pixels: Tensor<5>) -> Tensor<5> {
    let [batch, time, band, height, width] = pixels.dims();
    let pixels = pixels.reshape([batch * time, band, height, width]);
    let encoders = &encoder.encoders;
    let series = match modality {
        Modality::Hr => None,
        Modality::S2 => encoders.backbone_s2.as_ref().zip(encoders.head_s2.as_ref()),
        Modality::S1 => encoders.backbone_s1.as_ref().zip(encoders.head_s1.as_ref()),
    };
    let maps = match (series, &encoders.backbone_hr) {
        (Some((backbone, head)), _) => head.forward(backbone.forward_on(tape, pixels)),
        (None, Some(backbone)) => backbone
            .forward_on(tape, pixels)
            .pop()
            .expect("a network is only made where its last stage is among the outputs"),
        (None, None) => unreachable!("a batch holds only modalities that the network was made for"),
    };
    let [_, channel, rows, columns] = maps.dims();
    maps.reshape([batch, time, channel, rows, columns])
}
