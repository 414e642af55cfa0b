//! How good a model is: metrics of maps, boxes, classes and regressions, on plain numbers in `f64`.
//!
//! Every metric is an accumulator that takes one batch after the other and keeps what its scores need, so a set of any
//! size streams through. Accumulators of workers, processes or places of the map add up ([`Accumulator`]); [`Blocks`]
//! keeps one per block of the map and draws confidence intervals from whole blocks. What a plot shows of a stream is an even
//! sample of it ([`Thinning`]).
//!
//! | task | accumulator |
//! | --- | --- |
//! | segmentation | [`Confusion`] |
//! | change, two classes | [`Binary`], of several [`Binary::against_first`] |
//! | scene classes | [`Confusion`], [`TopK`], [`AveragePrecision`], [`MultiLabel`] |
//! | boxes | [`Coco`], [`Dota`], over [`Rect`] or [`Quad`] |
//! | regression | [`Regression`], [`BiasPlot`] |
//! | calibration | [`Reliability`], [`Temperature`], [`entropy`] |
//!
//! What cannot be said is `None`, never a number that looks like a score: 0/0 as of a class that does not occur, any
//! score without a sample. Means over classes leave such classes out, as scikit-learn and torchmetrics do. Values that are
//! not finite are refused with their place, and a batch that is refused counts for nothing.

mod accumulator;
mod average_precision;
mod bias_plot;
mod binary;
mod blocks;
mod bootstrap;
mod boxes;
mod calibration;
mod check;
mod coco;
mod confusion;
mod dota;
mod error;
mod multi_label;
mod ratio;
mod regression;
mod scores;
mod thinning;
mod top_k;

pub use accumulator::Accumulator;
pub use average_precision::{AveragePrecision, Ranking};
pub use bias_plot::{BiasBin, BiasPlot};
pub use binary::Binary;
pub use blocks::Blocks;
pub use bootstrap::{Bootstrap, Interval, Score};
pub use boxes::{ChipBox, Merge, Quad, Rect, Scored, Shape, Truth, merge_chips, nms};
pub use calibration::{Reliability, ReliabilityBin, Temperature, entropy, relative_entropy};
pub use coco::{AreaRange, Coco, CocoScores, CocoSettings, Recalls};
pub use confusion::Confusion;
pub use dota::{Dota, PrecisionRule};
pub use error::MetricError;
pub use multi_label::MultiLabel;
pub use regression::{Regression, RegressionScores};
pub use scores::{ClassScore, Scores};
pub use thinning::Thinning;
pub use top_k::TopK;
