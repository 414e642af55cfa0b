//! Steps of pretraining, as the loop of all trainings takes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use skysense_collective::Group;
use skysense_contract::sha256_bytes;
use skysense_model::{Precision, SkySenseConfig, Tape, add_gradients};

use super::config::Targets;
use super::loader::{Loaded, Loader, Skipped};
use super::network::{Network, Order, encoder};
use super::part::{Part, Seen, Totals, Work};
use super::stream::{Level, Stream};
use super::sums::Sums;
use super::validation::Validating;
use super::view::Views;
use super::whole::{Said, Whole};
use super::{Measures, PretrainConfig, inspect};
use crate::adamw::{AdamW, Decay};
use crate::checkpoint::{Keep, State};
use crate::loss::moved_centre;
use crate::loss_scale::LossScale;
use crate::optimiser::grouped;
use crate::parts::{Parts, part_seed};
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
    /// How the places of a round are shared out.
    pub(super) parts: Parts,
    pub(super) decay: Decay,
    /// Labelled samples as the model sees them, and steps between two looks at them.
    pub(super) probing: Option<(ProbeView<'a>, usize)>,
    /// Places that nothing is learned from.
    pub(super) validating: Option<Validating<'a>>,
    /// Told after each step.
    pub(super) told: Mutex<Told>,
}

