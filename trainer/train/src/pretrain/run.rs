//! Steps of pretraining, as the loop of all trainings takes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use skysense_collective::Group;
use skysense_contract::sha256_bytes;
use skysense_model::{Precision, SkySenseConfig};

use super::loader::{Loaded, Loader, Skipped};
use super::network::{Network, Order, encoder};
use super::part::{Part, Sums, Totals, Work};
use super::stream::{Level, Stream};
use super::{Measures, PretrainConfig, inspect};
use crate::adamw::{AdamW, Decay};
use crate::checkpoint::{Keep, State};
use crate::loss::moved_centre;
use crate::loss_scale::LossScale;
use crate::optimiser::grouped;
use crate::parts::part_seed;
use crate::probe::ProbeView;
use crate::schedule::cosine;
use crate::setup::Setup;
use crate::steps::{Learner, step_seed};
use crate::{Hooks, Recipe, TrainError, together};

/// What does not change while a run goes on.
pub(super) struct Run<'a> {
    pub(super) config: &'a PretrainConfig,
    pub(super) setup: &'a Setup,
    pub(super) sizes: &'a SkySenseConfig,
    pub(super) order: Order,
    pub(super) loader: &'a Loader<'a>,
    /// Places of an epoch.
    pub(super) count: usize,
    pub(super) checksum: &'a str,
    pub(super) device: Device,
    pub(super) group: Arc<dyn Group>,
    pub(super) decay: Decay,
    /// Labelled samples as the model sees them, and steps between two looks at them.
    pub(super) probing: Option<(ProbeView<'a>, usize)>,
    /// Told after each step.
    pub(super) told: Mutex<Told>,
}

/// What a step leaves to be told.
#[derive(Debug, Default)]
pub(super) struct Told {
    values: BTreeMap<String, f64>,
    skipped: Vec<(String, String)>,
    /// Places left out in all.
    left_out: usize,
}

