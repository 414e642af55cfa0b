//! The fine-tuning loop for segmentation.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use rand::seq::SliceRandom;
use skysense_contract::{Modality, Offer, sha256_bytes};
use skysense_model::{Checkpointing, Tape};

use crate::batch::stack;
use crate::checkpoint::{Checkpoints, State};
use crate::dataset::{Legend, Prepared, class_counts, labelled_blocks, mark, prepare};
use crate::loss::{ClassWeights, cross_entropy, median_frequency};
use crate::loss_scale::LossScale;
use crate::network::{Network, seeded};
use crate::optimiser::adamw;
use crate::random::{Purpose, rng};
use crate::schedule::Schedule;
use crate::score::score;
use crate::setup::{Setup, setup};
use crate::split::Split;
use crate::{FinetuneConfig, Hooks, Progress, Sample, TrainError, Trained};

/// Steps after which the number of steps is fitted to a time budget, again and again: a machine that slows down
/// must still keep to it. The first step is not timed, for it also warms up.
const TIMED: usize = 4;

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
    let setup = setup(samples, offers, config)?;
    let legend = Legend { classes: &config.classes, ignore: &config.ignore };
    let mut ready = prepare(samples, &setup.inputs, &setup.bands, setup.chip_size, legend)?;
    let blocks = labelled_blocks(samples, &ready, config.block);
    let split = Split::new(config.block, config.validation, &blocks, config.seed);
    mark(samples, &mut ready, &split);
    let run = Run::new(samples, ready, setup, config, device.autodiff())?;
    let started = Instant::now();
    let (network, state) = run.train(hooks, started)?;
    let network = network.valid().to_device(&Device::flex());
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
}

impl<'a> Run<'a> {
    fn new(
        samples: &[Sample],
        ready: Vec<Prepared>,
        setup: Setup,
        config: &'a FinetuneConfig,
        device: Device,
    ) -> Result<Self, TrainError> {
        let trains = |sample: &Prepared| {
            !sample.series.is_empty() && sample.targets.iter().any(|t| t.class.is_some() && !t.validates)
        };
        let labelled: Vec<usize> = (0..ready.len()).filter(|index| trains(&ready[*index])).collect();
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
        Ok(Self { config, setup, ready, labelled, weights, identity, device })
    }

    fn train(&self, hooks: &mut dyn Hooks, started: Instant) -> Result<(Network, State), TrainError> {
        let checkpoints = self.config.checkpoint.as_deref().map(Checkpoints::new);
        let mut network = self.setup.network(self.config, &self.device)?;
        let mut optimiser = adamw(&network, self.config.weight_decay, self.config.clip);
        let mut state = State {
            identity: self.identity.clone(),
            step: 0,
            steps: self.config.steps,
            scale: LossScale::new(self.config.precision),
            losses: Vec::new(),
        };
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
            (network, loss) = self.step(network, &mut optimiser, &mut state.scale, (state.step, rate))?;
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

    fn schedule(&self, steps: usize) -> Schedule {
        let warm_up = (self.config.warm_up * steps as f64).ceil() as usize;
        Schedule { peak: self.config.learning_rate, warm_up, steps }
    }

    fn step(
        &self,
        network: Network,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Network, f32), TrainError> {
        let samples = self.draw(step);
        let batch = stack(&samples, &self.setup.inputs, &self.weights, false, &self.device);
        // Stochastic depth draws from the device's generator; seeded here, a step depends on its number alone.
        let seed = self.config.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(step as u64);
        let FinetuneConfig { precision, checkpointing, frozen, .. } = *self.config;
        let diverged = || TrainError::Diverged { step, rate };
        let (value, gradients) = seeded(&self.device, seed, || {
            // Nothing of a frozen encoder is kept anyway.
            let tape = Tape::new(if frozen { Checkpointing::Off } else { checkpointing }, seed);
            let logits = network.logits_on(&tape, &batch, precision, frozen);
            let loss = cross_entropy(logits, batch.classes, batch.weights);
            let value = loss.clone().into_scalar::<f32>();
            if !value.is_finite() {
                return Err(diverged());
            }
            let loss = scale.scale(loss);
            let gradients = if frozen { tape.backward(&loss, &network.head) } else { tape.backward(&loss, &network) };
            Ok((value, gradients))
        })?;
        // A step whose gradients left the range of half precision is left out, and the scale is lower from then on.
        let network = match scale.unscale(gradients, &network) {
            Some(gradients) => optimiser.step(rate, network, gradients),
            None if scale.spent() => return Err(diverged()),
            None => network,
        };
        Ok((network, value))
    }

    /// The samples of a step: every sample once an epoch, in an order of that epoch, each augmented anew.
    fn draw(&self, step: usize) -> Vec<Prepared> {
        let count = self.labelled.len();
        let batch = self.config.batch.min(count);
        let mut augment = rng(self.config.seed, Purpose::Augment, step);
        let mut drawn = Vec::with_capacity(batch);
        let mut order: Option<(usize, Vec<usize>)> = None;
        for at in step * batch..(step + 1) * batch {
            let epoch = at / count;
            if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
                let mut shuffled = self.labelled.clone();
                shuffled.shuffle(&mut rng(self.config.seed, Purpose::Order, epoch));
                order = Some((epoch, shuffled));
            }
            if let Some((_, order)) = &order {
                drawn.push(self.config.augmentation.draw(&self.ready[order[at % count]], &mut augment));
            }
        }
        drawn
    }
}

