//! From items to chips: what `raster.chips` plans and does.
//!
//! ```text
//! plan:  gather (items → scenes) → select (days, periods, dates) ⇄ inspect (headers, radiometry)
//!        → target (one grid) → cost → ChipPlan
//! run:   ChipPlan → Segments: for a few chips of a row, each date is read (scene_reader) and cut
//! ```

mod chip_plan;
mod cost;
mod dates;
mod gather;
mod inspect;
mod opener;
mod period;
mod scene_reader;
mod segment;
mod select;
mod target;

pub(crate) use chip_plan::ChipPlan;
pub(crate) use dates::Dates;
pub(crate) use gather::{item, item_rows, unknown_collection};
pub(crate) use segment::run;
pub(crate) use select::plan;
