//! How good maps are, held against labels: what `skysense.evaluate` counts and tells.

mod band;
mod count;
mod judge;
mod page;
mod record;
mod svg;
mod worst;

pub(crate) use count::Counts;
pub(crate) use judge::{Judge, Rules, wrong};
pub(crate) use page::page;
pub(crate) use record::{Evaluation, Of};
pub(crate) use worst::{Shown, Worst};
