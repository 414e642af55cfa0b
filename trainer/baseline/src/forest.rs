//! A random forest of pixels.
//!
//! Source: Breiman, Random Forests, Machine Learning 45, 2001: trees on bootstrap samples, each split the best by Gini impurity
//! among a random subset of the features, grown until leaves are pure. Votes are the shares of classes in the leaves,
//! averaged over the trees (scikit-learn's rule). The subset is the square root of the features, rounded up.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::BaselineError;
use crate::error::at_least_one;

/// How a forest is grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForestConfig {
    /// Trees.
    pub trees: usize,
    /// Fewest rows of a leaf.
    pub leaf: usize,
    /// Seed of the bootstrap samples and of the features of each split.
    pub seed: u64,
}

impl Default for ForestConfig {
    /// scikit-learn's values.
    fn default() -> Self {
        Self { trees: 100, leaf: 1, seed: 0 }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    width: usize,
    classes: usize,
    trees: Vec<Tree>,
}

/// Nodes, the root first.
#[derive(Debug, Clone, PartialEq)]
struct Tree(Vec<Node>);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// Rows whose feature is at most the threshold go on at the first place, others at the second.
    Split { feature: usize, threshold: f32, places: [usize; 2] },
    /// Share of each class.
    Leaf(Vec<f32>),
}

impl ForestConfig {
    /// Grows a forest on rows `[row, feature]` with the class of each. A feature that is not a number counts as larger than
    /// all numbers.
    ///
    /// # Errors
    /// [`BaselineError`]: sizes of zero, rows and classes that do not belong together.
    pub fn fit(&self, rows: &[f32], width: usize, truth: &[u8], classes: usize) -> Result<Forest, BaselineError> {
        let sizes = [("trees", self.trees), ("leaf", self.leaf), ("features", width), ("rows", truth.len())];
        at_least_one("forest", &sizes)?;
        if rows.len() != width * truth.len() {
            let (found, expected) = (format!("{} values", rows.len()), format!("{} × {width}", truth.len()));
            return Err(BaselineError::Shape { what: "rows of a forest", found, expected });
        }
        if let Some(class) = truth.iter().find(|class| usize::from(**class) >= classes) {
            let expected = format!("less than {classes}");
            return Err(BaselineError::Shape { what: "class of a row", found: class.to_string(), expected });
        }
        let rows: Vec<f32> = rows.iter().map(|value| if value.is_nan() { f32::INFINITY } else { *value }).collect();
        let grow = Grow { rows: &rows, width, truth, classes, leaf: self.leaf };
        let trees = (0..self.trees as u64).into_par_iter().map(|at| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(at);
            let drawn = (0..truth.len()).map(|_| rng.random_range(0..truth.len())).collect();
            grow.tree(drawn, &mut rng)
        });
        Ok(Forest { width, classes, trees: trees.collect() })
    }
}

impl Forest {
    /// The class of each row `[row, feature]`; of classes with as many votes the first.
    pub fn classify(&self, rows: &[f32]) -> Vec<u8> {
        rows.par_chunks_exact(self.width).map(|row| self.one(row)).collect()
    }

    /// Splits and leaves of all trees.
    pub fn nodes(&self) -> usize {
        self.trees.iter().map(|tree| tree.0.len()).sum()
    }

    fn one(&self, row: &[f32]) -> u8 {
        let mut votes = vec![0.0_f32; self.classes];
        for tree in &self.trees {
            votes.iter_mut().zip(tree.shares(row)).for_each(|(votes, share)| *votes += share);
        }
        let larger = |best: (usize, f32), (at, votes): (usize, f32)| if votes > best.1 { (at, votes) } else { best };
        votes.into_iter().enumerate().fold((0, f32::NEG_INFINITY), larger).0 as u8
    }
}

