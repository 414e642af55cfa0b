//! From features and classes to scores, on regions that were not learned from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::features::{Features, Standard};
use super::linear::Linear;
use super::nearest::Nearest;
use crate::TrainError;
use skysense_metric::{Confusion, Scores};

/// How features are measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// The k-NN.
    pub nearest: Nearest,
    /// The linear map.
    pub linear: Linear,
    /// Side of a region in pixels of the 10 m grid: all of it is learned from, or all of it is scored.
    pub block: usize,
    /// Share of the labelled pixels that is scored.
    pub validation: f64,
    /// Most labelled pixels that are looked at, taken evenly from all.
    pub pixels: usize,
    /// Seed of the regions that are scored.
    pub seed: u64,
}

/// Ours, but for the k-NN's.
impl Default for ProbeConfig {
    fn default() -> Self {
        let (nearest, linear) = (Nearest::default(), Linear::default());
        Self { nearest, linear, block: 32, validation: 0.4, pixels: 8000, seed: 0 }
    }
}

impl ProbeConfig {
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        let Self { nearest, linear, .. } = self;
        if nearest.neighbours == 0 || linear.steps == 0 || self.block == 0 || self.pixels < 2 {
            let value = format!("{}, {}, {}, {}", nearest.neighbours, linear.steps, self.block, self.pixels);
            return fault("probe: neighbours, steps, block, pixels", value, "1 or more, pixels 2 or more");
        }
        if !(nearest.temperature.is_finite() && nearest.temperature > 0.0) {
            return fault("probe: temperature", nearest.temperature.to_string(), "more than 0");
        }
        if !(linear.decay.is_finite() && linear.decay >= 0.0) {
            return fault("probe: decay", linear.decay.to_string(), "0 or more");
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            return fault("probe: validation", self.validation.to_string(), "more than 0 and less than 1");
        }
        Ok(())
    }

    /// Scores of features `[pixel, channel]` of pixels with these classes, learned where `scored` is `false`.
    pub(super) fn judge(&self, features: &Features, classes: &[u8], count: usize, scored: &[bool]) -> ProbeScores {
        let part = |wanted: bool| -> (Features, Vec<u8>) {
            let rows: Vec<usize> = (0..scored.len()).filter(|row| scored[*row] == wanted).collect();
            (features.rows(&rows), rows.iter().map(|row| classes[*row]).collect())
        };
        let ((known, learned), (asked, truth)) = (part(false), part(true));
        let standard = Standard::of(&known);
        let (known, asked) = (standard.apply(&known), standard.apply(&asked));
        let scores = |given: Vec<u8>| {
            let mut confusion = Confusion::new(count);
            truth.iter().zip(given).for_each(|(truth, given)| confusion.add(usize::from(*truth), usize::from(given)));
            confusion.scores()
        };
        ProbeScores {
            nearest: scores(self.nearest.classify(&known, &learned, count, &asked)),
            linear: scores(self.linear.classify(&known, &learned, count, &asked)),
        }
    }
}

/// How good features are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeScores {
    /// Of the k-NN.
    pub nearest: Scores,
    /// Of the linear map.
    pub linear: Scores,
}

impl ProbeScores {
    /// As measures of a step: `probe.knn.accuracy`, `.miou`, `.kappa`, and the same of `probe.linear`.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        let of = |name: &'static str, scores: &Scores| {
            let all = [("accuracy", scores.overall_accuracy), ("miou", scores.mean_iou), ("kappa", scores.kappa)];
            all.map(|(what, value)| (format!("probe.{name}.{what}"), value))
        };
        of("knn", &self.nearest).into_iter().chain(of("linear", &self.linear)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_hold_the_class_are_right_everywhere_and_such_that_do_not_are_as_good_as_chance() {
        let classes: Vec<u8> = (0..600).map(|at| (at / 7 % 3) as u8).collect();
        let scored: Vec<bool> = (0..600).map(|at| at / 50 % 2 == 1).collect();
        let config = ProbeConfig::default();
        let angle = |class: u8| f32::from(class) * std::f32::consts::TAU / 3.0;
        let telling =
            Features { width: 2, values: classes.iter().flat_map(|c| [angle(*c).cos(), angle(*c).sin()]).collect() };
        let scores = config.judge(&telling, &classes, 3, &scored);
        assert_eq!(
            (scores.nearest.pixels, scores.nearest.overall_accuracy, scores.linear.overall_accuracy),
            (300, 1.0, 1.0)
        );
        assert_eq!((scores.nearest.kappa, scores.linear.mean_iou), (1.0, 1.0));
        assert_eq!(scores.measures()["probe.linear.accuracy"], 1.0);
        let noise = |at: u32| (at.wrapping_add(1).wrapping_mul(2_654_435_761) >> 8) as f32 / 65_536.0;
        let silent = Features { width: 2, values: (0..1200).map(noise).collect() };
        let scores = config.judge(&silent, &classes, 3, &scored);
        assert!(scores.nearest.kappa.abs() < 0.2 && scores.linear.kappa.abs() < 0.2, "{scores:?}");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let fault = |config: ProbeConfig| config.check().unwrap_err().to_string();
        assert!(fault(ProbeConfig { block: 0, ..ProbeConfig::default() }).contains("block"));
        assert!(fault(ProbeConfig { validation: 1.0, ..ProbeConfig::default() }).contains("validation is 1"));
        let nearest = Nearest { temperature: f64::NAN, ..Nearest::default() };
        assert!(fault(ProbeConfig { nearest, ..ProbeConfig::default() }).contains("temperature is NaN"));
    }
}
