//! Precision over recall of the boxes of one class.

use super::evaluation::{Class, by_score};
use super::matching::Judged;
use super::settings::CocoSettings;

/// What is known of a class in one area with one number of boxes: `None` where no truth is asked for.
pub(super) struct Curves {
    /// Mean precision over the recalls, by threshold.
    pub(super) precision: Vec<f64>,
    /// Greatest recall, by threshold.
    pub(super) recall: Vec<f64>,
}

/// Judged boxes of a class, best score first; of the same score by image and by rank.
pub(super) fn ranked(class: &Class) -> Vec<Judged> {
    let mut ranked = class.judged.clone();
    ranked.sort_by(|a, b| by_score(a.score, b.score).then(a.image.cmp(&b.image)).then(a.rank.cmp(&b.rank)));
    ranked
}

pub(super) fn curves(
    ranked: &[Judged],
    truths: u64,
    (area, boxes): (usize, usize),
    settings: &CocoSettings,
) -> Option<Curves> {
    if truths == 0 {
        return None;
    }
    let (mut precision, mut recall) = (Vec::new(), Vec::new());
    for threshold in 0..settings.thresholds.len() {
        let bit = 1_u64 << (area * settings.thresholds.len() + threshold);
        let counted = ranked.iter().filter(|judged| judged.rank < boxes && judged.ignored & bit == 0);
        let (mut right, mut seen) = (0_u64, 0_u64);
        let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
        for judged in counted {
            right += u64::from(judged.matched & bit != 0);
            seen += 1;
            recalls.push(right as f64 / truths as f64);
            precisions.push(right as f64 / (seen as f64 + f64::EPSILON));
        }
        recall.push(recalls.last().copied().unwrap_or(0.0));
        precision.push(mean_precision(&recalls, precisions, &settings.recalls));
    }
    Some(Curves { precision, recall })
}

/// Mean over the recall points of the greatest precision with that recall or more; 0 where recall does not get there.
fn mean_precision(recalls: &[f64], mut precisions: Vec<f64>, points: &[f64]) -> f64 {
    for at in (1..precisions.len()).rev() {
        precisions[at - 1] = precisions[at - 1].max(precisions[at]);
    }
    let at = |point: &f64| recalls.partition_point(|recall| recall < point);
    let sum: f64 = points.iter().filter_map(|point| precisions.get(at(point))).sum();
    sum / points.len() as f64
}
