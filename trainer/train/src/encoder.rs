//! What heads stand on: the whole model with its fusion, or the high-resolution encoder at the image's own pixels.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use skysense_contract::{Head as HeadRecord, Modality, Package};
use skysense_model::{
    HeadConfig, PixelEncoder, PixelEncoderConfig, Precision, SkySense, SkySenseConfig, Tape, checkpoint,
};

use crate::batch::Batch;
use crate::network::{Tensors, encoder_config, features, load_encoder, stored_tensors};
use crate::setup::Setup;
use crate::tensors::architecture;
use crate::{TrainError, tasks};

/// Sizes of an [`Encoder`].
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a network has one encoder, whose sizes are looked at a few times")]
pub(crate) enum EncoderConfig {
    /// All modalities, brought together on the grid of the chip.
    Fused(SkySenseConfig),
    /// One high-resolution image.
    Pixels(PixelEncoderConfig),
}

/// See the module. Its parameters have the names of the module inside.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one encoder, which is moved a few times in its life")]
pub(crate) enum Encoder {
    /// All modalities, brought together on the grid of the chip.
    Fused(SkySense),
    /// One high-resolution image.
    Pixels(PixelEncoder),
}

impl EncoderConfig {
    /// Sizes for the inputs of a run.
    pub(crate) fn of(setup: &Setup) -> Result<Self, TrainError> {
        if !setup.of_pixels() {
            return Ok(Self::Fused(encoder_config(setup)?));
        }
        let config = pixels(setup.architecture()?, setup.inputs[&Modality::Hr].bands.len())?;
        config.hr.check()?;
        config.hr.check_size([setup.chip_size; 2])?;
        Ok(Self::Pixels(config))
    }

    /// Sizes of a package's own.
    pub(crate) fn of_package(package: &Package) -> Result<Self, TrainError> {
        let (contract, sizes) = (package.contract(), architecture(package)?);
        match contract.modalities.get(&Modality::Hr).filter(|_| contract.of_pixels()) {
            Some(input) => Ok(Self::Pixels(pixels(sizes, input.bands.len())?)),
            None => Ok(Self::Fused(sizes)),
        }
    }

    /// Channels of the features.
    pub(crate) fn channels(&self) -> usize {
        match self {
            Self::Fused(config) => config.channels(),
            Self::Pixels(config) => config.channels,
        }
    }

    /// The head of a task on these features.
    pub(crate) fn head(&self, record: &HeadRecord) -> HeadConfig {
        tasks::head(record, self.channels(), matches!(self, Self::Pixels(_)))
    }

    /// An encoder with fresh weights.
    pub(crate) fn init(&self, device: &Device) -> Result<Encoder, TrainError> {
        Ok(match self {
            Self::Fused(config) => Encoder::Fused(config.init(device)?),
            Self::Pixels(config) => Encoder::Pixels(config.init(device)?),
        })
    }
}

/// Sizes of an encoder of pixels with the high-resolution encoder of a model.
fn pixels(model: SkySenseConfig, bands: usize) -> Result<PixelEncoderConfig, TrainError> {
    let lacking = || TrainError::Model("a model without a high-resolution encoder cannot map an image's pixels".into());
    let mut hr = model.hr.ok_or_else(lacking)?;
    hr.bands = bands;
    Ok(PixelEncoderConfig::new(hr))
}

impl Encoder {
    /// The weights of a package, and all that the package holds.
    pub(crate) fn load(self, package: &Package) -> Result<(Self, Tensors), TrainError> {
        match self {
            Self::Fused(encoder) => {
                let (encoder, tensors) = load_encoder(encoder, package)?;
                Ok((Self::Fused(encoder), tensors))
            }
            Self::Pixels(encoder) => {
                let tensors = stored_tensors(package)?;
                let (encoder, mut report) = checkpoint::load_stored(encoder, "", &tensors)?;
                report.unexpected.clear();
                if !package.contract().of_pixels() {
                    // The pyramid begins anew, and so do the norms of stages that no model before has given.
                    let asked =
                        |name: &String| name.starts_with("backbone_hr.") && !name.starts_with("backbone_hr.norm");
                    report.missing.retain(asked);
                    report.mismatched.retain(asked);
                }
                report.strict()?;
                Ok((Self::Pixels(encoder), tensors))
            }
        }
    }

    /// Channels of the features.
    pub(crate) fn channels(&self) -> usize {
        match self {
            Self::Fused(encoder) => encoder.config().channels(),
            Self::Pixels(encoder) => encoder.channels(),
        }
    }

    /// Features of a batch, `[batch, channel, height, width]`, on the grid of the chip.
    pub(crate) fn features(&self, tape: &Tape, batch: &Batch, precision: Precision) -> Tensor<4> {
        match self {
            Self::Fused(encoder) => features(encoder, tape, batch, precision),
            Self::Pixels(encoder) => {
                // One image a chip, which the setup has made sure of.
                let pixels = batch.stacks[&Modality::Hr].pixels.clone();
                let [batch, time, band, height, width] = pixels.dims();
                encoder.forward_on(tape, precision.cast(pixels.reshape([batch * time, band, height, width])))
            }
        }
    }
}
