//! The networks as one kind, and the table of them.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{BaselineError, Series, Tsvit, TsvitConfig, Unet, Unet3d, Unet3dConfig, UnetConfig};

/// Sizes of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkConfig {
    /// See [`Unet`].
    Unet(UnetConfig),
    /// See [`Unet3d`].
    Unet3d(Unet3dConfig),
    /// See [`Tsvit`].
    Tsvit(TsvitConfig),
}

/// A network of any kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a run has one network, which is moved once a step")]
pub enum Network {
    /// See [`Unet`].
    Unet(Unet),
    /// See [`Unet3d`].
    Unet3d(Unet3d),
    /// See [`Tsvit`].
    Tsvit(Tsvit),
}

impl NetworkConfig {
    /// Those of about as many parameters as the preset `tiny` of the model, for series of so many bands and images of a side.
    pub fn small(bands: usize, classes: usize, side: usize) -> [Self; 3] {
        [
            Self::Unet(UnetConfig::small(bands, classes)),
            Self::Unet3d(Unet3dConfig::small(bands, classes)),
            Self::Tsvit(TsvitConfig::small(bands, classes, side)),
        ]
    }

    /// What it is called in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unet(_) => "U-Net",
            Self::Unet3d(_) => "UNet3D",
            Self::Tsvit(_) => "TSViT",
        }
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// [`BaselineError::Size`].
    pub fn init(&self, device: &Device) -> Result<Network, BaselineError> {
        Ok(match self {
            Self::Unet(config) => Network::Unet(config.init(device)?),
            Self::Unet3d(config) => Network::Unet3d(config.init(device)?),
            Self::Tsvit(config) => Network::Tsvit(config.init(device)?),
        })
    }
}

impl Network {
    /// Logits `[batch, class, height, width]`.
    ///
    /// # Errors
    /// [`BaselineError::Shape`] of a series that it was not made for.
    pub fn forward(&self, series: &Series) -> Result<Tensor<4>, BaselineError> {
        match self {
            Self::Unet(network) => Ok(network.forward(series)),
            Self::Unet3d(network) => Ok(network.forward(series)),
            Self::Tsvit(network) => network.forward(series),
        }
    }
}
