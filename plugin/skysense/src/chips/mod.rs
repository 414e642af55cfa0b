//! From items to chips: what `raster.chips` plans and does.
//!
//! ```text
//! plan:  gather (items → scenes) → select (days, periods, dates) ⇄ inspect (headers, radiometry)
//!        → target (one grid) → cost → ChipPlan
//! run:   ChipPlan → Segments: for a few chips of a row, each date is read (scene_reader) and cut (cutter)
//! ```

mod chip_plan;
mod cost;
mod cutter;
mod dates;
mod gather;
mod inspect;
mod opener;
mod period;
mod scene_reader;
mod segment;
mod select;
mod target;

pub(crate) use chip_plan::{ChipPlan, PlannedDate};
pub(crate) use cost::{BLOCK_CACHE, Costs};
pub(crate) use cutter::Cutter;
pub(crate) use dates::{Candidate, Dates, Prefer, choose};
pub(crate) use gather::{access, gather, item, item_rows, unknown_collection};
pub(crate) use inspect::Inspected;
pub(crate) use period::Length;
pub(crate) use segment::{block_cache, readers, run};
pub(crate) use select::{Candidates, days, modalities, plan, select, shared, uses};
