//! All runs of a contest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use skysense_baseline::{ForestConfig, NetworkConfig, TsvitConfig, Unet3dConfig, UnetConfig};
use skysense_collective::Alone;
use skysense_contract::{Class, Input, Modality, Offer};
use skysense_metric::{Confusion, Scores};

use super::config::{Rival, RivalsConfig};
use super::ground::Ground;
use super::learner::NetworkRun;
use super::outcome::{Measured, Outcome, RivalEntry, RivalScores};
use super::pixels::PixelRival;
use super::series::{bands, check, series};
use crate::batch::stack;
use crate::dataset::Prepared;
use crate::finetune::Run;
use crate::parts::Parts;
use crate::pool::Pool;
use crate::probe::Linear;
use crate::setup::setup;
use crate::steps;
use crate::{FinetuneConfig, Hooks, Progress, Sample, TrainError};

/// Trains all rivals with each seed and each share of the labels, and scores them on regions that they did not learn from.
/// `tell` hears rival, share and seed before each run, and ends the contest with `false`; it is asked again at every step.
///
/// # Errors
/// Settings out of range, samples that do not fit, packages that cannot be used, and [`TrainError::Cancelled`].
pub fn contest(
    samples: &[Sample],
    offers: &BTreeMap<Modality, Offer>,
    (classes, ignore): (&[Class], &[u8]),
    config: &RivalsConfig,
    tell: &dyn Fn(&str, f64, u64) -> bool,
) -> Result<Outcome, TrainError> {
    config.check()?;
    config.recipe(None, 0).check()?;
    let ground = Ground { samples, offers, classes, ignore };
    let mut entries = Vec::new();
    for (name, rival) in &config.rivals {
        let mut shares = Vec::new();
        let mut timed: Option<Measured> = None;
        for share in &config.shares {
            let mut scores = Vec::new();
            for (at, seed) in config.seeds.iter().enumerate() {
                let more = || tell(name, *share, *seed);
                if !more() {
                    return Err(TrainError::Cancelled { step: 0 });
                }
                let measured = one(&ground, config, rival, (*share, at, *seed), &more)?;
                scores.push(measured.scores.clone());
                // With the most labels: what the table tells of speed is of the largest training.
                if at == 0 && config.shares.iter().all(|other| other <= share) {
                    timed = Some(measured);
                }
            }
            shares.push(RivalScores { share: *share, scores });
        }
        let Some(Measured { parameters, step, trained, chip, .. }) = timed else { continue };
        entries.push(RivalEntry {
            name: name.clone(),
            parameters,
            step_ms: step.map(|seconds| 1e3 * seconds),
            training_seconds: trained,
            chip_ms: 1e3 * chip,
            shares,
        });
    }
    let (seeds, shares) = (config.seeds.clone(), config.shares.clone());
    Ok(Outcome { chips: samples.len(), steps: config.steps, seeds, shares, entries })
}

/// One run.
fn one(
    ground: &Ground<'_>,
    config: &RivalsConfig,
    rival: &Rival,
    (share, at, seed): (f64, usize, u64),
    more: &dyn Fn() -> bool,
) -> Result<Measured, TrainError> {
    let start = match rival {
        Rival::Model(starts) => RivalsConfig::start(starts, at),
        _ => None,
    };
    let recipe = config.recipe(start, seed);
    let setup = setup(ground.samples, ground.offers, &recipe)?;
    let mut ready = ground.ready(&setup)?;
    ground.share_out(&mut ready, (config.block, config.validation), (config.square, share), seed)?;
    let classes = ground.classes.len();
    let network = |network: fn(usize, usize, usize) -> NetworkConfig| {
        check(&setup.inputs)?;
        of_network(
            network(bands(&setup.inputs), classes, setup.chip_size),
            &recipe,
            (&ready, &setup.inputs),
            classes,
            more,
        )
    };
    match rival {
        Rival::Model(_) => {
            let mut tuning = FinetuneConfig::new("rival", ground.classes.to_vec());
            tuning.ignore = ground.ignore.to_vec();
            tuning.recipe = recipe;
            let inputs = setup.inputs.clone();
            let device = Device::flex().autodiff();
            // What was shared out is looked at again to score it.
            let run = Run::new(Pool::held(ready.clone()), setup, &tuning, (device, Arc::new(Alone)))?;
            let mut watch = Watch::new(more);
            let (network, _) = steps::run(&tuning.recipe, &run, "rival", &mut watch)?;
            let network = network.valid().to_device(&Device::flex());
            let outputs = |group: &[&Prepared]| Ok(network.outputs(&stack(group, &inputs, &Device::flex())));
            watch.measured(scored(&ready, classes, tuning.recipe.batch, outputs)?, network.num_params())
        }
        Rival::Unet => network(|bands, classes, _| NetworkConfig::Unet(UnetConfig::small(bands, classes))),
        Rival::Unet3d => network(|bands, classes, _| NetworkConfig::Unet3d(Unet3dConfig::small(bands, classes))),
        Rival::Tsvit => network(|bands, classes, side| NetworkConfig::Tsvit(TsvitConfig::small(bands, classes, side))),
        Rival::Forest(trees) => {
            let forest = ForestConfig { trees: *trees, seed, ..ForestConfig::default() };
            PixelRival::Forest(forest).measure(&ready, &setup.inputs, classes)
        }
        Rival::Logistic => PixelRival::Logistic(Linear::default()).measure(&ready, &setup.inputs, classes),
    }
}

