//! Non-maximum suppression: of boxes that show the same object the best one stays.

use std::collections::BTreeMap;

use super::index::Index;
use super::{Scored, Shape};
use crate::{MetricError, check};

/// Places of the boxes that stay, best score first. A box goes when one of its class with a higher score stays and their
/// IoU is above the threshold; of the same score the one given first is the higher. So do torchvision and DOTA's kit.
///
/// Boxes are compared with their neighbours only: the time grows with their number, not its square.
///
/// # Errors
/// When a score is not finite, or the threshold not from 0 to 1.
pub fn nms<S: Shape>(boxes: &[Scored<S>], threshold: f64) -> Result<Vec<usize>, MetricError> {
    check::shares("IoU threshold", &[threshold])?;
    let order = by_score(boxes)?;
    Ok(greedy(
        &order,
        |at| boxes[at].class,
        |at| &boxes[at].shape,
        |kept, at| boxes[at].shape.iou(&boxes[kept].shape) > threshold,
    ))
}

/// Places by falling score; of the same score the first comes first.
pub(super) fn by_score<S>(boxes: &[Scored<S>]) -> Result<Vec<usize>, MetricError> {
    let scores: Vec<f64> = boxes.iter().map(|found| found.score).collect();
    check::finite("score of a box", &scores)?;
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    // Adding 0 makes −0 and 0 one score.
    order.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    Ok(order)
}

/// Goes through boxes in an order and keeps those that no kept one of the same class takes away.
pub(super) fn greedy<'a, S: Shape + 'a>(
    order: &[usize],
    class: impl Fn(usize) -> usize,
    shape: impl Fn(usize) -> &'a S,
    takes: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let mut kept: BTreeMap<usize, Index> = BTreeMap::new();
    let mut stays = Vec::new();
    for at in order {
        let bounds = shape(*at).bounds();
        let index = kept.entry(class(*at)).or_insert_with(|| {
            Index::for_boxes(
                order.iter().filter(|other| class(**other) == class(*at)).map(|other| shape(*other).bounds()),
            )
        });
        if !index.any_near(bounds, |kept| takes(kept, *at)) {
            index.insert(*at, bounds);
            stays.push(*at);
        }
    }
    stays
}
