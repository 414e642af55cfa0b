//! Two-stage detectors on the high-resolution encoder, upright (Faster R-CNN on FPN, as the official DIOR configuration
//! has it) and rotated (Oriented R-CNN).

mod box_head;
mod conv;
mod export;
mod fpn;
mod network;
mod rpn;

pub use box_head::Judged;
pub use export::{export_dense, export_dense_beside, export_regions};
pub use network::{Dense, DetectorConfig, DetectorNetwork};
