//! Objects and chips as outlines in files.

mod chip_rows;
mod files;
mod geoparquet;
mod parquet;

pub(crate) use self::chip_rows::{chip_rows, task_of_chips};
pub(crate) use self::files::{Format, Layer, write_layer};
use self::geoparquet::write_geoparquet;
