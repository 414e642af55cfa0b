//! Which box finds which truth, in one image and class.

use serde::{Deserialize, Serialize};

use crate::boxes::{Scored, Shape, Truth};

use super::settings::{AreaRange, CocoSettings};

/// A box that was looked at. Bit `area · thresholds + threshold` of `matched` and `ignored` is of that area and threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) image: u64,
    /// Place among the boxes of its image and class by score, from 0.
    pub(super) rank: usize,
    pub(super) score: f64,
    pub(super) matched: u64,
    pub(super) ignored: u64,
}

/// Judges the boxes of one image and class, best score first.
///
/// Each takes the free truth with the highest IoU from the threshold on, of the same IoU the last. A truth that is not asked
/// for (a crowd, another size) is taken only where no other can be; a crowd can be taken by any number of boxes, and its IoU
/// is the share of the box that it covers. A box that takes such a truth does not count, nor does one without a truth
/// that has another size.
pub(super) fn judge<S: Shape>(
    truths: &[&Truth<S>],
    boxes: &[&Scored<S>],
    image: u64,
    settings: &CocoSettings,
) -> Vec<Judged> {
    let mut judged: Vec<Judged> = boxes
        .iter()
        .enumerate()
        .map(|(rank, found)| Judged { image, rank, score: found.score, matched: 0, ignored: 0 })
        .collect();
    let overlaps: Vec<Vec<f64>> = boxes.iter().map(|found| overlaps(&found.shape, truths)).collect();
    for (at, area) in settings.areas.iter().enumerate() {
        // Those asked for first; each half in the order given.
        let asked = |truth: &usize| counts(truths[*truth], area);
        let (mut order, ignored): (Vec<usize>, Vec<usize>) = (0..truths.len()).partition(asked);
        let asked = order.len();
        order.extend(ignored);
        for (threshold, least) in settings.thresholds.iter().enumerate() {
            let bit = 1 << (at * settings.thresholds.len() + threshold);
            let mut taken = vec![false; truths.len()];
            for (found, judged) in judged.iter_mut().enumerate() {
                let free = |place: &usize| !taken[order[*place]] || truths[order[*place]].ignored;
                let best = best(&overlaps[found], &order, asked, free, least.min(1.0 - 1e-10));
                if let Some(place) = best {
                    taken[order[place]] = true;
                    judged.matched |= bit;
                }
                let size = boxes[found].shape.area();
                if best.map_or(size < area.from || size > area.to, |place| place >= asked) {
                    judged.ignored |= bit;
                }
            }
        }
    }
    judged
}

/// Whether a truth is asked for.
pub(super) fn counts<S: Shape>(truth: &Truth<S>, area: &AreaRange) -> bool {
    let size = truth.area.unwrap_or_else(|| truth.shape.area());
    !truth.ignored && size >= area.from && size <= area.to
}

fn overlaps<S: Shape>(found: &S, truths: &[&Truth<S>]) -> Vec<f64> {
    let overlap = |truth: &&Truth<S>| {
        if truth.ignored { found.covered_by(&truth.shape) } else { found.iou(&truth.shape) }
    };
    truths.iter().map(overlap).collect()
}

/// Place in the order of the truth that a box takes.
fn best(overlaps: &[f64], order: &[usize], asked: usize, free: impl Fn(&usize) -> bool, least: f64) -> Option<usize> {
    let best_of = |places: std::ops::Range<usize>| {
        places.filter(&free).fold((least, None), |(most, best), place| {
            let overlap = overlaps[order[place]];
            if overlap >= most { (overlap, Some(place)) } else { (most, best) }
        })
    };
    best_of(0..asked).1.or_else(|| best_of(asked..order.len()).1)
}
