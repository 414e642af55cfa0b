//! How like a student's features are to the teacher's, on pixels that it did not learn from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::level::Level;
use super::target::Target;
use super::teacher::Standard;

/// Cosines between the student's features, projected to the teacher's channels, and the teacher's: means over positions,
/// each from −1 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    /// Positions that were compared.
    pub positions: u64,
    /// Of the features as the teacher gives them.
    pub cosine: f64,
    /// The same after each channel's mean and deviation were taken off: what is left when all that is alike everywhere
    /// is not counted.
    pub standardised: f64,
    /// `cosine` of one constant vector, the teacher's mean: what a student reaches that has learned nothing else.
    pub constant: f64,
}

/// Sums over positions.
#[derive(Debug, Clone, Default)]
pub(super) struct Likenesses(BTreeMap<Level, (u64, [f64; 3])>);

impl Likenesses {
    /// Adds the positions of a target that count; `predicted` is `[position, channel]`.
    pub(super) fn add(&mut self, level: Level, predicted: &[f32], target: &Target, standard: &Standard) {
        let (count, sums) = self.0.entry(level).or_default();
        let raw = |row: &[f32]| -> Vec<f64> {
            let channels = row.iter().zip(&standard.mean).zip(&standard.deviation);
            channels.map(|((value, mean), deviation)| f64::from(value * deviation + mean)).collect()
        };
        let wide = |row: &[f32]| -> Vec<f64> { row.iter().map(|value| f64::from(*value)).collect() };
        let constant = wide(&standard.mean);
        let rows = predicted.chunks_exact(target.channels).zip(target.values.chunks_exact(target.channels));
        for ((ours, theirs), weight) in rows.zip(&target.weights) {
            if *weight > 0.0 {
                let whole = raw(theirs);
                *count += 1;
                sums[0] += cosine(&raw(ours), &whole);
                sums[1] += cosine(&wide(ours), &wide(theirs));
                sums[2] += cosine(&constant, &whole);
            }
        }
    }

    /// The means, by the name of the level.
    pub(super) fn means(self) -> BTreeMap<String, Likeness> {
        let mean = |(level, (positions, sums)): (Level, (u64, [f64; 3]))| {
            let [cosine, standardised, constant] = sums.map(|sum| sum / positions as f64);
            (level.to_string(), Likeness { positions, cosine, standardised, constant })
        };
        self.0.into_iter().filter(|(_, (positions, _))| *positions > 0).map(mean).collect()
    }
}

/// 0 where one of them is all zero.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_what_counts() {
        let standard = Standard { mean: vec![10.0, 0.0], deviation: vec![1.0, 1.0] };
        let target = Target { values: vec![0.0, 1.0, 1.0, 0.0, 5.0, 5.0], weights: vec![1.0, 1.0, 0.0], channels: 2 };
        let mut all = Likenesses::default();
        all.add(Level::Fused, &[0.0, 1.0, -1.0, 0.0, 0.0, 0.0], &target, &standard);
        let found = all.means()["fused"];
        assert_eq!((found.positions, found.standardised), (2, 0.0), "one the same, one the opposite");
        assert!((found.cosine - 1.0).abs() < 1e-9, "the mean hides it: {found:?}");
        let expected = f64::midpoint(10.0 / 101_f64.sqrt(), 1.0);
        assert!((found.constant - expected).abs() < 1e-9, "{found:?}");
    }
}
