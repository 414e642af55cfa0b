//! Writing COGs row by row.

mod info;
mod spec;
mod statistics;
mod writer;

pub use info::{CogInfo, checksum};
pub use spec::{BandSpec, CogSpec, Compression, Content};
pub use statistics::BandStatistics;
pub use writer::CogWriter;
