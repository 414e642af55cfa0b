//! Metrics: one file each.

mod confusion;

pub use confusion::{ClassScore, Confusion, Scores};
