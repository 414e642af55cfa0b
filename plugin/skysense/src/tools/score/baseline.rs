//! The rivals: the majority class, and classifiers that see one pixel with all its dates and no neighbours.

use std::collections::BTreeMap;

use skysense_abi::{Host, NodeError};

use super::samples::Stack;

/// Most pixels that the classifiers learn from, taken evenly.
const LEARNED: usize = 40_000;
/// Passes of the regression over them, and pixels to a step.
const PASSES: usize = 30;
const STEP: usize = 256;

/// The class that most pixels have; of equals the one of the lowest value.
pub(crate) fn majority(trained: &[(usize, u8)]) -> u8 {
    let mut counts = BTreeMap::<u8, usize>::new();
    trained.iter().for_each(|&(_, value)| *counts.entry(value).or_default() += 1);
    counts.into_iter().max_by_key(|&(value, count)| (count, std::cmp::Reverse(value))).map_or(0, |(value, _)| value)
}

/// Learns from `trained` and gives a class for each of `scored`, by each classifier.
pub(crate) fn classify(
    stack: &Stack,
    trained: &[(usize, u8)],
    scored: &[(usize, u8)],
    host: &Host,
) -> Result<Vec<(&'static str, Vec<u8>)>, NodeError> {
    let every = trained.len().div_ceil(LEARNED).max(1);
    let learned: Vec<(usize, u8)> = trained.iter().step_by(every).copied().collect();
    let scaling = Scaling::of(learned.iter().map(|&(pixel, _)| stack.vector(pixel)), stack.length());
    let samples: Vec<(Vec<f32>, u8)> =
        learned.iter().map(|&(pixel, value)| (scaling.apply(stack.vector(pixel)), value)).collect();
    let targets: Vec<Vec<f32>> = scored.iter().map(|&(pixel, _)| scaling.apply(stack.vector(pixel))).collect();
    let centroids = Centroids::learn(&samples);
    let regression = Regression::learn(&samples, host)?;
    Ok(vec![
        ("nearest centroid per pixel", targets.iter().map(|vector| centroids.class(vector)).collect()),
        ("logistic regression per pixel", targets.iter().map(|vector| regression.class(vector)).collect()),
    ])
}

/// Mean and spread of each number; what is missing becomes the mean.
struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scaling {
    fn of(vectors: impl Iterator<Item = Vec<f32>>, length: usize) -> Self {
        let (mut count, mut sum, mut squares) = (vec![0.0; length], vec![0.0; length], vec![0.0; length]);
        for vector in vectors {
            for (at, value) in vector.into_iter().map(f64::from).enumerate().filter(|(_, value)| value.is_finite()) {
                count[at] += 1.0;
                sum[at] += value;
                squares[at] += value * value;
            }
        }
        let mean: Vec<f64> = sum.iter().zip(&count).map(|(sum, count): (&f64, &f64)| sum / count.max(1.0)).collect();
        let deviation = |at: usize| (squares[at] / f64::max(count[at], 1.0) - mean[at] * mean[at]).max(1e-12).sqrt();
        Self { deviation: (0..length).map(deviation).collect(), mean }
    }

    fn apply(&self, vector: Vec<f32>) -> Vec<f32> {
        let scale = |(at, value): (usize, f32)| {
            if value.is_finite() { ((f64::from(value) - self.mean[at]) / self.deviation[at]) as f32 } else { 0.0 }
        };
        vector.into_iter().enumerate().map(scale).collect()
    }
}

/// The mean vector of each class.
struct Centroids(Vec<(u8, Vec<f32>)>);

impl Centroids {
    fn learn(samples: &[(Vec<f32>, u8)]) -> Self {
        let mut sums = BTreeMap::<u8, (f32, Vec<f32>)>::new();
        for (vector, value) in samples {
            let (count, sum) = sums.entry(*value).or_insert_with(|| (0.0, vec![0.0; vector.len()]));
            *count += 1.0;
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        }
        Self(
            sums.into_iter()
                .map(|(value, (count, sum))| (value, sum.into_iter().map(|sum| sum / count).collect()))
                .collect(),
        )
    }

    fn class(&self, vector: &[f32]) -> u8 {
        let distance = |centre: &[f32]| centre.iter().zip(vector).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        self.0.iter().min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1))).map_or(0, |(value, _)| *value)
    }
}

