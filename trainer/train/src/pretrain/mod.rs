//! Pretraining: what a teacher and a student share beside their losses.

mod place;
mod prototypes;

pub use place::{Place, Places};
pub use prototypes::PrototypeUpdate;
