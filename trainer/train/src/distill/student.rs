//! The student: an encoder, and for each level a linear projection to the teacher's channels that is thrown away later.

use std::collections::BTreeMap;

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};
use rand::RngExt;
use skysense_contract::Modality;
use skysense_model::{Precision, SkySense, Tape};

use super::level::Level;
use super::plan::{Plan, channels};
use crate::TrainError;
use crate::batch::Batch;
use crate::network::{drawn, seeded, tokens};
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
        let encoder = plan.student.encoder(seed, device)?;
        let widths: Vec<[usize; 2]> =
            plan.levels.iter().map(|level| [channels(encoder.config(), *level), teacher(*level)]).collect();
        let projection = |[input, output]: [usize; 2]| {
            let normal = Initializer::Normal { mean: 0.0, std: 1.0 / (input as f64).sqrt() };
            Projection { weight: normal.init([output, input], device), bias: Initializer::Zeros.init([output], device) }
        };
        let projections = seeded(device, rng(seed, Purpose::Projection, 0).random(), || {
            drawn(widths.into_iter().map(projection).collect::<Vec<_>>())
        });
        Ok(Self { encoder, projections })
    }

    /// A batch → features by level in the teacher's channels, `[position, channel]`; positions are those of
    /// `[batch, height, width]` for the fused features, else of `[batch, time, height, width]`. Levels of modalities that
    /// the batch lacks are left out.
    pub(super) fn features(&self, tape: &Tape, batch: &Batch, levels: &[Level]) -> BTreeMap<Level, Tensor<2>> {
        let tokens = tokens(&self.encoder, tape, batch, Precision::F32);
        let mut places = BTreeMap::new();
        let mut from = 0;
        for modality in Modality::ALL {
            if let Some(stack) = batch.stacks.get(&modality) {
                let time = stack.days.dims()[1];
                places.insert(modality, from..from + time);
                from += time;
            }
        }
        let mut found = BTreeMap::new();
        for (level, projection) in levels.iter().zip(&self.projections) {
            if let Level::Encoder(modality) = level
                && let Some(place) = places.get(modality)
            {
                let part = tokens.features.clone().narrow(1, place.start, place.len());
                let [batch, time, channel, height, width] = part.dims();
                let rows = part.permute([0, 1, 3, 4, 2]).reshape([batch * time * height * width, channel]);
                found.insert(*level, projection.forward(rows));
            }
        }
        let fused = self.encoder.fusion.forward_on(tape, tokens);
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
        linear(rows, self.weight.val().transpose(), Some(self.bias.val()))
    }
}
