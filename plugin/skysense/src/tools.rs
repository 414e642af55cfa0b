//! The table of tools: one line each.

mod answer;
mod assets;
mod data;
mod doctor;
mod inside;
mod metrics_plot;
mod model_card;
mod model_compare;
mod model_cost;
mod model_export;
mod model_import;
mod model_inspect;
mod model_list;
mod model_probe;
mod model_reduce;
mod model_verify;
mod package;
mod picture;
mod raster_close;
mod raster_tile;
mod score;
mod simulate;
mod stac_items;
mod stac_sensors;
mod verify_item;

use skysense_abi::{ToolEntry, tool};

pub(crate) use assets::rgb;
pub(crate) use picture::{canvas::Canvas, font};

/// Every tool of this plugin.
pub const TOOLS: &[ToolEntry] = &[
    tool::<simulate::SimulateScene>(),
    tool::<score::MapScore>(),
    tool::<picture::MapPicture>(),
    tool::<raster_tile::RasterTile>(),
    tool::<metrics_plot::MetricsPlot>(),
    tool::<doctor::Doctor>(),
    tool::<stac_items::StacItems>(),
    tool::<stac_sensors::StacSensors>(),
    tool::<raster_close::RasterClose>(),
    tool::<verify_item::VerifyItem>(),
    tool::<model_inspect::ModelInspect>(),
    tool::<model_verify::ModelVerify>(),
    tool::<model_list::ModelList>(),
    tool::<model_card::ModelCard>(),
    tool::<model_export::ModelExport>(),
    tool::<model_reduce::ModelReduce>(),
    tool::<model_cost::ModelCost>(),
    tool::<model_probe::ModelProbe>(),
    tool::<model_compare::ModelCompare>(),
    tool::<model_import::ModelImport>(),
    tool::<data::DataAdopt>(),
    tool::<data::DataInspect>(),
    tool::<data::DataVerify>(),
    tool::<data::DataStats>(),
];
