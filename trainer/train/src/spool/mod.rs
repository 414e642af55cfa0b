//! Samples that wait in a file: what is large of them is on the disk, so that memory does not grow with their number.

mod file;
mod record;
mod samples;

pub(crate) use file::Spool;
pub(crate) use record::{Fields, Record};
pub use samples::SpooledSamples;
