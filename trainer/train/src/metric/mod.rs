//! Metrics that training reports; all there are stand in `skysense-metric`.

pub use skysense_metric::{ClassScore, Confusion, Scores};
