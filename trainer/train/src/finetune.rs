//! The fine-tuning loop for segmentation.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use skysense_contract::{Modality, Offer, sha256_bytes};
use skysense_model::{Checkpointing, Precision, Tape};

use crate::batch::{stack, weight};
use crate::dataset::{Legend, Prepared, class_counts, labelled_blocks, mark, prepare};
use crate::draw::Draw;
use crate::loss::{ClassWeights, cross_entropy, median_frequency};
use crate::loss_scale::LossScale;
use crate::network::Network;
use crate::parts::{Parts, part_seed};
use crate::score::score;
use crate::setup::{Setup, setup};
use crate::split::Split;
use crate::steps::{self, Learner, step_seed};
use crate::{FinetuneConfig, Hooks, Sample, TrainError, Trained};

/// Trains a model on labelled chips.
///
/// `offers` says what the samples hold, by modality: bands, unit, type, most dates, chip side. The result is the
/// same for the same samples, settings and machine, whether or not the run was killed and went on from its
/// checkpoint; a time budget is the exception.
///
/// # Errors
/// [`TrainError`]: settings out of range, samples that do not fit, nothing labelled, a checkpoint of another run,
/// a loss that is not finite, [`TrainError::Cancelled`] when `hooks` say so.
pub fn finetune(
    samples: &[Sample],
    offers: &BTreeMap<Modality, Offer>,
    config: &FinetuneConfig,
    hooks: &mut dyn Hooks,
) -> Result<Trained, TrainError> {
    config.check()?;
    let device = config.device.open(config.precision)?;
    let setup = setup(samples, offers, &config.recipe)?;
    let legend = Legend { classes: &config.classes, ignore: &config.ignore };
    let mut ready = prepare(samples, &setup.inputs, &setup.bands, setup.chip_size, legend)?;
    let blocks = labelled_blocks(samples, &ready, config.recipe.block);
    let split = Split::new(config.recipe.block, config.recipe.validation, &blocks, config.recipe.seed);
    mark(samples, &mut ready, &split);
    let run = Run::new(samples, ready, setup, config, device.autodiff())?;
    let started = Instant::now();
    let (network, state) = steps::run(&config.recipe, &run, &run.identity, hooks)?;
    let network = network.valid().to_device(&Device::flex());
    let (training, validation) =
        score(&network, &run.ready, &run.setup.inputs, config.classes.len(), config.recipe.batch);
    Ok(Trained {
        training,
        validation: split.any().then_some(validation),
        steps: state.steps,
        losses: state.losses,
        seconds: started.elapsed().as_secs_f64(),
        class_weights: run.weights,
        probe: run.ready[run.labelled[0]].clone(),
        network,
        setup: run.setup,
        config: config.clone(),
    })
}

/// What does not change while a run goes on.
struct Run<'a> {
    config: &'a FinetuneConfig,
    setup: Setup,
    ready: Vec<Prepared>,
    /// Samples with a pixel that trains.
    labelled: Vec<usize>,
    weights: Vec<f32>,
    identity: String,
    device: Device,
    parts: Parts,
}

impl<'a> Run<'a> {
    fn new(
        samples: &[Sample],
        ready: Vec<Prepared>,
        setup: Setup,
        config: &'a FinetuneConfig,
        device: Device,
    ) -> Result<Self, TrainError> {
        let labelled: Vec<usize> = (0..ready.len()).filter(|index| ready[*index].trains()).collect();
        if labelled.is_empty() {
            let hint = format!("{} samples, ignored values {:?}", samples.len(), config.ignore);
            return Err(TrainError::NoLabels { hint });
        }
        let weights = match &config.class_weights {
            ClassWeights::Equal => vec![1.0; config.classes.len()],
            ClassWeights::MedianFrequency => median_frequency(&class_counts(&ready, config.classes.len(), false)),
            ClassWeights::Given(weights) => weights.clone(),
        };
        let identity = identity(&ready, &setup, config);
        let parts = Parts::new(config.recipe.parts, &device)?;
        Ok(Self { config, setup, ready, labelled, weights, identity, device, parts })
    }
}

impl Learner for Run<'_> {
    type Network = Network;

    fn network(&self) -> Result<Network, TrainError> {
        self.setup.network(self.config, &self.device)
    }

    fn precision(&self) -> Precision {
        self.config.precision
    }

    fn step(
        &self,
        network: Network,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Network, f32), TrainError> {
        let (value, gradients) = self.gradients(&network, scale, (step, rate))?;
        // A step whose gradients left the range of half precision is left out, and the scale is lower from then on.
        let network = match scale.unscale(gradients, &network) {
            Some(gradients) => optimiser.step(rate, network, gradients),
            None if scale.spent() => return Err(TrainError::Diverged { step, rate }),
            None => network,
        };
        Ok((network, value))
    }
}

impl Run<'_> {
    /// Loss of a step, and its gradients with the loss scaled.
    fn gradients(
        &self,
        network: &Network,
        scale: &LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(f32, GradientsParams), TrainError> {
        let draw = Draw {
            ready: &self.ready,
            training: &self.labelled,
            batch: self.config.recipe.batch,
            seed: self.config.recipe.seed,
            augmentation: &self.config.recipe.augmentation,
        };
        let samples: Vec<Prepared> = draw.step(step).into_iter().map(|(_, sample, _)| sample).collect();
        let total = weight(&samples, &self.weights, false);
        let seed = step_seed(self.config.recipe.seed, step);
        let FinetuneConfig { precision, checkpointing, frozen, .. } = *self.config;
        // Nothing of a frozen encoder is kept anyway.
        let checkpointing = if frozen { Checkpointing::Off } else { checkpointing };
        self.parts.gradients(network, self.parts.share(samples), |network, part, samples| {
            let batch = stack(&samples, &self.setup.inputs, &self.weights, false, &self.device);
            let tape = Tape::new(checkpointing, part_seed(seed, part));
            let logits = network.logits_on(&tape, &batch, precision, frozen);
            // The loss is the mean of a part: as much of the mean of the step as the part weighs.
            // Of a step whose pixels are all of classes that weigh nothing, nothing is learned.
            let share = weight(&samples, &self.weights, false) / total.max(1e-12);
            let loss = cross_entropy(logits, batch.classes, batch.weights) * share;
            let value = loss.clone().into_scalar::<f32>();
            if !value.is_finite() {
                return Err(TrainError::Diverged { step, rate });
            }
            let loss = scale.scale(loss);
            let gradients = if frozen { tape.backward(&loss, &network.head) } else { tape.backward(&loss, &network) };
            Ok((value, gradients))
        })
    }
}

/// Checksum of all that decides the weights.
fn identity(ready: &[Prepared], setup: &Setup, config: &FinetuneConfig) -> String {
    let mut bytes = serde_json::to_vec(config).unwrap_or_default();
    bytes.extend(format!("{} {:?} {}", setup.start(), setup.inputs, setup.chip_size).bytes());
    ready.iter().for_each(|sample| sample.tell(&mut bytes));
    sha256_bytes(&bytes)
}
