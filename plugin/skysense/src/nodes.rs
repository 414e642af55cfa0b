//! The table of nodes: one line each, in the order of the docs.

mod data_write;
mod metrics_read;
mod objects_evaluate;
mod objects_write;
pub(crate) mod raster_chips;
mod raster_files;
mod raster_samples;
mod sample_locations;
mod skysense_detect;
mod skysense_distill;
mod skysense_embed;
mod skysense_evaluate;
mod skysense_finetune;
mod skysense_pretrain;
mod skysense_reduce;
mod skysense_segment;
pub(crate) mod stac_search;
mod stac_write;

use skysense_abi::{NodeEntry, node};

/// Every node of this plugin.
pub const NODES: &[NodeEntry] = &[
    node::<stac_search::StacSearch>(),
    node::<raster_files::RasterFiles>(),
    node::<raster_chips::RasterChips>(),
    node::<sample_locations::SampleLocations>(),
    node::<raster_samples::RasterSamples>(),
    node::<data_write::DataWrite>(),
    node::<skysense_pretrain::SkysensePretrain>(),
    node::<skysense_finetune::SkysenseFinetune>(),
    node::<skysense_reduce::SkysenseReduce>(),
    node::<skysense_distill::SkysenseDistill>(),
    node::<skysense_embed::SkysenseEmbed>(),
    node::<skysense_segment::SkysenseSegment>(),
    node::<skysense_detect::SkysenseDetect>(),
    node::<skysense_evaluate::SkysenseEvaluate>(),
    node::<metrics_read::MetricsRead>(),
    node::<stac_write::StacWrite>(),
    node::<objects_evaluate::ObjectsEvaluate>(),
    node::<objects_write::ObjectsWrite>(),
];