impl Tree {
    fn shares(&self, row: &[f32]) -> &[f32] {
        let mut at = 0;
        loop {
            match &self.0[at] {
                Node::Leaf(shares) => return shares,
                // What is not a number is not at most anything.
                Node::Split { feature, threshold, places } => {
                    let goes_left = row[*feature] <= *threshold;
                    at = places[usize::from(!goes_left)];
                }
            }
        }
    }
}

/// What trees grow on.
struct Grow<'a> {
    rows: &'a [f32],
    width: usize,
    truth: &'a [u8],
    classes: usize,
    leaf: usize,
}

impl Grow<'_> {
    fn tree(&self, drawn: Vec<usize>, rng: &mut ChaCha8Rng) -> Tree {
        let mut nodes = vec![Node::Leaf(Vec::new())];
        let mut open = vec![(0, drawn)];
        while let Some((place, rows)) = open.pop() {
            match self.split(&rows, rng) {
                Some((feature, threshold)) => {
                    let (low, high) = rows.into_iter().partition(|row| self.value(*row, feature) <= threshold);
                    let places = [nodes.len(), nodes.len() + 1];
                    nodes[place] = Node::Split { feature, threshold, places };
                    nodes.extend([Node::Leaf(Vec::new()), Node::Leaf(Vec::new())]);
                    open.extend([(places[0], low), (places[1], high)]);
                }
                None => {
                    let counts = self.counts(&rows);
                    let shares = counts.iter().map(|count| *count as f32 / rows.len().max(1) as f32);
                    nodes[place] = Node::Leaf(shares.collect());
                }
            }
        }
        Tree(nodes)
    }

    fn value(&self, row: usize, feature: usize) -> f32 {
        self.rows[row * self.width + feature]
    }

    fn counts(&self, rows: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        rows.iter().for_each(|row| counts[usize::from(self.truth[*row])] += 1);
        counts
    }

    /// Feature and threshold of the best split; `None` of a leaf. Features are drawn until so many were looked at, and on
    /// while all of those say the same of all rows.
    fn split(&self, rows: &[usize], rng: &mut ChaCha8Rng) -> Option<(usize, f32)> {
        let all = self.counts(rows);
        if rows.len() < 2 * self.leaf || all.iter().filter(|count| **count > 0).count() < 2 {
            return None;
        }
        let wanted = (self.width as f64).sqrt().ceil() as usize;
        let mut features: Vec<usize> = (0..self.width).collect();
        let (mut best, mut looked): (Option<(f64, usize, f32)>, usize) = (None, 0);
        for at in 0..self.width {
            if looked >= wanted {
                break;
            }
            features.swap(at, rng.random_range(at..self.width));
            let feature = features[at];
            let mut order: Vec<(f32, u8)> =
                rows.iter().map(|row| (self.value(*row, feature), self.truth[*row])).collect();
            order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            if order.first().map(|first| first.0) == order.last().map(|last| last.0) {
                continue;
            }
            looked += 1;
            if let Some((score, threshold)) = self.best_of(&order, &all)
                && best.is_none_or(|(other, ..)| score > other)
            {
                best = Some((score, feature, threshold));
            }
        }
        best.map(|(_, feature, threshold)| (feature, threshold))
    }

    /// The best threshold of rows in the order of a feature, and how good it is: `Σ n₀² / n₀ + Σ n₁² / n₁` over the classes on
    /// either side, which is largest where the Gini impurity of both sides, by their sizes, is least.
    fn best_of(&self, order: &[(f32, u8)], all: &[usize]) -> Option<(f64, f32)> {
        let mut low = vec![0_usize; self.classes];
        let mut best: Option<(f64, f32)> = None;
        for (at, pair) in order.windows(2).enumerate() {
            low[usize::from(pair[0].1)] += 1;
            let count = at + 1;
            if pair[0].0 >= pair[1].0 || count < self.leaf || order.len() - count < self.leaf {
                continue;
            }
            let squares = |counts: &mut dyn Iterator<Item = usize>| counts.map(|n| (n * n) as f64).sum::<f64>();
            let below = squares(&mut low.iter().copied()) / count as f64;
            let above = squares(&mut low.iter().zip(all).map(|(low, all)| all - low)) / (order.len() - count) as f64;
            if best.is_none_or(|(score, _)| below + above > score) {
                // Halfway; the lower one where there is no number between, or no number above.
                let middle = pair[0].0 + (pair[1].0 - pair[0].0) / 2.0;
                let threshold = if middle < pair[1].0 && middle.is_finite() { middle } else { pair[0].0 };
                best = Some((below + above, threshold));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of noise with the class in the exclusive or of the signs of two features: no single feature tells it.
    fn signs(count: usize, seed: u64) -> (Vec<f32>, Vec<u8>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<f32> = (0..count * 4).map(|_| rng.random_range(-1.0_f32..1.0)).collect();
        let truth = rows.chunks_exact(4).map(|row| u8::from((row[1] > 0.0) != (row[3] > 0.0))).collect();
        (rows, truth)
    }

    #[test]
    fn it_learns_what_no_single_feature_tells_and_is_the_same_again() {
        let ((rows, truth), (asked, expected)) = (signs(600, 1), signs(400, 2));
        let config = ForestConfig { trees: 30, ..ForestConfig::default() };
        let forest = config.fit(&rows, 4, &truth, 2).unwrap();
        let right = forest.classify(&asked).iter().zip(&expected).filter(|(a, b)| a == b).count();
        assert!(right > 370, "{right} of 400");
        assert_eq!(forest, config.fit(&rows, 4, &truth, 2).unwrap());
        assert_ne!(forest, ForestConfig { seed: 9, ..config }.fit(&rows, 4, &truth, 2).unwrap());
    }

    #[test]
    fn the_split_is_that_of_least_impurity_by_hand() {
        // Of 1, 2, 3, 4, 5 with classes 0, 0, 1, 1, 0: after 2 the sides are 2 pure of 2 and (1, 2) of 3:
        // 4/2 + (1 + 4)/3 = 3.67; after 4 it is (2, 2) and 1: 8/4 + 1 = 3; after 1: 1 + (4 + 4)/4 = 3.
        let grow = Grow { rows: &[1.0, 2.0, 3.0, 4.0, 5.0], width: 1, truth: &[0, 0, 1, 1, 0], classes: 2, leaf: 1 };
        let order = [(1.0, 0), (2.0, 0), (3.0, 1), (4.0, 1), (5.0, 0)];
        let (score, threshold) = grow.best_of(&order, &[3, 2]).unwrap();
        assert!((score - (2.0 + 5.0 / 3.0)).abs() < 1e-12 && threshold == 2.5);
        assert_eq!(Grow { leaf: 3, ..grow }.best_of(&order, &[3, 2]), None, "five rows make no two leaves of three");
    }

    #[test]
    fn what_is_not_a_number_is_a_side_of_its_own_and_constants_make_a_leaf() {
        let config = ForestConfig { trees: 9, ..ForestConfig::default() };
        let forest = config.fit(&[1.0, f32::NAN, 2.0, f32::NAN], 1, &[0, 1, 0, 1], 2).unwrap();
        assert_eq!(forest.classify(&[1.5, f32::NAN, f32::INFINITY]), [0, 1, 1]);
        let forest = config.fit(&[3.0; 4], 1, &[0, 1, 1, 1], 2).unwrap();
        assert_eq!((forest.classify(&[7.0]), forest.nodes()), (vec![1], 9));
    }

    #[test]
    fn what_does_not_belong_together_is_told() {
        let config = ForestConfig::default();
        assert!(config.fit(&[1.0, 2.0], 1, &[0], 1).unwrap_err().to_string().contains("2 values, expected 1 × 1"));
        assert!(config.fit(&[1.0], 1, &[3], 2).unwrap_err().to_string().contains("found 3, expected less than 2"));
        assert!(config.fit(&[], 1, &[], 2).unwrap_err().to_string().contains("rows is 0"));
    }
}
