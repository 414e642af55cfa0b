//! Boxes of an image, from what the head gives for its proposals.

use skysense_contract::Detector;
use skysense_metric::{MetricError, Quad, Rect, Scored, Shape, nms};

use crate::RotatedBox;
use crate::coder::decode;

/// An object that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Where, in pixels of the image.
    pub area: RotatedBox,
    /// Place of its class.
    pub class: usize,
    /// Its probability.
    pub score: f32,
}

/// Objects by falling score.
///
/// - `logits`: `[proposal, class + 1]`, the last for nothing; their softmax is the score
/// - `codes`: `[proposal, code]`, for all classes alike
///
/// # Errors
/// A setting that makes no sense.
pub fn detections(
    detector: &Detector,
    proposals: &[RotatedBox],
    (logits, codes): (&[f32], &[f32]),
    image: [f32; 2],
) -> Result<Vec<Found>, MetricError> {
    if proposals.is_empty() {
        return Ok(Vec::new());
    }
    let (outputs, deviations) = (logits.len() / proposals.len(), detector.deviations());
    let mut found = Vec::new();
    for (at, proposal) in proposals.iter().enumerate() {
        let scores = softmax(&logits[at * outputs..(at + 1) * outputs]);
        let code = &codes[at * deviations.len()..(at + 1) * deviations.len()];
        let area = decode(proposal, code, &deviations);
        let area = if detector.rotated { area } else { area.clipped(image) };
        let sure = scores[..outputs - 1].iter().enumerate().filter(|(_, score)| f64::from(**score) > detector.score);
        if area.is_box(1e-2) {
            found.extend(sure.map(|(class, score)| Found { area, class, score: *score }));
        }
    }
    let mut kept = match detector.rotated {
        true => suppressed::<Quad>(&found, detector.iou, RotatedBox::quad)?,
        false => suppressed::<Rect>(&found, detector.iou, RotatedBox::rect)?,
    };
    kept.truncate(detector.most);
    Ok(kept.into_iter().map(|at| found[at]).collect())
}

fn suppressed<S: Shape>(
    found: &[Found],
    iou: f64,
    shape: impl Fn(&RotatedBox) -> Result<S, MetricError>,
) -> Result<Vec<usize>, MetricError> {
    let scored = found
        .iter()
        .map(|found| Ok(Scored { shape: shape(&found.area)?, class: found.class, score: f64::from(found.score) }));
    nms(&scored.collect::<Result<Vec<_>, MetricError>>()?, iou)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_ones_stay_and_of_copies_the_surest() {
        let detector = Detector { score: 0.2, iou: 0.5, ..Detector::upright() };
        let area = RotatedBox::upright([0.0, 0.0], [10.0, 10.0]);
        let beside = RotatedBox::upright([1.0, 0.0], [11.0, 10.0]);
        // Two classes and nothing: class 0 twice at the same place, then nothing.
        let logits = [2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 9.0];
        let found = detections(&detector, &[area, beside, area], (&logits, &[0.0; 12]), [20.0, 20.0]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].area, found[0].class), (beside, 0));
        let expected = 3.0_f32.exp() / (3.0_f32.exp() + 2.0);
        assert!((found[0].score - expected).abs() < 1e-6);
        assert!(detections(&detector, &[], (&[], &[]), [1.0, 1.0]).unwrap().is_empty());
    }

    #[test]
    fn rotated_ones_overlap_by_their_own_area() {
        // Two slim boxes that cross: their bounds overlap, they hardly do.
        let detector = Detector::rotated();
        let one = RotatedBox { centre: [20.0, 20.0], size: [30.0, 4.0], angle: 0.7 };
        let other = RotatedBox { angle: -0.7, ..one };
        let found = detections(&detector, &[one, other], (&[2.0, 0.0, 2.0, 0.0], &[0.0; 10]), [40.0, 40.0]).unwrap();
        assert_eq!(found.len(), 2);
    }
}
