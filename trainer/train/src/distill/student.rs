//! The student: an encoder, and for each level a linear projection to the teacher's channels that is thrown away later.

use std::collections::BTreeMap;

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};
use rand::RngExt;
use skysense_model::{Precision, SkySense, Tape};

use super::level::Level;
use super::plan::{Plan, channels};
use crate::TrainError;
use crate::batch::Batch;
use crate::encoded::Encoded;
use crate::network::{drawn, seeded};
use crate::random::{Purpose, rng};

/// What learns.
#[derive(Module, Debug)]
pub(super) struct Student {
    pub(super) encoder: SkySense,
    /// In the order of the plan's levels.
    projections: Vec<Projection>,
}

/// `y = x·Wᵀ + b`.
#[derive(Module, Debug)]
struct Projection {
    /// `[channels of the teacher, channels of the student]`.
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Student {
    /// A student with its weights at the start; `teacher` gives the channels of each level.
    pub(super) fn new(
        plan: &Plan,
        teacher: impl Fn(Level) -> usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, TrainError> {
        // Made on the processor, so that a seed gives the same weights on every device.
        let cpu = Device::flex().autodiff();
        let encoder = plan.student.encoder(seed, &cpu)?;
        let widths: Vec<[usize; 2]> =
            plan.levels.iter().map(|level| [channels(encoder.config(), *level), teacher(*level)]).collect();
        let projection = |[input, output]: [usize; 2]| {
            let normal = Initializer::Normal { mean: 0.0, std: 1.0 / (input as f64).sqrt() };
            Projection { weight: normal.init([output, input], &cpu), bias: Initializer::Zeros.init([output], &cpu) }
        };
        let projections = seeded(&cpu, rng(seed, Purpose::Projection, 0).random(), || {
            drawn(widths.into_iter().map(projection).collect::<Vec<_>>())
        });
        let student = Self { encoder, projections };
        Ok(if *device == cpu { student } else { student.fork(device) })
    }

    /// A batch → features by level in the teacher's channels, `[position, channel]`; positions are those of
    /// `[batch, height, width]` for the fused features, else of `[batch, time, height, width]`. Levels of modalities that
    /// the batch lacks are left out.
    pub(super) fn features(
        &self,
        tape: &Tape,
        batch: &Batch,
        levels: &[Level],
        precision: Precision,
    ) -> BTreeMap<Level, Tensor<2>> {
        let encoded = Encoded::new(&self.encoder, tape, batch, precision);
        let mut found = BTreeMap::new();
        for (level, projection) in levels.iter().zip(&self.projections) {
            if let Level::Encoder(modality) = level
                && let Some(rows) = encoded.modality(*modality)
            {
                let [images, pixels, channel] = rows.dims();
                found.insert(*level, projection.forward(rows.reshape([images * pixels, channel])));
            }
        }
        let fused = encoded.fused(&self.encoder, tape);
        let [batch, channel, height, width] = fused.dims();
        let rows = fused.permute([0, 2, 3, 1]).reshape([batch * height * width, channel]);
        if let Some((level, projection)) =
            levels.iter().zip(&self.projections).find(|(level, _)| **level == Level::Fused)
        {
            found.insert(*level, projection.forward(rows));
        }
        found
    }
}

impl Projection {
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        linear(Precision::F32.cast(rows), self.weight.val().transpose(), Some(self.bias.val()))
    }
}