/// Steps in all that fit into the seconds left, when one takes `one`: fewer when the machine slows down, more again
/// when it recovers, never more than `most`.
fn fitted(done: usize, one: f64, left: f64, most: usize) -> usize {
    (done + (left.max(0.0) / one.max(1e-6)) as usize).min(most)
}

/// Checksum of all that decides the weights.
fn identity(ready: &[Prepared], setup: &Setup, config: &FinetuneConfig) -> String {
    let mut bytes = serde_json::to_vec(config).unwrap_or_default();
    bytes.extend(format!("{:?} {}", setup.inputs, setup.chip_size).bytes());
    for sample in ready {
        for (modality, series) in &sample.series {
            bytes.extend(modality.name().bytes());
            bytes.extend(series.days.iter().flat_map(|day| day.to_le_bytes()));
            bytes.extend(series.pixels.iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes.extend(sample.targets.iter().flat_map(|t| [t.class.unwrap_or(u8::MAX), u8::from(t.validates)]));
    }
    sha256_bytes(&bytes)
}

fn save(network: &Network, optimiser: &ModuleOptimizer, folder: &Path) -> Result<(), TrainError> {
    let fault = |error: burn::store::RecordError| checkpoint_fault(folder, error.to_string());
    network.clone().save_file(folder.join("model.bpk")).map_err(fault)?;
    optimiser.save(folder.join("optimizer.bpk")).map_err(fault)
}

/// Loads weights with the ids of their parameters, and then the moments that belong to these ids.
fn load(
    network: Network,
    folder: &Path,
    optimiser: impl FnOnce(&Network) -> ModuleOptimizer,
) -> Result<(Network, ModuleOptimizer), TrainError> {
    let fault = |error: burn::store::RecordError| checkpoint_fault(folder, error.to_string());
    let network = network.try_load_file(folder.join("model.bpk")).map_err(fault)?;
    let optimiser = optimiser(&network).load(folder.join("optimizer.bpk")).map_err(fault)?;
    Ok((network, optimiser))
}

fn checkpoint_fault(folder: &Path, message: String) -> TrainError {
    TrainError::Checkpoint { path: folder.to_path_buf(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_the_time_that_is_left_both_ways() {
        assert_eq!(fitted(4, 1.0, 10.0, 100), 14);
        assert_eq!(fitted(8, 2.0, 6.0, 100), 11, "a machine that slows down");
        assert_eq!(fitted(10, 0.25, 4.0, 100), 26, "and one that recovers");
        assert_eq!(fitted(10, 0.25, 400.0, 100), 100, "never more than were asked for");
        assert_eq!(fitted(10, 1.0, -3.0, 100), 10, "none when time is over");
    }
}
