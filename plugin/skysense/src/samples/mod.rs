//! From items and places to samples: what `raster.samples` plans and does.
//!
//! ```text
//! plan:  gather (items → scenes) → days → pairing for each place ⇄ inspect → SamplePlan, counts
//! run:   for each place: pairing again, then the cutter of `chips` on the place's own grid
//! ```

mod cost;
mod pairing;
mod plan;
mod run;

pub(crate) use pairing::{Pair, Pairing, window};
pub(crate) use plan::{SamplePlan, plan};
pub(crate) use run::run;
