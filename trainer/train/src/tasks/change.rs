//! Change between two times: as a class for each pixel, of which the first means no change.

use burn::tensor::Tensor;
use skysense_metric::{Binary, Confusion, Temperature};
use skysense_model::Head;

use super::segmentation::{Pixels, Segmentation};
use super::{ChangeScores, Objective, Part, Tally, TaskScores};
use crate::FinetuneConfig;
use crate::dataset::Prepared;

/// See the module.
pub(crate) struct Change(Segmentation);

impl Change {
    pub(crate) fn new(config: &FinetuneConfig, ready: &[Prepared]) -> Self {
        Self(Segmentation::new(config, ready))
    }
}

impl Objective for Change {
    fn weight(&self, samples: &[&Prepared]) -> f64 {
        self.0.weight(samples)
    }

    fn loss(&self, head: &Head, features: Tensor<4>, part: &Part<'_>) -> Tensor<1> {
        self.0.loss(head, features, part)
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(Collected(Pixels::new(self.0.classes())))
    }
}

struct Collected(Pixels);

impl Tally for Collected {
    fn add(&mut self, sample: &Prepared, output: &[f32], validates: bool) {
        self.0.add(sample, output, validates);
    }

    fn scores(&self) -> TaskScores {
        let counts = &self.0.confusion;
        let changed = changed(counts);
        TaskScores::Change(ChangeScores {
            pixels: counts.total(),
            overall_accuracy: counts.overall_accuracy(),
            kappa: counts.kappa(),
            f1: changed.f1(),
            iou: changed.iou(),
            precision: changed.precision(),
            recall: changed.recall(),
            classes: counts.scores().classes,
        })
    }

    fn temperature(&self) -> Option<Temperature> {
        self.0.temperature()
    }
}

/// Any change against none.
fn changed(confusion: &Confusion) -> Binary {
    let mut all = Binary::default();
    for truth in 0..confusion.classes() {
        for found in 0..confusion.classes() {
            let count = confusion.count(truth, found);
            match (truth > 0, found > 0) {
                (true, true) => all.true_positive += count,
                (false, true) => all.false_positive += count,
                (true, false) => all.false_negative += count,
                (false, false) => all.true_negative += count,
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_into_another_class_is_still_a_change() {
        let mut confusion = Confusion::new(3);
        for (truth, found) in [(0, 0), (0, 1), (1, 2), (2, 2), (2, 0)] {
            confusion.add(truth, found);
        }
        let all = changed(&confusion);
        let counts = (all.true_positive, all.false_positive, all.false_negative, all.true_negative);
        assert_eq!(counts, (2, 1, 1, 1));
    }
}
