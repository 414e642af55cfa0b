//! The fine-tuning loop for segmentation.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use skysense_contract::{Modality, Offer, sha256_bytes};

use crate::batch::stack;
use crate::dataset::{Legend, Prepared, class_counts, labelled_blocks, mark, prepare};
use crate::draw::Draw;
use crate::loss::{ClassWeights, cross_entropy, median_frequency};
use crate::network::{Network, seeded};
use crate::score::score;
use crate::setup::{Setup, setup};
use crate::split::Split;
use crate::steps::{Learner, step_seed};
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
    let setup = setup(samples, offers, (&config.start, config.normalisation, config.calendar))?;
    let legend = Legend { classes: &config.classes, ignore: &config.ignore };
    let mut ready = prepare(samples, &setup.inputs, &setup.bands, setup.chip_size, legend)?;
    let blocks = labelled_blocks(samples, &ready, config.block);
    let split = Split::new(config.block, config.validation, &blocks, config.seed);
    mark(samples, &mut ready, &split);
    let run = Run::new(samples, ready, setup, config)?;
    let started = Instant::now();
    let (network, state) = config.pace().run(&run, &run.identity, hooks)?;
    let network = network.valid();
    let (training, validation) = score(&network, &run.ready, &run.setup.inputs, config.classes.len(), config.batch);
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
    /// A step runs on one of the threads that share its work: called from another, each of its hundreds of operations
    /// would wait for a thread to wake, and its caller to wake again. A pool of this run alone: a thread that waits takes
    /// up other work of its pool, and must not take up a step of another run while it holds the generator.
    pool: rayon::ThreadPool,
}

impl<'a> Run<'a> {
    fn new(
        samples: &[Sample],
        ready: Vec<Prepared>,
        setup: Setup,
        config: &'a FinetuneConfig,
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
        let pool = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build();
        let pool = pool.map_err(|error| TrainError::Model(format!("no threads to train on: {error}")))?;
        Ok(Self { config, setup, ready, labelled, weights, identity, device: Device::flex().autodiff(), pool })
    }
}

<<<<<<< HEAD
impl Learner for Run<'_> {
    type Network = Network;
=======
    fn train(&self, hooks: &mut dyn Hooks, started: Instant) -> Result<(Network, State), TrainError> {
        let checkpoints = self.config.checkpoint.as_deref().map(Checkpoints::new);
        let mut network = self.setup.network(self.config, &self.device)?;
        let mut optimiser = adamw(&network, self.config.weight_decay, self.config.clip);
        let mut state =
            State { identity: self.identity.clone(), step: 0, steps: self.config.steps, losses: Vec::new() };
        if let Some((path, found)) =
            checkpoints.as_ref().and_then(|c| c.latest(&self.identity).transpose()).transpose()?
        {
            (network, optimiser) =
                load(network, &path, |network| adamw(network, self.config.weight_decay, self.config.clip))?;
            tracing::info!(step = found.step, "going on from a checkpoint");
            state = found;
        }
        let mut timed = None;
        while state.step < state.steps {
            if hooks.cancelled() {
                if let Some(checkpoints) = &checkpoints {
                    checkpoints.write(&state, |path| save(&network, &optimiser, path))?;
                }
                return Err(TrainError::Cancelled { step: state.step });
            }
            let rate = self.schedule(state.steps).rate(state.step);
            let loss;
            (network, loss) = self.pool.install(|| self.step(network, &mut optimiser, (state.step, rate)))?;
            state.losses.push(loss);
            state.step += 1;
            let (since, first) = *timed.get_or_insert_with(|| (Instant::now(), state.step));
            if let Some(seconds) = self.config.seconds
                && state.step > first
                && (state.step - first).is_multiple_of(TIMED)
            {
                let one = since.elapsed().as_secs_f64() / (state.step - first) as f64;
                let left = seconds - started.elapsed().as_secs_f64();
                state.steps = fitted(state.step, one, left, self.config.steps);
            }
            hooks.progress(&Progress { step: state.step, steps: state.steps, loss, learning_rate: rate });
            if let Some(checkpoints) = &checkpoints
                && (state.step.is_multiple_of(self.config.every.max(1)) || state.step == state.steps)
            {
                checkpoints.write(&state, |path| save(&network, &optimiser, path))?;
            }
        }
        Ok((network, state))
    }
>>>>>>> h4

    fn network(&self) -> Result<Network, TrainError> {
        self.setup.network(self.config, &self.device)
    }

    fn step(
        &self,
        network: Network,
        optimiser: &mut ModuleOptimizer,
        (step, rate): (usize, f64),
    ) -> Result<(Network, f32), TrainError> {
        let draw = Draw {
            ready: &self.ready,
            training: &self.labelled,
            batch: self.config.batch,
            seed: self.config.seed,
            augmentation: &self.config.augmentation,
        };
        let samples: Vec<Prepared> = draw.step(step).into_iter().map(|(_, sample, _)| sample).collect();
        let batch = stack(&samples, &self.setup.inputs, &self.weights, false, &self.device);
        // Stochastic depth draws from the device's generator; seeded here, a step depends on its number alone.
        let logits =
            seeded(&self.device, step_seed(self.config.seed, step), || network.logits(&batch, self.config.frozen));
        let loss = cross_entropy(logits, batch.classes, batch.weights);
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, rate });
        }
        let mut gradients = loss.backward();
        let gradients = if self.config.frozen {
            network.head_gradients(&mut gradients)
        } else {
            GradientsParams::from_module(&mut gradients, &network)
        };
        Ok((optimiser.step(rate, network, gradients), value))
    }
}

/// Checksum of all that decides the weights.
fn identity(ready: &[Prepared], setup: &Setup, config: &FinetuneConfig) -> String {
    let mut bytes = serde_json::to_vec(config).unwrap_or_default();
    bytes.extend(format!("{:?} {}", setup.inputs, setup.chip_size).bytes());
    ready.iter().for_each(|sample| sample.tell(&mut bytes));
    sha256_bytes(&bytes)
}
