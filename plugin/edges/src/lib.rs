//! The seven kinds of edge: what flows between nodes, as declared Arrow schemas.
//!
//! | kind | a row is | reader | builder |
//! | --- | --- | --- | --- |
//! | `item` | a STAC item as found | [`ItemBatch`] | [`ItemBuilder`] |
//! | `source` | one band of one asset | [`SourceBatch`] | [`SourceBuilder`] |
//! | `chip` | aligned pixels of all modalities at one place and period | [`ChipBatch`] | [`ChipBuilder`] |
//! | `feature` | the encoder's map of a chip | [`MapBatch`] | [`MapBuilder`] |
//! | `prediction` | the head's probabilities of a chip | [`MapBatch`] | [`MapBuilder`] |
//! | `raster` | a raster that was written, with its STAC item | [`RasterBatch`] | [`RasterBuilder`] |
//! | `model` | a model package | [`ModelBatch`] | [`ModelBuilder`] |
//!
//! The kind stands in the schema's metadata under `skysense:kind`. Pixels are the canonical extension
//! types `arrow.fixed_shape_tensor` and `arrow.variable_shape_tensor`, axis order
//! `[time, band, height, width]`; a reader hands out slices of the Arrow buffer and copies nothing.
//! A reader validates a batch fully before it gives a value: batches may come from other people's plugins.
//! Beside its schema an edge has *facts* (JSON, known before any pixel): [`ItemFacts`], [`ChipFacts`], [`MapFacts`].

mod check;
mod chip;
mod chip_builder;
mod column;
mod error;
mod facts;
mod feature;
mod item;
mod kind;
mod map;
mod model;
mod pixels;
mod prediction;
mod raster;
mod source;
mod tensor;

pub use chip::{ChipBatch, ChipModality, ChipSchema, MODALITIES, Series};
pub use chip_builder::{ChipBuilder, ChipRow, SeriesRow};
pub use error::{EdgeError, Result};
pub use facts::{
    ChipFacts, ClassFacts, ItemFacts, MapFacts, ModalityFacts, ModelFacts, Period, SourceItem, ValueDecision,
};
pub use feature::feature_schema;
pub use item::{ItemBatch, ItemBuilder, ItemRow, item_schema};
pub use kind::{KIND_KEY, Kind};
pub use map::{MapBatch, MapBuilder, MapRow};
pub use model::{ModelBatch, ModelBuilder, model_schema};
pub use pixels::{Dtype, Pixels, PixelsRef};
pub use prediction::prediction_schema;
pub use raster::{RasterBatch, RasterBuilder, RasterRow, raster_schema};
pub use source::{SourceBatch, SourceBuilder, SourceRow, source_schema};
