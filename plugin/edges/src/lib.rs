//! The kinds of edge: what flows between nodes, as declared Arrow schemas.
//!
//! | kind | a row is | reader | builder |
//! | --- | --- | --- | --- |
//! | `item` | a STAC item as found | [`ItemBatch`] | [`ItemBuilder`] |
//! | `source` | one band of one asset | [`SourceBatch`] | [`SourceBuilder`] |
//! | `chip` | aligned pixels of all modalities at one place and period | [`ChipBatch`] | [`ChipBuilder`] |
//! | `location` | a square footprint on the grid of its zone | [`LocationBatch`] | [`LocationBuilder`] |
//! | `sample` | aligned pixels of all modalities at one place, on a grid of its own | [`SampleBatch`] | [`SampleBuilder`] |
//! | `feature` | the encoder's map of a chip | [`MapBatch`] | [`MapBuilder`] |
//! | `prediction` | the head's probabilities of a chip | [`MapBatch`] | [`MapBuilder`] |
//! | `object` | an object that was found, as an outline on the map | [`ObjectBatch`] | [`ObjectBuilder`] |
//! | `raster` | a raster that was written, with its STAC item | [`RasterBatch`] | [`RasterBuilder`] |
//! | `model` | a model package | [`ModelBatch`] | [`ModelBuilder`] |
//! | `dataset` | a folder of training shards | [`DatasetBatch`] | [`DatasetBuilder`] |
//! | `metric` | one number of one step of a training | [`MetricBatch`] | [`MetricBuilder`] |
//!
//! The kind stands in the schema's metadata under `skysense:kind`. Pixels are the canonical extension
//! types `arrow.fixed_shape_tensor` and `arrow.variable_shape_tensor`, axis order
//! `[time, band, height, width]`; a reader hands out slices of the Arrow buffer and copies nothing.
//! A reader validates a batch fully before it gives a value: batches may come from other people's plugins.
//! Beside its schema an edge has *facts* (JSON, known before any pixel): [`ItemFacts`], [`LocationFacts`], [`ChipFacts`],
//! [`SampleFacts`], [`MapFacts`], [`ObjectFacts`], [`DatasetFacts`].

mod check;
mod chip;
mod chip_builder;
mod column;
mod dataset;
mod error;
mod facts;
mod feature;
mod item;
mod kind;
mod location;
mod map;
mod metric;
mod modality;
mod model;
mod object;
mod pixels;
mod prediction;
mod raster;
mod sample;
mod series;
mod series_builder;
mod source;
mod tensor;

pub use chip::{ChipBatch, ChipSchema, named_chips};
pub use chip_builder::{ChipBuilder, ChipRow};
pub use dataset::{DatasetBatch, DatasetBuilder, dataset_schema};
pub use error::{EdgeError, Result};
pub use facts::{
    ChipFacts, ClassFacts, DatasetFacts, ItemFacts, LocationFacts, MapFacts, ModalityFacts, ModelFacts, Period,
    QuantityFacts, SampleFacts, SourceItem, ValueDecision,
};
pub use feature::feature_schema;
pub use item::{ItemBatch, ItemBuilder, ItemRow, item_schema};
pub use kind::{KIND_KEY, Kind};
pub use location::{LocationBatch, LocationBuilder, PlaceRow, location_schema};
pub use map::{MapBatch, MapBuilder, MapRow};
pub use metric::{MetricBatch, MetricBuilder, MetricRow, metric_schema};
pub use modality::{ChipModality, MODALITIES};
pub use model::{ModelBatch, ModelBuilder, model_schema};
pub use object::{ObjectBatch, ObjectBuilder, ObjectFacts, ObjectRow, object_schema};
pub use pixels::{Dtype, Pixels, PixelsRef};
pub use prediction::prediction_schema;
pub use raster::{RasterBatch, RasterBuilder, RasterRow, raster_schema};
pub use sample::{SampleBatch, SampleBuilder, SampleRow, SampleSchema, sample_name};
pub use series::Series;
pub use series_builder::SeriesRow;
pub use source::{SourceBatch, SourceBuilder, SourceRow, source_schema};
