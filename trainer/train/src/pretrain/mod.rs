//! Pretraining: what a teacher and a student share beside their losses.

mod measures;
mod place;
mod prototypes;

pub use measures::Measures;
pub use place::{Place, Places};
pub use prototypes::PrototypeUpdate;
