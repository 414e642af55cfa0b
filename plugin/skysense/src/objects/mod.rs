//! Objects as files.

mod geoparquet;
mod parquet;

pub(crate) use self::geoparquet::write_geoparquet;