/// Parts of a step that are worked on side by side, each with the seed of what it draws.
struct Round<'a> {
    parts: Vec<(Part<'a>, u64)>,
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

    pub(super) fn temperature(&self, step: usize) -> f64 {
        let super::config::Sharpness { teacher_start, teacher, warm_up, .. } = self.config.temperatures;
        let along = if warm_up > 0.0 { (self.along(step) / warm_up).min(1.0) } else { 1.0 };
        teacher_start + (teacher - teacher_start) * along
    }

    fn momentum(&self, step: usize) -> f64 {
        cosine(self.config.momentum.start, self.config.momentum.end, self.along(step))
    }

    /// Losses and gradients of a step of all processes: rounds one after the other, the parts of a round side by side. All
    /// processes come to as many rounds, though one may have no places for some.
    fn gradients(
        &self,
        network: &Network,
        loaded: &Loaded,
        scale: &LossScale,
        step: usize,
    ) -> Result<(Sums, f64, Option<GradientsParams>), TrainError> {
        let (group, config) = (&*self.group, self.config);
        let work = Work {
            config,
            inputs: &self.setup.inputs,
            order: &self.order,
            device: &self.device,
            temperature: self.temperature(step),
        };
        let rounds: Vec<Round<'_>> = self.rounds(&loaded.places, step);
        let mut totals = Totals::default();
        let parts = || rounds.iter().flat_map(|round| &round.parts);
        parts().for_each(|(part, _)| totals.join(part.totals(config)));
        let totals = totals.of_all(group, &self.order)?;
        let of_whole = !totals.aligned.is_empty() || config.targets != Targets::Centred;
        let mut whole = Whole::default();
        if of_whole && config.accumulate > 1 {
            // What one round keeps for its backward pass goes before the next one.
            let mut said = Vec::new();
            for round in &rounds {
                let seen = self.see(&work, network, round);
                said.extend(round.parts.iter().zip(&seen).map(|((part, _), seen)| part.say(seen, config)));
            }
            whole = Whole::new(&said, &totals, (&work, group))?;
        }
        let (mut sums, mut gathered, mut any, mut from) = (Sums::default(), GradientsParams::new(), false, 0);
        for round in &rounds {
            let seen = self.see(&work, network, round);
            if of_whole && config.accumulate == 1 {
                let said: Vec<Said> =
                    round.parts.iter().zip(&seen).map(|((part, _), seen)| part.say(seen, config)).collect();
                whole = Whole::new(&said, &totals, (&work, group))?;
            }
            let places = |seen: Seen| {
                from += seen.count;
                (from - seen.count, seen)
            };
            let seen: Vec<(usize, Seen)> = seen.into_iter().map(places).collect();
            let learn = |(from, seen): (usize, Seen)| seen.learn(&work, (&whole, from), &totals, scale);
            for (of_part, gradients) in self.parts.each(seen, learn) {
                sums.join(of_part);
                if let Some(mut gradients) = gradients {
                    add_gradients(&network.student, &mut gathered, &mut gradients);
                    any = true;
                }
            }
        }
        let device = self.device.clone().inner();
        let mut sums = sums.of_all(group, &totals, (config.heads.outputs, &device))?;
        let alignment = whole.contrast.loss;
        sums.loss += alignment * config.alignment.weight;
        let alignment = alignment / totals.aligned.len().max(1) as f64;
        // Only now is it told: the others must not be left waiting for this process.
        if together::any(group, !sums.loss.is_finite())? {
            sums.loss = f64::NAN;
            return Ok((sums, alignment, None));
        }
        if !together::any(group, any)? {
            return Ok((sums, alignment, None));
        }
        let gradients = together::sum_gradients(group, gathered, &network.student)?;
        Ok((sums, alignment, Some(gradients)))
    }

    /// The places of a step, dealt to rounds and parts. Parts are numbered through over all processes, so that each draws
    /// for itself.
    fn rounds<'p>(&self, places: &'p [Views], step: usize) -> Vec<Round<'p>> {
        let accumulate = self.config.accumulate;
        let size = places.len().div_ceil(accumulate).max(1);
        let seed = step_seed(self.config.recipe.seed, step);
        let most = self.parts.most();
        let chunks = places.chunks(size).chain(std::iter::repeat(&[][..])).take(accumulate).enumerate();
        let round = |(round, places): (usize, &'p [Views])| {
            let first = (self.group.rank() * accumulate + round) * most;
            let shared = self.parts.share(places.iter().collect());
            let part = |(at, places): (usize, Vec<&'p Views>)| {
                (Part::new(&places, &self.order, self.config), part_seed(seed, first + at))
            };
            Round { parts: shared.into_iter().enumerate().map(part).collect() }
        };
        chunks.map(round).collect()
    }

    /// The forward pass of the parts of a round.
    fn see(&self, work: &Work<'_>, network: &Network, round: &Round<'_>) -> Vec<Seen> {
        let own = |(part, seed)| {
            let mut own = network.clone();
            own.student = self.parts.own(&network.student);
            (part, Tape::new(self.config.compute.checkpointing, seed), own)
        };
        let parts = round.parts.iter().map(|(part, seed)| own((part, *seed))).collect();
        self.parts.each(parts, |(part, tape, network)| part.see(work, network, tape))
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

    pub(super) fn measures(&self, sums: &Sums, alignment: f64) -> BTreeMap<String, f64> {
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
            let _new = values.insert("loss.alignment".into(), alignment);
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
        let Some((view, every)) = &self.probing else { return Ok(BTreeMap::new()) };
        if !self.looks(step, *every) {
            return Ok(BTreeMap::new());
        }
        let teacher = network.teacher.encoder.clone().to_device(&Device::flex());
        Ok(view.scores(&teacher)?.measures())
    }

    /// Whether this process looks at what is not learned from after a step: the first one, every so many and the last one.
    pub(super) fn looks(&self, step: usize, every: usize) -> bool {
        let done = step + 1;
        self.group.rank() == 0 && (done == 1 || done == self.config.recipe.steps || done.is_multiple_of(every))
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
        let (sums, alignment, gradients) = self.gradients(&network, &loaded, scale, step)?;
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
        let mut values = self.measures(&sums, alignment);
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
        values.extend(self.validated(&network, step)?);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.left_out += skipped.len();
        let _new = values.insert("skipped".into(), told.left_out as f64);
        told.skipped.extend(skipped);
        told.values = values;
        Ok((network, sums.loss as f32))
    }

    fn begins(&self, state: &State, hooks: &mut dyn Hooks) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).left_out = state.skipped;
        if state.skipped > 0 {
            hooks.skipped_before(state.skipped);
        }
    }

    fn tell(&self, state: &mut State, hooks: &mut dyn Hooks) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        state.skipped = told.left_out;
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
