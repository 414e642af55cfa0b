//! The arithmetic of two-stage detectors, upright and rotated, on plain slices.
//!
//! What a detector does between and behind its networks: [`anchors()`], the coding of boxes ([`decode()`], [`Midpoint`]),
//! [`proposals()`], pooling of regions ([`pool()`]), [`detections()`]; and what training adds: [`assign()`], [`sample()`],
//! [`cut()`]. Training and inference call the same functions, so they find the same boxes.
//!
//! A box is a [`RotatedBox`] in pixels of the image, whose first pixel reaches from 0 to 1; an upright box is one without
//! an angle. Sources: Ren et al. 2015 (Faster R-CNN, arXiv:1506.01497), Lin et al. 2017 (FPN, arXiv:1612.03144), He et
//! al. 2017 (RoIAlign, arXiv:1703.06870), Xie et al. 2021 (Oriented R-CNN, arXiv:2108.05699).

mod anchors;
mod assign;
mod coder;
mod cut;
mod detections;
mod merge;
mod midpoint;
mod pool;
mod proposals;
mod rotated;
mod sample;

pub use anchors::{anchors, level_size};
pub use assign::{Assigned, Thresholds, assign};
pub use coder::{CODES, decode, encode};
pub use cut::{Object, cut};
pub use detections::{Found, detections};
pub use merge::{Kept, MergeRule, merged};
pub use midpoint::Midpoint;
pub use pool::{Places, Region, level_of, places, pool, pool_backward};
pub use proposals::{LevelMaps, proposals};
pub use rotated::RotatedBox;
pub use sample::sample;
