//! The fine-tuning loop, the same for all tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use skysense_collective::Group;
use skysense_contract::{Checksum, HeadKind, Modality, Offer, Task};
use skysense_model::{Checkpointing, Precision, Tape};

use crate::batch::stack;
use crate::compute::{Compute, Step};
use crate::dataset::{Legend, Prepared, labelled_blocks, locate, mark, prepare};
use crate::draw::Draw;
use crate::loss_scale::LossScale;
use crate::network::Network;
use crate::optimiser::layered;
use crate::parts::Parts;
use crate::score::score;
use crate::setup::{Setup, setup};
use crate::split::Split;
use crate::steps::{self, Learner};
use crate::tasks::{self, Objective, Part, Tally};
use crate::{Curve, FinetuneConfig, Hooks, Sample, TrainError, Trained, together};

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
    let setup = starting(samples, offers, config)?;
    let legend = Legend { classes: &config.classes, ignore: &config.ignore };
    let mut ready = prepare(samples, &setup.inputs, &setup.bands, setup.chip_size, legend)?;
    locate(samples, &mut ready, setup.geo_context.as_ref())?;
    let block = setup.block(config.recipe.block);
    let blocks = labelled_blocks(samples, &ready, block);
    let share = if given(samples) { 0.0 } else { config.recipe.validation };
    let split = Split::new(block, share, &blocks, config.recipe.seed);
    mark(samples, &mut ready, &split)?;
    let validates = ready.iter().flat_map(|ready| &ready.targets).any(|t| t.validates && t.class.is_some());
    let run = Run::new(samples, ready, setup, config, (device.autodiff(), group))?;
    let started = Instant::now();
    let (network, state) = steps::run(&config.recipe, &run, &run.identity, hooks)?;
    // Adapters are added to the weights beside which they learned.
    let network = network.valid().to_device(&Device::flex()).materialize();
    let [training, validation] = run.score(&network, [false, true]);
    let calibration = (config.calibrate && validates).then(|| validation.temperature()).flatten();
    let mut head = run.objective.record(config.head_record());
    head.temperature = calibration.map(|found| found.temperature);
    Ok(Trained {
        training: training.scores(),
        calibration,
        validation: validates.then(|| validation.scores()),
        split: if given(samples) { "given".into() } else { drawn_split(block, config.recipe.validation) },
        steps: state.steps,
        curve: Curve::new(&state.losses, (&state.watched, config.early_stopping.map_or(1, |stopping| stopping.every))),
        losses: state.losses,
        seconds: started.elapsed().as_secs_f64(),
        probe: run.ready[run.labelled[0]].clone(),
        network,
        setup: run.setup,
        config: config.clone(),
        head,
    })
}

/// Whether samples say themselves what their pixels are for.
fn given(samples: &[Sample]) -> bool {
    samples.iter().any(|sample| sample.uses.is_some())
}

/// How blocks of the map are divided, in words.
fn drawn_split(block: usize, share: f64) -> String {
    format!("blocks of {block} pixels, share {share}")
}

/// What a run starts from, which must suit its task.
pub(crate) fn starting(
    samples: &[Sample],
    offers: &BTreeMap<Modality, Offer>,
    config: &FinetuneConfig,
) -> Result<Setup, TrainError> {
    let setup = setup(samples, offers, &config.recipe)?.with_prototypes(config.prototypes);
    let fault =
        |setting, value: String, expected: &str| Err(TrainError::Setting { setting, value, expected: expected.into() });
    match config.task {
        _ if !setup.of_pixels() => Ok(setup),
        Task::Classification | Task::MultiLabel => {
            let expected = "chips with `hr_scale: 32`, for it looks at a chip as a whole";
            fault("task", format!("{}, of an image's own pixels", config.task), expected)
        }
        Task::Segmentation | Task::Regression if config.head == HeadKind::Light => {
            let expected = "uper, which decodes all stages of the encoder at an image's own pixels (`hr_scale: 1`)";
            fault("head", "light".into(), expected)
        }
        _ => Ok(setup),
    }
}

/// What does not change while a run goes on.
pub(crate) struct Run<'a> {
    config: &'a FinetuneConfig,
    setup: Setup,
    ready: Vec<Prepared>,
    /// Samples that something is learned of.
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
        let unlabelled = || {
            let hint = format!("{} samples, ignored values {:?}", samples.len(), config.ignore);
            TrainError::NoLabels { hint }
        };
        if !ready.iter().any(Prepared::trains) {
            return Err(unlabelled());
        }
        let objective = tasks::objective(config, &ready)?;
        let labelled: Vec<usize> = (0..ready.len()).filter(|index| objective.trains(&ready[*index])).collect();
        if labelled.is_empty() {
            return Err(unlabelled());
        }
        let identity = identity(&ready, &setup, config);
        let parts = Parts::new(config.recipe.parts, &device)?;
        Ok(Self { config, setup, ready, labelled, objective, identity, device, parts, group })
    }

    /// What a network gives where it trains, and where it validates.
    fn score<const N: usize>(&self, network: &Network, parts: [bool; N]) -> [Box<dyn Tally>; N] {
        let batch = (&self.setup.inputs, self.config.recipe.batch);
        score(network, &self.ready, batch, parts.map(|validates| (self.objective.tally(), validates)))
    }
}

impl Learner for Run<'_> {
    type Network = Network;

    fn network(&self) -> Result<Network, TrainError> {
        self.setup.network(self.config, &self.device)
    }

    fn optimiser(&self, network: &Network, recipe: &crate::Recipe) -> ModuleOptimizer {
        layered(network, recipe.weight_decay, recipe.clip, self.config.layer_decay)
    }

    fn watch(&self, network: &Network, step: usize) -> Option<(f64, usize)> {
        let stopping = self.config.early_stopping.filter(|stopping| step.is_multiple_of(stopping.every))?;
        let network = network.valid().to_device(&Device::flex());
        let [validation] = self.score(&network, [true]);
        // What cannot be said is no better than anything.
        Some((validation.scores().main().unwrap_or(f64::NEG_INFINITY), stopping.patience))
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
