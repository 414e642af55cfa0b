//! Pretraining: what a teacher and a student share beside their losses.

mod prototypes;

pub use prototypes::PrototypeUpdate;
