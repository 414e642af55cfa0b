//! How training computes: where, in which precision, and what it keeps for the backward pass.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use serde::Serialize;
use skysense_collective::Group;
use skysense_model::{Checkpointing, Precision, Tape};

use crate::loss_scale::LossScale;
use crate::parts::{Parts, part_seed};
use crate::steps::step_seed;
use crate::{TrainError, TrainingDevice, together};

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
    /// The processes that take it together.
    pub(crate) group: &'a dyn Group,
    /// How the samples of this process are shared out.
    pub(crate) parts: &'a Parts,
    /// Seed of the run.
    pub(crate) seed: u64,
    pub(crate) number: usize,
    pub(crate) rate: f64,
}

impl Step<'_> {
    /// Goes down the gradient of the sum of what `loss` gives for each part of each process; gives the network and that
    /// sum. `gradients` says which parameters learn. A part may have no loss.
    ///
    /// # Errors
    /// A loss that is not finite, or gradients that are not, however the loss is scaled; a process that is lost.
    pub(crate) fn take<N: Module + Send, P: Send>(
        &self,
        network: N,
        parts: Vec<P>,
        (optimiser, scale): (&mut ModuleOptimizer, &mut LossScale),
        loss: impl Fn(&N, &Tape, P) -> Option<Tensor<1>> + Sync,
        gradients: impl Fn(&N, Tape, &Tensor<1>) -> GradientsParams + Sync,
    ) -> Result<(N, f32), TrainError> {
        let seed = step_seed(self.seed, self.number);
        let diverged = || TrainError::Diverged { step: self.number, rate: self.rate };
        let scaling = &*scale;
        // Parts are numbered through over all processes, so that each draws for itself.
        let first = self.group.rank() * self.parts.most();
        let pass = |network: N, part: usize, samples| {
            let tape = Tape::new(self.compute.checkpointing, part_seed(seed, first + part));
            let Some(loss) = loss(&network, &tape, samples) else { return Ok((0.0, GradientsParams::new())) };
            let value = loss.clone().into_scalar::<f32>();
            Ok((value, gradients(&network, tape, &scaling.scale(loss))))
        };
        let (value, sum) = self.parts.gradients(&network, parts, pass)?;
        // Only now is it told: the others must not be left waiting for this process.
        let value = together::sum(self.group, value.into())? as f32;
        if !value.is_finite() {
            return Err(diverged());
        }
        let sum = together::sum_gradients(self.group, sum, &network)?;
        // A step whose gradients left the range of half precision is left out, and the scale is lower from then on.
        let network = match scale.unscale(sum, &network) {
            Some(gradients) => optimiser.step(self.rate, network, gradients),
            None if scale.spent() => return Err(diverged()),
            None => network,
        };
        Ok((network, value))
    }
}