impl Run<'_> {
    /// Checksum of all that decides the weights.
    pub(super) fn identity(&self) -> String {
        let mut bytes = serde_json::to_vec(self.config).unwrap_or_default();
        let Setup { inputs, chip_size, .. } = self.setup;
        bytes.extend(format!("{} {inputs:?} {chip_size} {}", self.setup.start(), self.checksum).bytes());
        sha256_bytes(&bytes)
    }

    /// Where a step stands in the run, 0 to 1. With a time budget the number of steps that were asked for counts, so that
    /// a step depends on its number alone.
    fn along(&self, step: usize) -> f64 {
        step as f64 / self.config.recipe.steps.saturating_sub(1).max(1) as f64
    }

    fn temperature(&self, step: usize) -> f64 {
        let super::config::Sharpness { teacher_start, teacher, warm_up, .. } = self.config.temperatures;
        let along = if warm_up > 0.0 { (self.along(step) / warm_up).min(1.0) } else { 1.0 };
        teacher_start + (teacher - teacher_start) * along
    }

    fn momentum(&self, step: usize) -> f64 {
        cosine(self.config.momentum.start, self.config.momentum.end, self.along(step))
    }

    /// Losses and gradients of a step of all processes, part after part. All come to as many parts, though one may have
    /// fewer places for them.
    fn gradients(
        &self,
        network: &Network,
        loaded: &Loaded,
        scale: &LossScale,
        step: usize,
    ) -> Result<(Sums, Option<GradientsParams>), TrainError> {
        let (group, accumulate) = (&*self.group, self.config.accumulate);
        let size = loaded.places.len().div_ceil(self.config.accumulate).max(1);
        let shared = loaded.places.chunks(size).chain(std::iter::repeat(&[][..]));
        // One process alone has no others to meet in a part without places.
        let count = if group.size() > 1 { accumulate } else { loaded.places.len().div_ceil(size) };
        let parts: Vec<Part<'_>> =
            shared.take(count).map(|places| Part::new(places, &self.order, self.config)).collect();
        let mut totals = Totals::default();
        parts.iter().for_each(|part| totals.join(part.totals(self.config)));
        let totals = totals.of_all(group, &self.order)?;
        let seed = step_seed(self.config.recipe.seed, step);
        let (mut sums, mut gathered) = (Sums::default(), GradientsAccumulator::<super::network::Branch>::new());
        let mut any = false;
        for (index, part) in parts.iter().enumerate() {
            let work = Work {
                config: self.config,
                inputs: &self.setup.inputs,
                order: &self.order,
                device: &self.device,
                temperature: self.temperature(step),
                seed: part_seed(seed, group.rank() * accumulate + index),
                group,
            };
            let (of_part, gradients) = part.work(&work, network, &totals, scale)?;
            let finite = of_part.loss.is_finite();
            sums.join(of_part);
            if together::any(group, !finite)? {
                sums.loss = f64::NAN;
                return Ok((sums, None));
            }
            if let Some(gradients) = gradients {
                gathered.accumulate(&network.student, gradients);
                any = true;
            }
        }
        let device = self.device.clone().inner();
        let sums = sums.of_all(group, &totals, (self.config.heads.outputs, &device))?;
        if !together::any(group, any)? {
            return Ok((sums, None));
        }
        let mine = if any { gathered.grads() } else { GradientsParams::new() };
        Ok((sums, Some(together::sum_gradients(group, mine, &network.student)?)))
    }

    /// Centre, prototypes and teacher after the student's step.
    fn follow(&self, mut network: Network, sums: &Sums, step: usize) -> Network {
        for (term, outputs) in &sums.outputs {
            let centre = network.centre(&self.order, *term);
            let moved = moved_centre(centre, outputs.sum.clone(), outputs.count, self.config.centring);
            network.set_centre(&self.order, *term, moved);
        }
        if let (Some(prototypes), Some(context)) = (self.config.prototypes, &network.teacher.encoder.geo_context) {
            let (mut table, mut visits) = (context.prototypes(), network.visits());
            let (mut averages, mut chips) = (Vec::new(), Vec::new());
            for (of_part, regions) in &sums.prototypes {
                averages.push(of_part.clone());
                chips.extend(regions.iter().copied());
            }
            if !averages.is_empty() {
                let chips: Vec<(usize, usize)> = chips.into_iter().enumerate().collect();
                table = prototypes.update.moved(table, &Tensor::cat(averages, 0), &chips, &mut visits);
                network.set_prototypes(table, visits);
            }
        }
        network.follow(self.momentum(step))
    }

    fn measures(&self, sums: &Sums) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::from([("loss".to_owned(), sums.loss)]);
        for level in Level::ALL {
            let of_level: Vec<(Stream, f64)> = sums
                .losses
                .iter()
                .filter(|((_, of), _)| *of == level)
                .map(|((stream, _), loss)| (*stream, *loss))
                .collect();
            for (stream, loss) in &of_level {
                let _new = values.insert(format!("loss.{}.{stream}", level.name()), *loss);
            }
            if !of_level.is_empty() {
                let mean = of_level.iter().map(|(_, loss)| loss).sum::<f64>() / of_level.len() as f64;
                let _new = values.insert(format!("loss.{}", level.name()), mean);
            }
        }
        if self.config.alignment.weight > 0.0 {
            let _new = values.insert("loss.alignment".into(), sums.alignment);
        }
        // Features of all levels count alike here: each term by its own mean.
        let most = (self.config.heads.outputs as f64).ln();
        let mut by_stream: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
        for ((stream, _), outputs) in sums.outputs.iter().filter(|(_, outputs)| outputs.count > 0.0) {
            let mean = outputs.targets.clone() / outputs.count;
            let spread: f64 =
                mean.into_data().iter::<f32>().map(f64::from).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
            let both = [outputs.entropy / outputs.count / most, spread / most];
            by_stream.entry(format!(".{stream}")).or_default().push(both);
            by_stream.entry(String::new()).or_default().push(both);
        }
        for (stream, all) in by_stream {
            for (at, name) in ["teacher_entropy", "teacher_spread"].into_iter().enumerate() {
                let mean = all.iter().map(|both| both[at]).sum::<f64>() / all.len() as f64;
                let _new = values.insert(format!("{name}{stream}"), mean);
            }
        }
        values
    }

    /// Places that any process left out, with why.
    fn skipped(&self, mine: Vec<Skipped>) -> Result<Vec<(String, String)>, TrainError> {
        let mine: Vec<(String, String)> =
            mine.into_iter().map(|skipped| (skipped.index.to_string(), skipped.why)).collect();
        let told = serde_json::to_vec(&mine).unwrap_or_default();
        let all = self.group.gather(&told)?;
        let read = |told: &Vec<u8>| serde_json::from_slice::<Vec<(String, String)>>(told).unwrap_or_default();
        Ok(all.iter().flat_map(read).collect())
    }

    /// What the teacher's features are worth: after the first step, every so many steps and after the last one.
    fn probed(&self, network: &Network, step: usize) -> Result<BTreeMap<String, f64>, TrainError> {
        let Some((view, every)) = self.probing.as_ref().filter(|_| self.group.rank() == 0) else {
            return Ok(BTreeMap::new());
        };
        let done = step + 1;
        if done != 1 && done != self.config.recipe.steps && !done.is_multiple_of(*every) {
            return Ok(BTreeMap::new());
        }
        let teacher = network.teacher.encoder.clone().to_device(&Device::flex());
        Ok(view.scores(&teacher)?.measures())
    }

    /// Writes what a loss that is not finite came from, and names it.
    fn diverged(&self, loaded: &Loaded, (step, rate): (usize, f64)) -> TrainError {
        let places: Vec<String> = loaded.places.iter().map(|views| views.name.clone()).collect();
        let folder: Option<PathBuf> = self.config.recipe.checkpoint.clone();
        let saved = folder.map(|folder| inspect::save(&loaded.places, step, &folder));
        let saved = match saved {
            Some(Ok(path)) => format!("; the batch is in {}", path.display()),
            Some(Err(error)) => format!("; the batch could not be written: {error}"),
            None => String::new(),
        };
        TrainError::DivergedOn { step, rate, places: places.join(", "), saved }
    }
}

