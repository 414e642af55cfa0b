//! Samples on their way into training shards: what `data.write` does around `skysense-shards`.

mod facts;
mod rows;

pub(crate) use facts::{header, samples_of};
pub(crate) use rows::RowReader;
