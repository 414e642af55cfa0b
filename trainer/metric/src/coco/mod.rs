//! Average precision and recall of boxes by the rules of COCO.

mod curve;
mod evaluation;
mod matching;
mod scores;
mod settings;

pub use evaluation::Coco;
pub use scores::{CocoScores, Recalls};
pub use settings::{AreaRange, CocoSettings};
