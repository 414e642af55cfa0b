//! Change between two times: as a class for each pixel, of which the first means no change.

use burn::tensor::Tensor;
use skysense_metric::{Binary, Temperature};
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
        let changed = Binary::against_first(counts);
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
