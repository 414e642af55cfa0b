//! The SkySense model in Burn, and its ONNX graphs.
//!
//! The factorised spatiotemporal encoder of SkySense (CVPR 2024): an encoder for each modality
//! ([`SwinV2`] for high-resolution optical, [`Vit`] for Sentinel-2 and Sentinel-1), up heads that bring
//! the series to the grid of the high-resolution features, a fusion transformer that reads every
//! position as a sequence over dates and modalities, and geo-context prototypes. [`SkySense`] joins
//! them; each is usable alone. Every layer writes its own ONNX nodes beside its `forward`.
//!
//! Shapes are `[batch, time, band, height, width]`; an axis that a tensor lacks is left out.
//! Parameters carry the names of the published checkpoints, see [`checkpoint`].

mod calendar;
pub mod checkpoint;
pub mod cost;
mod detect;
mod draws;
mod drop_path;
mod encoder;
mod error;
mod export;
mod fused;
mod fusion;
mod geo_context;
mod heads;
mod levels;
mod linear;
mod norm;
mod normalise;
pub mod official;
mod onnx;
mod patch_embed;
mod pixel_encoder;
mod position;
mod precision;
mod preset;
mod pyramid;
pub mod reduce;
mod resample;
mod sizes;
mod swin;
mod tape;
mod transformer;
mod up_head;
mod vit;

pub use calendar::{Calendar, DAYS};
pub use detect::{Dense, DetectorConfig, DetectorNetwork, Judged, export_dense, export_dense_beside, export_regions};
pub use encoder::{Encoders, Inputs, Series, SkySense, SkySenseConfig};
pub use error::{ModelError, Result};
pub use export::{
    PixelType, export_fusion, export_fusion_beside, export_geo_context, export_geo_context_beside, export_head,
    export_hr, export_hr_beside, export_pixels, export_pixels_beside, export_series, export_series_beside, export_vit,
    export_vit_beside,
};
pub use fusion::{Fusion, FusionConfig, Tokens};
pub use geo_context::{GeoContext, GeoContextConfig};
pub use heads::{
    ChangeHead, ChangeHeadConfig, Head, HeadConfig, PixelHead, PixelHeadConfig, SceneHead, SceneHeadConfig,
    SegmentationHead, SegmentationHeadConfig, UperHead, UperHeadConfig,
};
pub use levels::{export_fusion_levels, export_hr_levels, export_series_levels, export_up_head};
pub use normalise::Normalisation;
pub use pixel_encoder::{PixelEncoder, PixelEncoderConfig};
pub use position::Interpolation;
pub use precision::Precision;
pub use preset::{PRESETS, preset};
pub use swin::{SwinV2, SwinV2Config};
pub use tape::{Checkpointing, Tape, add_gradients};
pub use up_head::{UpHead, UpHeadConfig};
pub use vit::{Vit, VitConfig};

/// Layers that other networks are made of, too.
pub mod parts {
    pub use crate::linear::Linear;
    pub use crate::norm::LayerNorm;
    pub use crate::transformer::{HIDDEN, LayerWidths, TransformerLayer};
}
