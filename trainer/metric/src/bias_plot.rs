//! Where a regression predicts too much and where too little.

use serde::{Deserialize, Serialize};

use crate::{Accumulator, MetricError, Regression, check};

/// Pairs of truth and prediction in bins of equal width over the truth: small truths are as a rule predicted too large
/// and large ones too small, which the bias over all hides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct BiasPlot {
    from: f64,
    to: f64,
    bins: Vec<Regression>,
    outside: u64,
}

/// As it comes from a file.
#[derive(Deserialize)]
struct Stored {
    from: f64,
    to: f64,
    bins: Vec<Regression>,
    outside: u64,
}

impl TryFrom<Stored> for BiasPlot {
    type Error = MetricError;

    fn try_from(stored: Stored) -> Result<Self, MetricError> {
        let empty = Self::new(stored.from, stored.to, stored.bins.len())?;
        Ok(Self { bins: stored.bins, outside: stored.outside, ..empty })
    }
}

/// One point of the plot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BiasBin {
    /// The least truth that belongs to the bin.
    pub from: f64,
    /// Truths below this belong to the bin; in the last one also this itself.
    pub to: f64,
    /// Pairs.
    pub count: u64,
    /// Mean of the truth; `None` in an empty bin.
    pub truth: Option<f64>,
    /// Mean of prediction − truth; `None` in an empty bin.
    pub bias: Option<f64>,
    /// Root of the mean squared error; `None` in an empty bin.
    pub rmse: Option<f64>,
}

impl BiasPlot {
    /// Without a pair.
    ///
    /// # Errors
    /// When there is no bin, or `to` is not above `from`.
    pub fn new(from: f64, to: f64, bins: usize) -> Result<Self, MetricError> {
        if bins == 0 {
            return Err(MetricError::Setting { setting: "bins", found: "0".into(), expected: "1 or more" });
        }
        // A width that is infinite has no bins either.
        if !(from.is_finite() && to.is_finite() && to > from && (to - from).is_finite()) {
            let found = format!("{from} to {to}");
            return Err(MetricError::Setting {
                setting: "range",
                found,
                expected: "a finite range, least value first",
            });
        }
        Ok(Self { from, to, bins: vec![Regression::default(); bins], outside: 0 })
    }

    /// Counts pairs.
    ///
    /// # Errors
    /// When the lists differ in length or a value is not finite; then nothing is counted.
    pub fn add(&mut self, truth: &[f64], predicted: &[f64]) -> Result<(), MetricError> {
        check::length("predictions", predicted.len(), truth.len(), "truth")?;
        check::finite("truth", truth)?;
        check::finite("prediction", predicted)?;
        for (truth, predicted) in truth.iter().zip(predicted) {
            match self.bin(*truth) {
                Some(bin) => self.bins[bin].add(&[*truth], &[*predicted])?,
                None => self.outside += 1,
            }
        }
        Ok(())
    }

    fn bin(&self, truth: f64) -> Option<usize> {
        if !(self.from..=self.to).contains(&truth) {
            return None;
        }
        let last = self.bins.len() - 1;
        let near = ((truth - self.from) / (self.to - self.from) * self.bins.len() as f64) as usize;
        // The division may round across an edge; the edges themselves decide.
        let near = near.min(last);
        Some(if truth < self.edge(near) {
            near.saturating_sub(1)
        } else if near < last && truth >= self.edge(near + 1) {
            near + 1
        } else {
            near
        })
    }

    fn edge(&self, at: usize) -> f64 {
        let bins = self.bins.len();
        if at == bins { self.to } else { self.from + at as f64 * ((self.to - self.from) / bins as f64) }
    }

    /// Pairs whose truth lies outside of the range.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    /// The points, from the least truth on.
    pub fn points(&self) -> Vec<BiasBin> {
        let point = |(at, bin): (usize, &Regression)| {
            let scores = bin.scores();
            BiasBin {
                from: self.edge(at),
                to: self.edge(at + 1),
                count: bin.count(),
                truth: scores.map(|_| bin.truth_mean()),
                bias: scores.map(|scores| scores.bias),
                rmse: scores.map(|scores| scores.rmse),
            }
        };
        self.bins.iter().enumerate().map(point).collect()
    }
}

impl Accumulator for BiasPlot {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        let bins = |plot: &Self| (plot.from, plot.to, plot.bins.len());
        check::alike("bias plots by their range and bins", &bins(other), &bins(self))?;
        self.outside += other.outside;
        self.bins.iter_mut().zip(&other.bins).try_for_each(|(bin, more)| bin.merge(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_bin_above_and_the_last_one_to_the_last() {
        let mut plot = BiasPlot::new(0.0, 0.7, 7).unwrap();
        let edges: Vec<f64> = plot.points().iter().map(|point| point.from).chain([0.7]).collect();
        for (at, edge) in edges.iter().enumerate() {
            assert_eq!(plot.bin(*edge), Some(at.min(6)), "edge {at}");
        }
        plot.add(&[-0.1, 0.71, 0.65], &[0.0, 0.0, 1.0]).unwrap();
        assert_eq!(plot.outside(), 2);
        let points = plot.points();
        assert_eq!((points[0].count, points[0].bias, points[0].truth), (0, None, None));
        assert!((points[6].bias.unwrap() - 0.35).abs() < 1e-12);
    }

    #[test]
    fn ranges_without_width_are_refused() {
        for (from, to, bins) in
            [(0.0, 1.0, 0), (1.0, 1.0, 3), (2.0, 1.0, 3), (f64::NAN, 1.0, 3), (f64::MIN, f64::MAX, 3)]
        {
            assert!(BiasPlot::new(from, to, bins).is_err());
        }
        let other = BiasPlot::new(0.0, 2.0, 3).unwrap();
        assert!(BiasPlot::new(0.0, 1.0, 3).unwrap().merge(&other).is_err());
    }
}