/// The run of a network of others.
fn of_network(
    network: NetworkConfig,
    recipe: &crate::Recipe,
    (ready, inputs): (&[Prepared], &BTreeMap<Modality, Input>),
    classes: usize,
    more: &dyn Fn() -> bool,
) -> Result<Measured, TrainError> {
    let labelled: Vec<usize> = (0..ready.len()).filter(|index| ready[*index].trains()).collect();
    if labelled.is_empty() {
        return Err(TrainError::NoLabels { hint: format!("{} chips, none with a label that is kept", ready.len()) });
    }
    let device = Device::flex().autodiff();
    let parts = Parts::new(recipe.parts, &device)?;
    let weights = vec![1.0; classes];
    let run = NetworkRun { network, recipe, ready, labelled: &labelled, inputs, weights, device, parts };
    let mut watch = Watch::new(more);
    let (network, _) = steps::run(recipe, &run, "rival", &mut watch)?;
    let network = network.valid().to_device(&Device::flex());
    let outputs = |group: &[&Prepared]| {
        let series = series(group, inputs, &Device::flex())?;
        network.forward(&series).map_err(|error| TrainError::Model(error.to_string()))
    };
    watch.measured(scored(ready, classes, recipe.batch, outputs)?, network.num_params())
}

/// Scores over what validates, and seconds of a chip.
fn scored(
    ready: &[Prepared],
    classes: usize,
    batch: usize,
    outputs: impl Fn(&[&Prepared]) -> Result<Tensor<4>, TrainError>,
) -> Result<(Scores, f64), TrainError> {
    let counts = |sample: &&Prepared| {
        !sample.series.is_empty() && sample.targets.iter().any(|target| target.validates && target.class.is_some())
    };
    let seen: Vec<&Prepared> = ready.iter().filter(counts).collect();
    if let Some(first) = seen.chunks(batch).next() {
        // The first pass lays out what the others use again.
        outputs(first)?.into_data();
    }
    let (mut confusion, mut seconds) = (Confusion::new(classes), 0.0);
    for group in seen.chunks(batch) {
        let begun = Instant::now();
        let logits: Vec<f32> = outputs(group)?.into_data().iter::<f32>().collect();
        seconds += begun.elapsed().as_secs_f64();
        for (sample, logits) in group.iter().zip(logits.chunks(logits.len() / group.len())) {
            let area = sample.size * sample.size;
            for (place, target) in sample.targets.iter().enumerate().filter(|(_, target)| target.validates) {
                let Some(class) = target.class else { continue };
                let values = logits.iter().skip(place).step_by(area).enumerate();
                let larger = |best: (usize, f32), (at, value): (usize, &f32)| match *value > best.1 {
                    true => (at, *value),
                    false => best,
                };
                confusion.add(usize::from(class), values.fold((0, f32::NEG_INFINITY), larger).0);
            }
        }
    }
    Ok((confusion.scores(), seconds / seen.len().max(1) as f64))
}

/// Takes the time of each step, and asks whether to go on.
struct Watch<'a> {
    begun: Instant,
    last: Option<Instant>,
    steps: Vec<f64>,
    more: &'a dyn Fn() -> bool,
}

impl<'a> Watch<'a> {
    fn new(more: &'a dyn Fn() -> bool) -> Self {
        Self { begun: Instant::now(), last: None, steps: Vec::new(), more }
    }

    /// The first step is left out: it warms up.
    fn measured(mut self, (scores, chip): (Scores, f64), parameters: usize) -> Result<Measured, TrainError> {
        self.steps.sort_by(f64::total_cmp);
        let step = self.steps.get(self.steps.len() / 2).copied();
        let trained = self.last.map_or(0.0, |last| (last - self.begun).as_secs_f64());
        Ok(Measured { scores, parameters: parameters as u64, step, trained, chip })
    }
}

impl Hooks for Watch<'_> {
    fn progress(&mut self, _: &Progress) {
        let now = Instant::now();
        if let Some(last) = self.last {
            self.steps.push((now - last).as_secs_f64());
        }
        self.last = Some(now);
    }

    fn cancelled(&self) -> bool {
        !(self.more)()
    }
}