impl Learner for Run<'_> {
    type Network = Network;

    fn network(&self) -> Result<Network, TrainError> {
        // On the CPU, so that a seed gives the same weights on every device.
        let cpu = Device::flex().autodiff();
        let encoder = encoder(self.setup, self.sizes, self.config.recipe.seed, &cpu)?;
        let encoder = if self.device == cpu { encoder } else { encoder.fork(&self.device) };
        Ok(Network::new(encoder, &self.order, self.config, &self.device))
    }

    fn optimiser(&self, network: &Network, recipe: &Recipe) -> ModuleOptimizer {
        let [first, second] = self.config.betas;
        let with = |decay: &Decay| {
            let mut optimiser = AdamW::following(decay);
            optimiser.betas = [first as f32, second as f32];
            optimiser.epsilon = self.config.epsilon as f32;
            optimiser
        };
        grouped(&network.student, [with(&self.decay), with(&Decay::new(0.0))], recipe.clip)
    }

    fn precision(&self) -> Precision {
        self.config.compute.precision
    }

    fn keep(&self) -> Keep {
        Keep { older: self.config.keep - 1, best: true }
    }

    fn step(
        &self,
        mut network: Network,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Network, f32), TrainError> {
        let started = Instant::now();
        let loaded =
            self.loader.step(step).ok_or_else(|| TrainError::Model("a thread that loads places ended".into()))?;
        let all = together::sum(&*self.group, loaded.places.len() as f64)?;
        if all == 0.0 {
            let why = loaded.skipped.first().map_or_else(String::new, |skipped| skipped.why.clone());
            return Err(TrainError::NoPlaces { step, why });
        }
        let (sums, gradients) = self.gradients(&network, &loaded, scale, step)?;
        if !sums.loss.is_finite() {
            return Err(self.diverged(&loaded, (step, rate)));
        }
        let mut norm = None;
        if let Some(gradients) = gradients {
            // A step whose gradients left the range of half precision is left out, and the scale is lower from then on.
            match scale.unscale(gradients, &network.student) {
                Some(mut gradients) => {
                    let epoch = step as f64 * self.loader.batch() as f64 / self.count as f64;
                    if epoch < self.config.freeze_last {
                        network.student.pause_last(&mut gradients);
                    }
                    norm = Some(size(&network.student, &gradients));
                    let recipe = &self.config.recipe;
                    self.decay.set(cosine(recipe.weight_decay, self.config.weight_decay_end, self.along(step)));
                    network.student = optimiser.step(rate, network.student, gradients);
                    network = self.follow(network, &sums, step);
                }
                None if scale.spent() => return Err(self.diverged(&loaded, (step, rate))),
                None => {}
            }
        }
        let mut values = self.measures(&sums);
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let recipe = &self.config.recipe;
        values.extend(
            [
                ("learning_rate", rate),
                ("weight_decay", cosine(recipe.weight_decay, self.config.weight_decay_end, self.along(step))),
                ("teacher_momentum", self.momentum(step)),
                ("teacher_temperature", self.temperature(step)),
                ("waiting", loaded.waited.as_secs_f64() / seconds),
                ("step_seconds", seconds),
                ("places_per_second", all / seconds),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        values.extend(norm.map(|norm| ("gradient_norm".to_owned(), norm)));
        let skipped = self.skipped(loaded.skipped)?;
        values.extend(self.probed(&network, step)?);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.left_out += skipped.len();
        let _new = values.insert("skipped".into(), told.left_out as f64);
        told.skipped.extend(skipped);
        told.values = values;
        Ok((network, sums.loss as f32))
    }

    fn tell(&self, state: &State, hooks: &mut dyn Hooks) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, why) in told.skipped.drain(..) {
            hooks.skipped(&place, &why);
        }
        let epoch = state.step as f64 * self.loader.batch() as f64 / self.count as f64;
        let values = std::mem::take(&mut told.values);
        hooks.measured(&Measures { step: state.step, steps: state.steps, epoch, values });
    }
}

/// Norm of all gradients together.
fn size<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    let mut squares = Squares { gradients, sum: 0.0 };
    module.visit(&mut squares);
    squares.sum.sqrt()
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}
