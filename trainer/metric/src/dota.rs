//! Average precision of boxes by the rules of Pascal VOC, which DOTA took over for rotated ones.

use serde::{Deserialize, Serialize};

use crate::boxes::{Scored, Shape, Truth};
use crate::ratio::mean;
use crate::{Accumulator, MetricError, check};

/// How the area below precision over recall is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionRule {
    /// Mean of the greatest precision at recall 0, 0.1 to 1: VOC 2007, and the numbers of DOTA's papers.
    ElevenPoints,
    /// All of the area: VOC 2012.
    Area,
}

/// Boxes that were judged image by image, to the numbers of DOTA's evaluation kit; for upright boxes, to those of VOC
/// without its pixel that is added to widths.
///
/// A box looks at the truth of its class that it overlaps most. Above the threshold it is right if it is the first to find
/// that truth and wrong if not; if the truth is `ignored` (difficult) it counts for neither. Below, it is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dota {
    threshold: f64,
    classes: Vec<Class>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Class {
    truths: u64,
    judged: Vec<Judged>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Judged {
    score: f64,
    image: u64,
    right: bool,
}

impl Dota {
    /// Without an image; DOTA's threshold is an IoU of 0.5.
    ///
    /// # Errors
    /// When the threshold is not from 0 to 1.
    pub fn new(classes: usize, threshold: f64) -> Result<Self, MetricError> {
        check::shares("IoU threshold", &[threshold])?;
        Ok(Self { threshold, classes: vec![Class::default(); classes] })
    }

    /// Takes all truths and all boxes of one image. The number of the image decides the order of equal scores only.
    ///
    /// # Errors
    /// When a class is not counted or a score not finite; then nothing is taken.
    pub fn add<S: Shape>(&mut self, image: u64, truths: &[Truth<S>], boxes: &[Scored<S>]) -> Result<(), MetricError> {
        for (at, truth) in truths.iter().enumerate() {
            check::class("truth", at, truth.class, self.classes.len())?;
        }
        for (at, found) in boxes.iter().enumerate() {
            check::class("box", at, found.class, self.classes.len())?;
        }
        check::finite("score of a box", &boxes.iter().map(|found| found.score).collect::<Vec<_>>())?;
        let mut boxes: Vec<&Scored<S>> = boxes.iter().collect();
        boxes.sort_by(|a, b| (b.score + 0.0).total_cmp(&(a.score + 0.0)));
        let mut taken = vec![false; truths.len()];
        for found in boxes {
            let right = match self.most_overlapped(found, truths) {
                Some(truth) if truths[truth].ignored => continue,
                Some(truth) => !std::mem::replace(&mut taken[truth], true),
                None => false,
            };
            self.classes[found.class].judged.push(Judged { score: found.score, image, right });
        }
        truths.iter().filter(|truth| !truth.ignored).for_each(|truth| self.classes[truth.class].truths += 1);
        Ok(())
    }

    /// The truth that a box overlaps most, if by more than the threshold; of the same overlap the first.
    fn most_overlapped<S: Shape>(&self, found: &Scored<S>, truths: &[Truth<S>]) -> Option<usize> {
        let own = truths.iter().enumerate().filter(|(_, truth)| truth.class == found.class);
        let best = own.fold((self.threshold, None), |(most, best), (at, truth)| {
            let iou = found.shape.iou(&truth.shape);
            if iou > most { (iou, Some(at)) } else { (most, best) }
        });
        best.1
    }

    /// Average precision of each class; `None` where no truth is asked for.
    pub fn by_class(&self, rule: PrecisionRule) -> Vec<Option<f64>> {
        self.classes.iter().map(|class| class.average_precision(rule)).collect()
    }

    /// Mean over the classes that have a truth: mAP.
    pub fn mean(&self, rule: PrecisionRule) -> Option<f64> {
        mean(self.by_class(rule))
    }
}

impl Class {
    fn average_precision(&self, rule: PrecisionRule) -> Option<f64> {
        let mut judged = self.judged.clone();
        // Stable: boxes of one image stay in their order.
        judged.sort_by(|a, b| (b.score + 0.0).total_cmp(&(a.score + 0.0)).then(a.image.cmp(&b.image)));
        let mut right = 0_u64;
        let curve = judged.iter().zip(1_u64..).map(|(judged, seen)| {
            right += u64::from(judged.right);
            (right as f64 / self.truths as f64, right as f64 / seen as f64)
        });
        let mut curve: Vec<(f64, f64)> = curve.collect();
        for at in (1..curve.len()).rev() {
            curve[at - 1].1 = curve[at - 1].1.max(curve[at].1);
        }
        (self.truths > 0).then(|| match rule {
            PrecisionRule::ElevenPoints => eleven_points(&curve),
            PrecisionRule::Area => area(&curve),
        })
    }
}

/// From recalls that rise, each with the greatest precision from there on.
fn eleven_points(curve: &[(f64, f64)]) -> f64 {
    // As floating point has them, 0.30000000000000004 among them: a recall of 3 in 10 does not reach it, in the kit either.
    let points = (0..11).map(|tenth| f64::from(tenth) * 0.1);
    let at = |point: f64| curve.get(curve.partition_point(|(recall, _)| *recall < point));
    points.filter_map(at).map(|(_, precision)| precision / 11.0).sum()
}

fn area(curve: &[(f64, f64)]) -> f64 {
    let before = std::iter::once(0.0).chain(curve.iter().map(|(recall, _)| *recall));
    curve.iter().zip(before).map(|((recall, precision), before)| (recall - before) * precision).sum()
}

impl Accumulator for Dota {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("evaluations of boxes by their threshold", &other.threshold, &self.threshold)?;
        check::alike("evaluations of boxes by their classes", &other.classes.len(), &self.classes.len())?;
        for (class, more) in self.classes.iter_mut().zip(&other.classes) {
            class.truths += more.truths;
            class.judged.extend_from_slice(&more.judged);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quad;

    fn quad(x: f64) -> Quad {
        Quad::from_centre([x, 0.0], [10.0, 4.0], 0.4).unwrap()
    }

    #[test]
    fn a_difficult_truth_is_neither_missed_nor_found() {
        let truth = |x, ignored| Truth { shape: quad(x), class: 0, ignored, area: None };
        let found = |x, score| Scored { shape: quad(x), class: 0, score };
        let mut dota = Dota::new(2, 0.5).unwrap();
        dota.add(0, &[truth(0.0, false), truth(50.0, true)], &[found(50.0, 0.9), found(0.0, 0.8)]).unwrap();
        for rule in [PrecisionRule::Area, PrecisionRule::ElevenPoints] {
            let by_class = dota.by_class(rule);
            assert!((by_class[0].unwrap() - 1.0).abs() < 1e-12 && by_class[1].is_none());
        }
        // A second box on the same truth is wrong.
        dota.add(1, &[truth(0.0, false)], &[found(0.0, 0.95), found(0.0, 0.94)]).unwrap();
        assert!((dota.mean(PrecisionRule::Area).unwrap() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn empty_and_wrong() {
        let mut dota = Dota::new(1, 0.5).unwrap();
        assert_eq!(dota.mean(PrecisionRule::Area), None);
        let found = |class, score| Scored { shape: quad(0.0), class, score };
        assert!(dota.add(0, &[], &[found(1, 0.5)]).is_err() && dota.add(0, &[], &[found(0, f64::NAN)]).is_err());
        dota.add(0, &[], &[found(0, 0.5)]).unwrap();
        assert_eq!(dota.mean(PrecisionRule::ElevenPoints), None);
        assert!(Dota::new(1, f64::NAN).is_err());
        assert!(dota.merge(&Dota::new(1, 0.7).unwrap()).is_err());
    }
}
