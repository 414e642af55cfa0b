//! AdamW in one pass over each parameter where the CPU backend holds it, in a dozen operations of Burn elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{DType, Device, Tensor};
use skysense_kernels as kernels;

/// Decay of both moments: PyTorch's, and those of the official second stage.
const BETAS: [f32; 2] = [0.9, 0.999];

/// The optimiser of one group of parameters; its state is that of Burn's, so either goes on from the other's records.
#[derive(Debug, Clone)]
pub struct AdamW {
    /// Decay of both moments.
    pub betas: [f32; 2],
    /// Keeps the division from zero.
    pub epsilon: f32,
    decay: Decay,
    /// What the learning rate is multiplied with for this group.
    share: f64,
}

/// A weight decay that can change while an optimiser is in use: it is one for all clones.
#[derive(Debug, Clone)]
pub(crate) struct Decay(Arc<AtomicU32>);

impl Decay {
    pub(crate) fn new(value: f64) -> Self {
        Self(Arc::new(AtomicU32::new((value as f32).to_bits())))
    }

    pub(crate) fn set(&self, value: f64) {
        self.0.store((value as f32).to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl AdamW {
    /// With what weights lose at each step, times the learning rate.
    pub fn new(weight_decay: f64) -> Self {
        Self::following(&Decay::new(weight_decay))
    }

    /// With a decay that changes.
    pub(crate) fn following(decay: &Decay) -> Self {
        Self { betas: BETAS, epsilon: 1e-8, decay: decay.clone(), share: 1.0 }
    }

    /// With a share of the learning rate.
    pub(crate) fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let rate = rate * self.share;
        let (Some(given), DType::F32) = (on_cpu(gradient.clone()), tensor.dtype()) else {
            let burns = AdamWConfig::new().with_beta_1(self.betas[0]).with_beta_2(self.betas[1]);
            let burns = burns.with_epsilon(self.epsilon).with_weight_decay(self.decay.get());
            return burns.build().step(rate, tensor, gradient, state);
        };
        let before = state.map_or_else(
            || AdaptiveMomentumState::new(0, tensor.zeros_like(), tensor.zeros_like()),
            |state| state.momentum,
        );
        let AdaptiveMomentumState { time, moment_1, moment_2, .. } = before;
        let (Some(mut parameters), Some(mut first), Some(mut second)) =
            (on_cpu(tensor), on_cpu(moment_1), on_cpu(moment_2))
        else {
            unreachable!("parameters, gradients and moments live on one device in one precision")
        };
        let settings = kernels::AdamW {
            rate: rate as f32,
            decay: self.decay.get(),
            betas: self.betas,
            epsilon: self.epsilon,
            time: time as i32 + 1,
        };
        let gradient = given.as_slice().unwrap_or_default();
        let moments = [first.storage_mut(), second.storage_mut()];
        settings.step(parameters.storage_mut(), gradient, moments);
        let [tensor, first, second] = [parameters, first, second].map(Tensor::from_primitive::<Flex>);
        (tensor, Some(AdamWState::new(AdaptiveMomentumState::new(time + 1, first, second))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamWState::new(state.momentum.to_device(device))
    }
}

/// Single precision on the CPU, the values in order and nothing beside them.
fn on_cpu<const D: usize>(tensor: Tensor<D>) -> Option<FlexTensor> {
    if tensor.dtype() != DType::F32 {
        return None;
    }
    let primitive = tensor.try_into_primitive::<Flex>().ok()?;
    let whole = primitive.as_slice::<f32>().is_some_and(|values| values.len() == primitive.storage::<f32>().len());
    Some(if whole { primitive } else { FlexTensor::from_data(primitive.into_data()) })
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn values(at: usize) -> Tensor<2> {
        let values = (0..70_000).map(|value| ((value * 7919 + at * 104_729) % 2003) as f32 / 1000.0 - 1.0);
        Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [350, 200]), &Device::flex())
    }

    /// Steps with gradients that are laid out in order and turned, from the same state.
    fn steps<O: Optimizer<State<2> = AdamWState<2>>>(optimiser: &O) -> Vec<f32> {
        let (mut tensor, mut state) = (values(0), None);
        for at in 1..5 {
            let gradient = if at == 2 { values(at).reshape([200, 350]).transpose() } else { values(at) };
            (tensor, state) = optimiser.step(1e-2, tensor, gradient, state);
        }
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn it_steps_as_the_composed_one() {
        let composed =
            AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).with_weight_decay(0.05);
        let (ours, theirs) = (steps(&AdamW::new(0.05)), steps(&composed.build()));
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-6, "{a} against {b}");
        }
        assert!(ours != values(0).into_data().iter::<f32>().collect::<Vec<f32>>());
    }

    #[test]
    fn a_decay_that_changes_is_that_of_the_step() {
        let decay = Decay::new(0.0);
        let (ours, still) = (AdamW::following(&decay), AdamW::new(0.0));
        let none = values(0).zeros_like();
        let step = |optimiser: &AdamW| optimiser.step(0.5, values(0), none.clone(), None).0.into_data();
        assert_eq!(step(&ours), step(&still));
        decay.set(0.25);
        let expected = (values(0) * (1.0 - 0.125)).into_data();
        assert_eq!(step(&ours), expected);
    }

    #[test]
    fn tensors_that_others_hold_stay_as_they_are() {
        let (tensor, gradient) = (values(0), values(1));
        let (held, first) = (tensor.clone(), AdamW::new(0.05));
        let (after, state) = first.step(1e-2, tensor, gradient.clone(), None);
        let kept = state.clone();
        let (_, later) = first.step(1e-2, after, gradient, state);
        assert_eq!(held.into_data(), values(0).into_data());
        let moment = |state: Option<AdamWState<2>>| state.map(|state| state.momentum.moment_1.into_data());
        assert_ne!(moment(kept), moment(later));
    }
}
