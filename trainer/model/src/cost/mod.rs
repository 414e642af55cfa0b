//! What a model costs, from its configuration alone: no tensor is made.
//!
//! [`parameters`] counts weights, [`flops`] the work for a chip, [`memory`] what a pass holds. Modules go by one set of
//! names: `hr`, `s2`, `s1`, `head_s2`, `head_s1`, `fusion`, `ctpe`, `geo_context`, `segmentation_head`.

mod chip;
pub mod flops;
pub mod memory;
pub mod parameters;

pub use chip::Chip;