/// Multinomial logistic regression, learned by gradient descent with momentum; nothing random in it.
struct Regression {
    values: Vec<u8>,
    /// `[class, number]`, the last number of each class being its bias.
    weights: Vec<f32>,
    length: usize,
}

impl Regression {
    fn learn(samples: &[(Vec<f32>, u8)], host: &Host) -> Result<Self, NodeError> {
        let mut values: Vec<u8> = samples.iter().map(|(_, value)| *value).collect();
        values.sort_unstable();
        values.dedup();
        let length = samples.first().map_or(0, |(vector, _)| vector.len()) + 1;
        let mut model = Self { weights: vec![0.0; values.len() * length], values, length };
        let mut momentum = vec![0.0f32; model.weights.len()];
        let mut gradient = vec![0.0f32; model.weights.len()];
        let steps = samples.len().div_ceil(STEP).max(1);
        // Standardised numbers have a total variance of `length`; steps this long stay stable even if they all agree.
        let steady = 2.0 / length as f32;
        for pass in 0..PASSES {
            host.check_cancelled()?;
            let rate = steady * 0.5 * (1.0 + (std::f32::consts::PI * pass as f32 / PASSES as f32).cos());
            for step in 0..steps {
                // Every step takes pixels from all over the training part.
                let batch = samples.iter().skip(step).step_by(steps);
                gradient.fill(0.0);
                let mut count = 0.0f32;
                for (vector, value) in batch {
                    count += 1.0;
                    for (class, share) in model.shares(vector).into_iter().enumerate() {
                        let error = share - f32::from(u8::from(model.values[class] == *value));
                        let row = &mut gradient[class * length..(class + 1) * length];
                        row.iter_mut().zip(vector).for_each(|(gradient, value)| *gradient += error * value);
                        row[length - 1] += error;
                    }
                }
                for ((weight, momentum), gradient) in model.weights.iter_mut().zip(&mut momentum).zip(&gradient) {
                    *momentum = 0.9 * *momentum + gradient / count.max(1.0) + 1e-5 * *weight;
                    *weight -= rate * *momentum;
                }
            }
        }
        Ok(model)
    }

    fn scores(&self, vector: &[f32]) -> Vec<f32> {
        let score = |row: &[f32]| {
            row.iter().zip(vector).map(|(weight, value)| weight * value).sum::<f32>() + row[self.length - 1]
        };
        self.weights.chunks_exact(self.length).map(score).collect()
    }

    fn shares(&self, vector: &[f32]) -> Vec<f32> {
        let scores = self.scores(vector);
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let parts: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
        let total: f32 = parts.iter().sum();
        parts.into_iter().map(|part| part / total).collect()
    }

    fn class(&self, vector: &[f32]) -> u8 {
        let scores = self.scores(vector);
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
        self.values.get(best).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three classes on a line, the outer two of which need a bias and slopes of both signs.
    fn samples() -> Vec<(Vec<f32>, u8)> {
        (0..600)
            .map(|i| {
                let class = (i % 3) as u8;
                let wobble = ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.8;
                (vec![f32::from(class) - 1.0 + wobble, wobble * 0.3], class + 4)
            })
            .collect()
    }

    #[test]
    fn both_classifiers_learn_what_can_be_told_apart() {
        let samples = samples();
        let host = Host::new(skysense_abi::NoHost);
        let (centroids, regression) = (Centroids::learn(&samples), Regression::learn(&samples, &host).unwrap());
        let right =
            |class: &dyn Fn(&[f32]) -> u8| samples.iter().filter(|(vector, value)| class(vector) == *value).count();
        assert!(right(&|vector| centroids.class(vector)) > 590);
        assert!(right(&|vector| regression.class(vector)) > 590);
    }

    #[test]
    fn missing_numbers_become_the_mean() {
        let scaling = Scaling::of([vec![1.0, 5.0], vec![3.0, f32::NAN]].into_iter(), 2);
        assert_eq!(scaling.apply(vec![f32::NAN, 5.0]), [0.0, 0.0]);
        assert_eq!(scaling.apply(vec![3.0, 5.0]), [1.0, 0.0]);
    }

    #[test]
    fn the_majority_is_the_most_frequent_class() {
        assert_eq!(majority(&[(0, 4), (1, 5), (2, 5), (3, 4), (4, 5)]), 5);
        assert_eq!(majority(&[(0, 7), (1, 3)]), 3);
    }
}
