//! What features are worth without training them further: classes of labelled pixels from the features of their
//! neighbours (k-NN), and from a linear map of them, on parts of the map that neither has seen.
//!
//! Beside the features of a model stand two that no training has gone into: statistics of a pixel's own values over its
//! dates, and the features of the same model with random weights. A pretrained model is worth something where it beats
//! both.

mod compare;
mod features;
mod labelled;
mod linear;
mod nearest;
mod readout;
mod statistics;

pub use compare::{Comparison, Difference, Entry, Rival, Spread, compare};
pub use features::Features;
pub(crate) use features::Standard;
pub(crate) use labelled::ProbeView;
pub use labelled::{Probe, Probing};
pub use linear::Linear;
pub use nearest::Nearest;
pub use readout::{ProbeConfig, ProbeScores};
pub(crate) use statistics::statistics;
