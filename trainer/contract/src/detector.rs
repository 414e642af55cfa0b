//! How a detector's graphs are put together: what inference needs beside them to find boxes.

use serde::{Deserialize, Serialize};

/// The two stages of a detector. Its package has two graphs and one modality with one date:
///
/// - that of the modality: `pixels` → for each level `objectness.L` `[batch, anchor, rows, columns]` and `codes.L`
///   `[batch, anchor · code, rows, columns]`, and `features.L` `[batch, channel, rows, columns]` of the levels that are
///   pooled, in turn;
/// - the head: `pooled` `[region, channel, pool, pool]` → `logits` `[region, class + 1]`, the last for nothing, and `codes`
///   `[region, code]`.
///
/// Pixels of the image are those of the modality's own grid. What lies between the graphs is in the crate
/// `skysense-detect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Whether boxes are rotated.
    pub rotated: bool,
    /// Pixels of the image to one of each level's map, finest first.
    pub strides: Vec<usize>,
    /// How many levels, the finest ones, regions are pooled from.
    pub pooled: usize,
    /// Side of an anchor in strides of its level.
    pub anchor_scale: f64,
    /// Height over width of the anchors of a cell.
    pub anchor_ratios: Vec<f64>,
    /// Which boxes of the first stage the second one looks at.
    pub proposals: ProposalRule,
    /// Rows and columns that a region is pooled to.
    pub pool: usize,
    /// Points along each side of a pooled cell.
    pub samples: usize,
    /// Least probability of an object that is given.
    pub score: f64,
    /// An object goes that overlaps a surer one of its class by more.
    pub iou: f64,
    /// Most objects of a chip.
    pub most: usize,
}

/// Which boxes of the first stage the second one looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalRule {
    /// So many of each level, the best ones.
    pub per_level: usize,
    /// One goes that overlaps a better one by more.
    pub iou: f64,
    /// Of what is left so many, the best ones.
    pub count: usize,
}

impl Detector {
    /// Upright boxes, with the settings of mmdetection's Faster R-CNN on FPN.
    pub fn upright() -> Self {
        Self {
            rotated: false,
            strides: vec![4, 8, 16, 32, 64],
            pooled: 4,
            anchor_scale: 8.0,
            anchor_ratios: vec![0.5, 1.0, 2.0],
            proposals: ProposalRule { per_level: 1000, iou: 0.7, count: 1000 },
            pool: 7,
            samples: 2,
            score: 0.05,
            iou: 0.5,
            most: 100,
        }
    }

    /// Rotated boxes, with the settings of mmrotate's Oriented R-CNN.
    pub fn rotated() -> Self {
        let proposals = ProposalRule { per_level: 2000, iou: 0.8, count: 2000 };
        Self { rotated: true, proposals, iou: 0.1, most: 2000, ..Self::upright() }
    }

    /// Numbers that tell a proposal by its anchor.
    pub fn proposal_codes(&self) -> usize {
        if self.rotated { 6 } else { 4 }
    }

    /// Deviations of the numbers that tell an object by its proposal.
    pub fn deviations(&self) -> Vec<f32> {
        let upright = [0.1, 0.1, 0.2, 0.2];
        if self.rotated { [&upright[..], &[0.1]].concat() } else { upright.to_vec() }
    }

    /// What contradicts itself, with what was expected.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut held = |holds: bool, what: &str| {
            if !holds {
                faults.push(what.to_owned());
            }
        };
        held((1..=8).contains(&self.strides.len()), "strides must be those of 1 to 8 levels");
        held(
            self.strides.iter().all(|stride| (1..=1024).contains(stride)) && self.strides.is_sorted_by(|a, b| a < b),
            "strides must rise, from 1 to 1024",
        );
        held((1..=self.strides.len()).contains(&self.pooled), "pooled must be from 1 to the number of levels");
        let positive = |value: f64| value.is_finite() && value > 0.0;
        held(positive(self.anchor_scale), "anchor_scale must be more than 0");
        held(
            (1..=64).contains(&self.anchor_ratios.len()) && self.anchor_ratios.iter().copied().all(positive),
            "anchor_ratios must be 1 to 64 numbers above 0",
        );
        let shares = [self.proposals.iou, self.score, self.iou];
        held(shares.iter().all(|share| (0.0..=1.0).contains(share)), "iou and score must be from 0 to 1");
        let counts = [self.proposals.per_level, self.proposals.count, self.most];
        held(counts.iter().all(|count| (1..=100_000).contains(count)), "counts of boxes must be from 1 to 100000");
        held((1..=64).contains(&self.pool) && (1..=16).contains(&self.samples), "pool is 1 to 64, samples 1 to 16");
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_sound_and_nonsense_is_named() {
        assert!(Detector::upright().faults().is_empty() && Detector::rotated().faults().is_empty());
        let wrong = Detector { strides: vec![8, 4], pooled: 3, iou: f64::NAN, most: 0, ..Detector::upright() };
        assert_eq!(wrong.faults().len(), 4, "{:?}", wrong.faults());
    }
}
