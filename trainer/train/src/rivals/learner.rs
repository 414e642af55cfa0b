//! A network of others in the loop of steps that trains the model.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::Device;
use rand::RngExt;
use skysense_baseline::{Network, NetworkConfig};
use skysense_collective::Alone;
use skysense_contract::{Input, Modality};

use super::series::series;
use crate::compute::{Compute, Step};
use crate::dataset::Prepared;
use crate::draw::Draw;
use crate::loss::cross_entropy;
use crate::loss_scale::LossScale;
use crate::network::{drawn, seeded};
use crate::parts::Parts;
use crate::random::{Purpose, rng};
use crate::steps::Learner;
use crate::tasks::{Part, pixel_weight, pixels};
use crate::{Recipe, TrainError};

/// One run.
pub(super) struct NetworkRun<'a> {
    pub(super) network: NetworkConfig,
    pub(super) recipe: &'a Recipe,
    pub(super) ready: &'a [Prepared],
    /// Samples with a pixel that trains.
    pub(super) labelled: &'a [usize],
    pub(super) inputs: &'a BTreeMap<Modality, Input>,
    /// Weight of each class.
    pub(super) weights: Vec<f32>,
    pub(super) device: Device,
    pub(super) parts: Parts,
}

impl Learner for NetworkRun<'_> {
    type Network = Network;

    fn network(&self) -> Result<Network, TrainError> {
        let seed = rng(self.recipe.seed, Purpose::Weights, 0).random();
        let fresh = seeded(&self.device, seed, || self.network.init(&self.device).map(drawn));
        fresh.map_err(|error| TrainError::Model(error.to_string()))
    }

    fn step(
        &self,
        network: Network,
        optimiser: &mut burn::optim::ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Network, f32), TrainError> {
        let draw = Draw {
            training: self.labelled,
            batch: self.recipe.batch,
            seed: self.recipe.seed,
            augmentation: &self.recipe.augmentation,
        };
        let drawn = draw.step(step, 0..draw.count(), |place| Ok(Cow::Borrowed(&self.ready[place])))?;
        let samples: Vec<&Prepared> = drawn.iter().map(|(_, sample, _)| sample).collect();
        let total = pixel_weight(&samples, &self.weights).max(1e-12);
        // Told once, here: what a pass is given cannot fail again.
        let given = self.parts.share(samples).into_iter().map(|samples| {
            let series = series(&samples, self.inputs, &self.device)?;
            Ok((samples, series))
        });
        let given = given.collect::<Result<Vec<_>, TrainError>>()?;
        let compute = Compute::default();
        let step = Step { compute, group: &Alone, parts: &self.parts, seed: self.recipe.seed, number: step, rate };
        let loss = |network: &Network, _: &_, (samples, series): (Vec<&Prepared>, skysense_baseline::Series)| {
            let logits = network.forward(&series).ok()?;
            let (classes, weights) = pixels(&Part { samples: &samples, device: &self.device }, &self.weights);
            Some(cross_entropy(logits, classes, weights) * (pixel_weight(&samples, &self.weights) / total))
        };
        step.take(network, given, (optimiser, scale), loss, |network, tape, loss| tape.backward(loss, network))
    }
}
