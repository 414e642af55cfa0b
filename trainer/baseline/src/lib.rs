//! What the model is compared with: networks for a class of each pixel of a series, and a classifier of single pixels.
//!
//! | rival | source |
//! | --- | --- |
//! | [`Unet`] | Ronneberger et al., MICCAI 2015, on each date |
//! | [`Unet3d`] | Rustowicz et al., CVPR Workshops 2019, at the sizes of DeepSatModels |
//! | [`Tsvit`] | Tarasiou et al., CVPR 2023 |
//! | [`Forest`] | Breiman, Machine Learning 2001 |
//!
//! All networks read a [`Series`] and know which of its dates are there: one that is not changes nothing. Where a source
//! normalises over the batch, channels are normalised at each pixel here: batches are small, cut into parts, and a date
//! that is not there must not count. One file for each; a new one is a file and a line of [`NetworkConfig`].

mod conv;
mod error;
mod forest;
mod network;
mod series;
mod tsvit;
mod unet;
mod unet3d;

pub use error::BaselineError;
pub use forest::{Forest, ForestConfig};
pub use network::{Network, NetworkConfig};
pub use series::Series;
pub use tsvit::{Tsvit, TsvitConfig};
pub use unet::{Unet, UnetConfig};
pub use unet3d::{Unet3d, Unet3dConfig};
