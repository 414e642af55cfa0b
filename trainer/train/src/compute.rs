//! How training computes: where, in which precision, and what it keeps for the backward pass.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use skysense_model::{Checkpointing, Precision, Tape};

use crate::loss_scale::LossScale;
use crate::network::seeded;
use crate::steps::step_seed;
use crate::{TrainError, TrainingDevice};

/// How training computes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compute {
    /// What activations and products are computed in.
    pub precision: Precision,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// Where it is computed.
    pub device: TrainingDevice,
}

impl Default for Compute {
    /// In single precision, on the processor, with all kept.
    fn default() -> Self {
        Self { precision: Precision::F32, checkpointing: Checkpointing::Off, device: TrainingDevice::cpu() }
    }
}

/// One step of a run.
pub(crate) struct Step<'a> {
    pub(crate) compute: Compute,
    /// With a record of what is computed.
    pub(crate) device: &'a Device,
    /// Seed of the run.
    pub(crate) seed: u64,
    pub(crate) number: usize,
    pub(crate) rate: f64,
}

impl Step<'_> {
    /// Goes down the gradient of a loss; gives the network and the loss. `gradients` says which parameters learn.
    ///
    /// # Errors
    /// A loss that is not finite, or gradients that are not, however the loss is scaled.
    pub(crate) fn take<N: Module>(
        &self,
        network: N,
        (optimiser, scale): (&mut ModuleOptimizer, &mut LossScale),
        loss: impl Fn(&N, &Tape) -> Tensor<1>,
        gradients: impl Fn(&N, Tape, &Tensor<1>) -> GradientsParams,
    ) -> Result<(N, f32), TrainError> {
        // Stochastic depth draws from the device's generator; seeded here, a step depends on its number alone.
        let seed = step_seed(self.seed, self.number);
        let diverged = || TrainError::Diverged { step: self.number, rate: self.rate };
        let forward = || {
            let tape = Tape::new(self.compute.checkpointing, seed);
            let loss = loss(&network, &tape);
            let value = loss.clone().into_scalar::<f32>();
            if value.is_finite() { Ok((tape, loss, value)) } else { Err(diverged()) }
        };
        let backward = |(tape, loss, value): (Tape, Tensor<1>, f32)| {
            let loss = scale.scale(loss);
            (value, gradients(&network, tape, &loss))
        };
        // Blocks that are run again draw again; otherwise others need not wait for the backward pass.
        let (value, gradients) = match self.compute.checkpointing {
            Checkpointing::Off => backward(seeded(self.device, seed, forward)?),
            Checkpointing::Blocks => seeded(self.device, seed, || forward().map(backward))?,
        };
        // A step whose gradients left the range of half precision is left out, and the scale is lower from then on.
        let network = match scale.unscale(gradients, &network) {
            Some(gradients) => optimiser.step(self.rate, network, gradients),
            None if scale.spent() => return Err(diverged()),
            None => network,
        };
        Ok((network, value))
    }
}
