//! Proposals of an image: the best boxes of the region proposal network (Faster R-CNN, section 3.1; Oriented R-CNN).

use skysense_contract::Detector;
use skysense_metric::{MetricError, Scored, nms};

use crate::coder::decode;
use crate::{Midpoint, RotatedBox};

/// Sides in pixels below which a box is none.
const LEAST: f32 = 1e-2;

/// What the network gives for a level of one image.
#[derive(Debug, Clone, Copy)]
pub struct LevelMaps<'a> {
    /// Anchors of the level.
    pub anchors: &'a [RotatedBox],
    /// Logits `[anchor of a cell, row, column]`.
    pub objectness: &'a [f32],
    /// Codes `[anchor of a cell · code, row, column]`.
    pub codes: &'a [f32],
}

/// At most `proposals.count` boxes of an image of `[width, height]`, best first: of each level the `per_level` best ones,
/// those taken away that overlap a better one of their level by more than `iou` (rotated ones by their upright bounds, as
/// in the paper's code).
///
/// # Errors
/// A setting that makes no sense.
pub fn proposals(
    detector: &Detector,
    levels: &[LevelMaps<'_>],
    image: [f32; 2],
) -> Result<Vec<(RotatedBox, f32)>, MetricError> {
    let (per_cell, codes) = (detector.anchor_ratios.len(), detector.proposal_codes());
    let mut found = Vec::new();
    for (level, maps) in levels.iter().enumerate() {
        let cells = maps.anchors.len() / per_cell;
        let place = |anchor: usize| (anchor % per_cell) * cells + anchor / per_cell;
        // A logit that is no number is no proposal.
        let finite = (0..maps.anchors.len()).filter(|anchor| maps.objectness[place(*anchor)].is_finite());
        let mut order: Vec<usize> = finite.collect();
        let logit = |anchor: usize| maps.objectness[place(anchor)];
        let better = |a: &usize, b: &usize| (logit(*b) + 0.0).total_cmp(&(logit(*a) + 0.0)).then(a.cmp(b));
        // No two are alike, so the best are the same whether or not the others are sorted.
        if order.len() > detector.proposals.per_level {
            order.select_nth_unstable_by(detector.proposals.per_level, better);
            order.truncate(detector.proposals.per_level);
        }
        order.sort_unstable_by(better);
        for anchor in order {
            let (cell, of_cell) = (anchor / per_cell, anchor % per_cell);
            let code: Vec<f32> = (0..codes).map(|code| maps.codes[(of_cell * codes + code) * cells + cell]).collect();
            let from = &maps.anchors[anchor];
            let area = match detector.rotated {
                true => Midpoint::decode(from, &code),
                false => decode(from, &code, &[1.0; 4]).clipped(image),
            };
            if area.is_box(LEAST) {
                found.push((area, logit(anchor), level));
            }
        }
    }
    let scored = found
        .iter()
        .map(|(area, logit, level)| Ok(Scored { shape: area.rect()?, class: *level, score: f64::from(*logit) }));
    let mut kept = nms(&scored.collect::<Result<Vec<_>, MetricError>>()?, detector.proposals.iou)?;
    kept.truncate(detector.proposals.count);
    Ok(kept.into_iter().map(|at| (found[at].0, found[at].1)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anchors;

    #[test]
    fn the_best_of_each_level_stay_and_copies_go() {
        let detector = Detector { anchor_ratios: vec![1.0], anchor_scale: 2.0, ..Detector::upright() };
        let first = anchors(&detector, 4, [16, 16]);
        let mut objectness = vec![-5.0; 16];
        (objectness[0], objectness[1], objectness[15]) = (3.0, 4.0, 5.0);
        let mut codes = vec![0.0; 4 * 16];
        // The anchor of cell 0 tells the box of its neighbour.
        codes[0] = 0.5;
        let maps = LevelMaps { anchors: &first, objectness: &objectness, codes: &codes };
        let found = proposals(&detector, &[maps], [16.0, 16.0]).unwrap();
        assert_eq!((found[0].1, found[1].1), (5.0, 4.0));
        // Cell 15's anchor reaches over the rim.
        assert_eq!(found[0].0, RotatedBox::upright([10.0, 10.0], [16.0, 16.0]));
        assert!(found[2].1 == -5.0, "the copy in cell 0 is gone: {found:?}");
        objectness[15] = f32::NAN;
        let maps = LevelMaps { anchors: &first, objectness: &objectness, codes: &codes };
        assert_eq!(proposals(&detector, &[maps], [16.0, 16.0]).unwrap()[0].1, 4.0);
    }
}
