//! The SkySense plugin: nodes and tools from catalog to map.
//!
//! | node | takes | gives | file |
//! | --- | --- | --- | --- |
//! | `stac.search` | | `item` | `nodes/stac_search.rs` |
//! | `raster.chips` | `item` | `chip` | `nodes/raster_chips.rs`, `chips` |
//! | `sample.locations` | `item` | `location` | `nodes/sample_locations.rs`, `sampling` |
//! | `raster.samples` | `item`, `location` | `sample` | `nodes/raster_samples.rs`, `samples`, `chips` |
//! | `data.write` | `sample` or `chip` | `dataset` | `nodes/data_write.rs`, `data` |
//! | `skysense.distill` | `chip` | `model` | `nodes/skysense_distill.rs`, `training` |
//! | `skysense.finetune` | `chip`, `item` (labels) | `model` | `nodes/skysense_finetune.rs`, `training` |
//! | `skysense.reduce` | `chip` | `model` | `nodes/skysense_reduce.rs`, `reduction.rs` |
//! | `skysense.embed` | `chip`, `model` | `feature` | `nodes/skysense_embed.rs`, `apply` |
//! | `skysense.segment` | `chip`, `model` | `prediction` | `nodes/skysense_segment.rs`, `apply` |
//! | `skysense.detect` | `chip`, `model` | `object` | `nodes/skysense_detect.rs`, `apply` |
//! | `objects.evaluate` | `object`, `item` (labels) | `metric` | `nodes/objects_evaluate.rs`, `training` |
//! | `objects.write` | `object`, `model` | `raster` | `nodes/objects_write.rs`, `maps` |
//! | `stac.write` | `prediction` or `feature`, `model` | `raster` | `nodes/stac_write.rs`, `maps` |
//!
//! A node is one file in the order doc, settings, plan, run; what several nodes share, or what is too much
//! for one file, stands in a folder named after what it makes. [`NODES`] and [`TOOLS`] are the plain tables
//! that the engine sees.

mod allocator;
mod apply;
mod chips;
mod credentials;
mod data;
mod errors;
mod evaluate;
mod maps;
mod nodes;
mod objects;
mod plots;
mod publish;
mod reduction;
mod samples;
mod sampling;
mod settings;
mod signing;
mod tools;
mod training;

pub use nodes::NODES;
pub use tools::TOOLS;
pub use training::ShardPlaces;

skysense_abi::export_plugin! { nodes: NODES, tools: TOOLS }
