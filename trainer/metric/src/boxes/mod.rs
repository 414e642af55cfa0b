//! Boxes, upright and rotated, and what overlaps.

mod chips;
mod clip;
mod index;
mod nms;
mod quad;
mod rect;
mod shape;

pub use chips::{ChipBox, Merge, merge_chips};
pub use nms::nms;
pub use quad::Quad;
pub use rect::Rect;
pub use shape::{Scored, Shape, Truth};
