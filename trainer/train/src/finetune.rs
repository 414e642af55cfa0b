//! The fine-tuning loop, the same for all tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use skysense_collective::Group;
use skysense_contract::{Checksum, Modality, Offer};
use skysense_model::{Checkpointing, Precision, Tape};

use crate::batch::stack;
use crate::compute::{Compute, Step};
use crate::dataset::{Legend, Prepared, labelled_blocks, locate, mark, prepare};
use crate::draw::Draw;
use crate::loss_scale::LossScale;
use crate::network::Network;
use crate::parts::Parts;
use crate::score::score;
use crate::setup::{Setup, setup};
use crate::split::Split;
use crate::steps::{self, Learner};
use crate::tasks::{self, Objective, Part};
use crate::{FinetuneConfig, Hooks, Sample, TrainError, Trained, together};

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
    let group = hooks.group();
    let device = config.compute.device.of_rank(group.local_rank(), group.size()).open(config.compute.precision)?;
    let setup = setup(samples, offers, &config.recipe)?.with_prototypes(config.prototypes);
    let legend = Legend { classes: &config.classes, ignore: &config.ignore };
    let mut ready = prepare(samples, &setup.inputs, &setup.bands, setup.chip_size, legend)?;
    locate(samples, &mut ready, setup.geo_context.as_ref())?;
    let blocks = labelled_blocks(samples, &ready, config.recipe.block);
    let split = Split::new(config.recipe.block, config.recipe.validation, &blocks, config.recipe.seed);
    mark(samples, &mut ready, &split);
    let run = Run::new(samples, ready, setup, config, (device.autodiff(), group))?;
    let started = Instant::now();
    let (network, state) = steps::run(&config.recipe, &run, &run.identity, hooks)?;
    let network = network.valid().to_device(&Device::flex());
    let (training, validation, temperature) =
        score(&network, &run.ready, &run.setup.inputs, &*run.objective, config.recipe.batch);
    let calibration = temperature.filter(|_| config.calibrate && split.any());
    let mut head = run.objective.record(config.head_record());
    head.temperature = calibration.map(|found| found.temperature);
    Ok(Trained {
        training,
        calibration,
        validation: split.any().then_some(validation),
        steps: state.steps,
        losses: state.losses,
        seconds: started.elapsed().as_secs_f64(),
        probe: run.ready[run.labelled[0]].clone(),
        network,
        setup: run.setup,
        config: config.clone(),
        head,
    })
}

/// What does not change while a run goes on.
pub(crate) struct Run<'a> {
    config: &'a FinetuneConfig,
    setup: Setup,
    ready: Vec<Prepared>,
    /// Samples with a pixel that trains.
    labelled: Vec<usize>,
    objective: Box<dyn Objective>,
    identity: String,
    device: Device,
    parts: Parts,
    group: Arc<dyn Group>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        samples: &[Sample],
        ready: Vec<Prepared>,
        setup: Setup,
        config: &'a FinetuneConfig,
        (device, group): (Device, Arc<dyn Group>),
    ) -> Result<Self, TrainError> {
        let labelled: Vec<usize> = (0..ready.len()).filter(|index| ready[*index].trains()).collect();
        if labelled.is_empty() {
            let hint = format!("{} samples, ignored values {:?}", samples.len(), config.ignore);
            return Err(TrainError::NoLabels { hint });
        }
        let objective = tasks::objective(config, &ready)?;
        let identity = identity(&ready, &setup, config);
        let parts = Parts::new(config.recipe.parts, &device)?;
        Ok(Self { config, setup, ready, labelled, objective, identity, device, parts, group })
    }
}

impl Learner for Run<'_> {
    type Network = Network;

    fn network(&self) -> Result<Network, TrainError> {
        self.setup.network(self.config, &self.device)
    }

    fn precision(&self) -> Precision {
        self.config.compute.precision
    }

    fn step(
        &self,
        network: Network,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Network, f32), TrainError> {
        let draw = Draw {
            ready: &self.ready,
            training: &self.labelled,
            batch: self.config.recipe.batch,
            seed: self.config.recipe.seed,
            augmentation: &self.config.recipe.augmentation,
        };
        let group = &*self.group;
        let drawn = draw.step(step, together::share(group, draw.count()));
        let samples: Vec<&Prepared> = drawn.iter().map(|(_, sample, _)| sample).collect();
        let total = together::sum(group, self.objective.weight(&samples))?.max(1e-12);
        let FinetuneConfig { compute, frozen, .. } = *self.config;
        // Nothing of a frozen encoder is kept anyway.
        let checkpointing = if frozen { Checkpointing::Off } else { compute.checkpointing };
        let compute = Compute { checkpointing, ..compute };
        let step = Step { compute, group, parts: &self.parts, seed: self.config.recipe.seed, number: step, rate };
        let loss = |network: &Network, tape: &Tape, samples: Vec<&Prepared>| {
            let batch = stack(&samples, &self.setup.inputs, &self.device);
            let features = network.features_on(tape, &batch, compute.precision, frozen);
            let part = Part { samples: &samples, device: &self.device };
            // The loss is the mean of a part: as much of the mean of the step as the part weighs.
            let loss = self.objective.loss(&network.head, features, &part);
            // Of a step whose pixels are all of classes that weigh nothing, nothing is learned.
            Some(loss * (self.objective.weight(&samples) / total))
        };
        step.take(network, self.parts.share(samples), (optimiser, scale), loss, |network, tape, loss| match frozen {
            true => tape.backward(loss, &network.head),
            false => tape.backward(loss, network),
        })
    }
}

/// Checksum of all that decides the weights.
fn identity(ready: &[Prepared], setup: &Setup, config: &FinetuneConfig) -> String {
    let mut sum = Checksum::default();
    sum.add(&serde_json::to_vec(config).unwrap_or_default());
    sum.add(format!("{} {:?} {}", setup.start(), setup.inputs, setup.chip_size).as_bytes());
    ready.iter().for_each(|sample| sample.tell(&mut sum));
    sum.finish()
}
