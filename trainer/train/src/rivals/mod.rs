//! The model against its rivals on the same ground: networks of others, classifiers of single pixels, and itself from other
//! starts, with the same chips, split, steps, loss and augmentation.
//!
//! Whole regions of the map are scored, and nothing is learned from them; of the labels elsewhere a share is kept, the same
//! for all. Every network takes the same steps of AdamW at the same rate on batches of as many chips. What is compared is what a
//! budget buys, and not what each could reach.

mod config;
mod ground;
mod learner;
mod outcome;
mod pixels;
mod run;
mod series;
mod table;

pub use config::{Rival, RivalsConfig};
pub use outcome::{Outcome, RivalEntry, RivalScores};
pub use run::contest;
