//! From maps of chips to COGs: what `stac.write` blends, encodes and describes.

mod period_writer;
mod records;

pub(crate) use period_writer::{PeriodWriter, WrittenMap};
pub(crate) use records::{Describe, describe};
