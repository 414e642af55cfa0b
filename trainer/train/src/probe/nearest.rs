//! The class that the nearest training pixels vote for, as DINO measures features (Caron et al. 2021, section 4.1; the
//! weighting is of Wu et al. 2018): each of the `k` nearest by cosine votes with `exp(cosine / temperature)`.
//!
//! Here channels are standardised before the cosine is taken, so that one of large numbers does not decide alone: ours.

use serde::{Deserialize, Serialize};

use super::features::Features;
use crate::loss::unit;

/// How neighbours vote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nearest {
    /// `k`.
    pub neighbours: usize,
    /// What similarities are divided by.
    pub temperature: f64,
}

/// The values of DINO's evaluation.
impl Default for Nearest {
    fn default() -> Self {
        Self { neighbours: 20, temperature: 0.07 }
    }
}

/// Rows that are compared at a time: bounds what is held.
const ROWS: usize = 512;

impl Nearest {
    /// The classes of `asked`, from standardised features of `known` with their `classes`. Of equals the first wins.
    pub(super) fn classify(&self, known: &Features, classes: &[u8], count: usize, asked: &Features) -> Vec<u8> {
        if known.count() == 0 {
            return vec![0; asked.count()];
        }
        let known = direction(known).transpose();
        let all = (0..asked.count()).collect::<Vec<usize>>();
        let mut given = Vec::with_capacity(all.len());
        for rows in all.chunks(ROWS) {
            let cosines = direction(&asked.rows(rows)).matmul(known.clone()).into_data();
            let cosines: Vec<f32> = cosines.iter::<f32>().collect();
            given.extend(cosines.chunks_exact(classes.len()).map(|cosines| self.vote(cosines, classes, count)));
        }
        given
    }

    fn vote(&self, cosines: &[f32], classes: &[u8], count: usize) -> u8 {
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        let by_cosine = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        let nearest = self.neighbours.clamp(1, order.len());
        if nearest < order.len() {
            order.select_nth_unstable_by(nearest - 1, by_cosine);
            order.truncate(nearest);
        }
        // Added up in one order whatever the selection left, so that rounding is the same.
        order.sort_unstable_by(by_cosine);
        let mut votes = vec![0.0_f64; count];
        for at in order {
            votes[usize::from(classes[at])] += (f64::from(cosines[at]) / self.temperature).exp();
        }
        first_largest(votes.into_iter())
    }
}

/// The place of the largest, the first of equals.
pub(super) fn first_largest(values: impl Iterator<Item = f64>) -> u8 {
    let largest = |best: (usize, f64), (at, value): (usize, f64)| if value > best.1 { (at, value) } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), largest).0 as u8
}

/// Rows of length 1; a row of zeros stays one.
fn direction(features: &Features) -> burn::tensor::Tensor<2> {
    unit(features.tensor().unsqueeze_dim::<3>(0)).squeeze_dim::<2>(0)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Purpose, rng};

    fn drawn(rows: usize, width: usize, stream: usize) -> Features {
        let mut rng = rng(5, Purpose::Order, stream);
        Features { width, values: (0..rows * width).map(|_| rng.random_range(-1.0_f32..1.0)).collect() }
    }

    /// One pixel after the other, with all neighbours sorted.
    fn by_loops(nearest: &Nearest, known: &Features, classes: &[u8], count: usize, asked: &Features) -> Vec<u8> {
        let length = |row: &[f32]| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let mut given = Vec::new();
        for row in 0..asked.count() {
            let of = |other: usize| {
                let (a, b) = (asked.row(row), known.row(other));
                a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>() / (length(a) * length(b))
            };
            let mut cosines: Vec<(f64, u8)> = (0..known.count()).map(|other| (of(other), classes[other])).collect();
            cosines.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut votes = vec![0.0; count];
            for (cosine, class) in &cosines[..nearest.neighbours.min(cosines.len())] {
                votes[usize::from(*class)] += (cosine / nearest.temperature).exp();
            }
            given.push(first_largest(votes.into_iter()));
        }
        given
    }

    #[test]
    fn votes_are_those_of_plain_loops() {
        let (known, asked) = (drawn(157, 7, 1), drawn(700, 7, 2));
        let classes: Vec<u8> = (0..157).map(|at| (at % 5) as u8).collect();
        for nearest in [
            Nearest::default(),
            Nearest { neighbours: 1, temperature: 1.0 },
            Nearest { neighbours: 500, temperature: 0.3 },
        ] {
            let given = nearest.classify(&known, &classes, 5, &asked);
            let expected = by_loops(&nearest, &known, &classes, 5, &asked);
            assert_eq!(given, expected, "{nearest:?}");
            assert!((0..5).all(|class| given.contains(&class)), "every class wins somewhere");
        }
    }

    #[test]
    fn near_ones_weigh_more_than_many() {
        // One of class 1 in the same direction, three of class 0 at 60°.
        let (near, far) = ([1.0, 0.0], [0.5, 0.75_f32.sqrt()]);
        let known = Features { width: 2, values: [far, far, far, near].concat() };
        let asked = Features { width: 2, values: vec![2.0, 0.0] };
        let given = |temperature| Nearest { neighbours: 4, temperature }.classify(&known, &[0, 0, 0, 1], 2, &asked);
        // exp(1 / t) against 3 exp(0.5 / t): equal at t = 0.5 / ln 3 = 0.455.
        assert_eq!((given(0.4), given(0.5)), (vec![1], vec![0]));
    }
}
