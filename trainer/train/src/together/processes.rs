//! Real processes that train as one, against one with the whole batch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, SgdState};
use burn::tensor::{Device, Tensor};
use skysense_collective::{Alone, Group, Local, Place, Tcp};

use crate::dataset::{Legend, labelled_blocks, mark, prepare};
use crate::finetune::Run;
use crate::loss::ClassWeights;
use crate::loss_scale::LossScale;
use crate::pool::Pool;
use crate::pretrain::Targets;
use crate::setup::setup;
use crate::split::Split;
use crate::steps::Learner;
use crate::{FinetuneConfig, Hooks, Progress, Sample, finetune};

#[path = "../../tests/support/fields.rs"]
mod fields;

pub(crate) const STEPS: usize = 20;

/// Samples of which some have labels in a corner alone, so that parts of a batch weigh differently.
fn samples() -> Vec<Sample> {
    let mut samples = fields::samples(6);
    for (index, sample) in samples.iter_mut().enumerate().filter(|(index, _)| index % 2 == 0) {
        let mut labels = sample.labels.classes().to_vec();
        labels.iter_mut().skip(40 + 30 * index).for_each(|label| *label = 0);
        sample.labels = labels.into();
    }
    samples
}

fn config() -> FinetuneConfig {
    let mut config = fields::config(STEPS);
    (config.recipe.batch, config.recipe.every) = (4, 3);
    config.class_weights = ClassWeights::Given(vec![1.0, 0.5, 2.0]);
    config
}

/// Plain gradient descent that keeps the first gradients that it sees, in the order of the network.
#[derive(Debug, Clone)]
pub(crate) struct Descent {
    pub(crate) first: Arc<Mutex<Vec<Vec<f32>>>>,
    /// How many there are.
    pub(crate) most: usize,
}

impl Optimizer for Descent {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        _: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let mut first = self.first.lock().unwrap();
        if first.len() < self.most {
            first.push(gradient.clone().into_data().iter::<f32>().collect());
        }
        (tensor - gradient * rate, None)
    }

    fn to_device<const D: usize>(state: SgdState<D>, _: &Device) -> SgdState<D> {
        state
    }
}

#[derive(Default)]
struct Weights(Vec<f32>, usize);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>());
        self.1 += 1;
    }
}

/// All weights of a module in a row, and how many parameters they are.
pub(crate) fn weights<M: Module>(network: &M) -> (Vec<f32>, usize) {
    let mut weights = Weights::default();
    network.visit(&mut weights);
    (weights.0, weights.1)
}

/// What a rank found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Found {
    pub(crate) gradients: Vec<Vec<f32>>,
    pub(crate) losses: Vec<f32>,
    pub(crate) weights: Vec<f32>,
    pub(crate) outputs: Vec<f32>,
}

/// Steps of gradient descent on the samples.
fn descend(group: Arc<dyn Group>) -> Found {
    let (samples, config) = (samples(), config());
    let setup = setup(&samples, &fields::offers(), &config.recipe).unwrap();
    let legend = Legend { classes: &config.classes, ignore: &config.ignore };
    let mut ready = prepare(&samples, &setup.inputs, &setup.bands, setup.chip_size, legend).unwrap();
    let blocks = labelled_blocks(&samples, &ready, config.recipe.block);
    let split = Split::new(config.recipe.block, config.recipe.validation, &blocks, config.recipe.seed);
    mark(&samples, &mut ready, &split).unwrap();
    let run = Run::new(Pool::held(ready), setup, &config, (Device::flex().autodiff(), group)).unwrap();
    let mut network = run.network().unwrap();
    let first = Arc::new(Mutex::new(Vec::new()));
    let mut optimiser = ModuleOptimizer::from(Descent { first: first.clone(), most: weights(&network).1 });
    let (mut scale, mut losses, mut gradients) = (LossScale::default(), Vec::new(), Vec::new());
    for step in 0..STEPS {
        let loss;
        (network, loss) = run.step(network, &mut optimiser, &mut scale, (step, 0.05)).unwrap();
        losses.push(loss);
        if step == 0 {
            gradients = std::mem::take(&mut *first.lock().unwrap());
        }
    }
    Found { gradients, losses, weights: weights(&network).0, outputs: Vec::new() }
}

/// Says who trains, and stops or lingers where the test wants it.
pub(crate) struct Told {
    pub(crate) group: Arc<dyn Group>,
    pub(crate) stop: Option<usize>,
    pub(crate) step: usize,
}

impl Hooks for Told {
    fn group(&self) -> Arc<dyn Group> {
        self.group.clone()
    }

    fn progress(&mut self, progress: &Progress) {
        self.step = progress.step;
        println!("step {}", progress.step);
    }

    fn cancelled(&self) -> bool {
        // One rank alone says so.
        self.stop == Some(self.step) && self.group.rank() == self.group.size() - 1
    }
}

/// The whole of finetuning, from the checkpoints of a folder if it has any.
fn train(group: Arc<dyn Group>, checkpoints: Option<PathBuf>, stop: Option<usize>) -> Result<Found, String> {
    let mut config = config();
    config.recipe.checkpoint = checkpoints;
    let told = &mut Told { group, stop, step: 0 };
    let trained = finetune(&samples(), &fields::offers(), &config, told).map_err(|error| error.to_string())?;
    let batch = crate::batch::stack(&[&trained.probe], &trained.setup.inputs, &Device::flex());
    let outputs = trained.network.outputs(&batch).into_data().iter::<f32>().collect();
    let weights = weights(&trained.network).0;
    Ok(Found { gradients: Vec::new(), losses: trained.losses, weights, outputs })
}

#[test]
#[ignore = "a rank, started by the other tests"]
fn rank() {
    let place = Place::of_process().unwrap().expect("started with the environment of a rank");
    let (rank, variable) = (place.rank, |name: &str| std::env::var(name).ok());
    let settings = variable("TOGETHER_SETTINGS_OF").and_then(|of| of.parse().ok()) == Some(rank);
    let facts = [("settings", if settings { "others" } else { "the same" }.to_string())];
    let group = match Tcp::join(&place, "test", &facts, &|| false) {
        Ok(group) => Arc::new(group),
        Err(error) => {
            println!("ends: {error}");
            return;
        }
    };
    let found = match variable("TOGETHER_TASK").unwrap().as_str() {
        "descend" => Ok(descend(group.clone())),
        "train" => {
            let stop = variable("TOGETHER_STOP").map(|stop| stop.parse().unwrap());
            train(group.clone(), variable("TOGETHER_CHECKPOINTS").map(Into::into), stop)
        }
        "descend on places" => Ok(crate::pretrain::processes::descend(group.clone(), Targets::Centred)),
        "descend on balanced places" => {
            Ok(crate::pretrain::processes::descend(group.clone(), Targets::Balanced { iterations: 3 }))
        }
        "pretrain" => {
            crate::pretrain::processes::train(group.clone(), variable("TOGETHER_CHECKPOINTS").map(Into::into))
        }
        other => panic!("no task {other}"),
    };
    match found {
        Ok(found) => {
            let out = PathBuf::from(variable("TOGETHER_OUT").unwrap()).join(format!("{rank}.json"));
            std::fs::write(out, serde_json::to_vec(&found).unwrap()).unwrap();
            group.leave().unwrap();
        }
        Err(error) => println!("ends: {error}"),
    }
}

/// Starts ranks that do a task.
fn start(size: usize, out: &Path, variables: &[(&str, &str)]) -> Vec<Child> {
    let local = Local::new().unwrap();
    let one = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "together::processes::rank", "--nocapture"])
            .envs(local.variables(rank, size))
            .envs(variables.iter().copied())
            .env("TOGETHER_OUT", out)
            .env("RAYON_NUM_THREADS", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    (0..size).map(one).collect()
}

/// What ranks say, and what they found.
fn done(ranks: Vec<Child>, out: &Path) -> Vec<(String, Option<Found>)> {
    let one = |(rank, child): (usize, Child)| {
        let output = child.wait_with_output().unwrap();
        let file = out.join(format!("{rank}.json"));
        let found = std::fs::read(&file).ok().map(|text| serde_json::from_slice(&text).unwrap());
        let _ = std::fs::remove_file(file);
        (String::from_utf8_lossy(&output.stdout).into_owned(), found)
    };
    ranks.into_iter().enumerate().map(one).collect()
}

/// What all ranks found, which must be the same to the bit.
pub(crate) fn together(size: usize, variables: &[(&str, &str)]) -> Found {
    let out = tempfile::tempdir().unwrap();
    let mut all = done(start(size, out.path(), variables), out.path()).into_iter();
    let (said, first) = all.next().unwrap();
    let first = first.unwrap_or_else(|| panic!("rank 0 of {size}: {said}"));
    for (rank, (said, found)) in all.enumerate() {
        let found = found.unwrap_or_else(|| panic!("rank {} of {size}: {said}", rank + 1));
        assert!(found == first, "rank {} of {size} has other bits than rank 0", rank + 1);
    }
    first
}

pub(crate) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

pub(crate) fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

#[test]
fn processes_that_share_a_batch_descend_as_one_with_all_of_it() {
    let one = descend(Arc::new(Alone));
    assert!(one.losses[STEPS - 1] < 0.9 * one.losses[0], "it descends: {:?}", one.losses);
    for size in [2, 4] {
        compare(&one, &together(size, &[("TOGETHER_TASK", "descend")]), size);
    }
}

/// Holds what processes found by descending against what one found.
pub(crate) fn compare(one: &Found, many: &Found, size: usize) {
    let all = one.gradients.iter().map(|gradient| largest(gradient)).fold(0.0, f32::max);
    assert_eq!(many.gradients.len(), one.gradients.len());
    let mut worst = 0.0_f32;
    for (at, (a, b)) in one.gradients.iter().zip(&many.gradients).enumerate() {
        // A gradient that is nothing but rounding, as of key biases, is held against the others.
        let scale = largest(a).max(1e-3 * all);
        let apart = apart(a, b);
        worst = worst.max(apart / scale);
        let (few, others) = (&a[..a.len().min(4)], &b[..b.len().min(4)]);
        assert!(apart <= 1e-5 * scale, "{size} processes, gradient {at}: {apart} of {scale}: {few:?}, {others:?}");
    }
    let (losses, weights) = (apart(&one.losses, &many.losses), apart(&one.weights, &many.weights));
    println!("{size} processes: gradients {worst:e} apart, losses {losses:e}, weights {weights:e} after {STEPS} steps");
    assert!(losses <= 1e-4 && weights <= 1e-4, "{size} processes: losses {losses}, weights {weights}");
}

#[test]
fn processes_that_share_a_batch_train_as_one_with_all_of_it() {
    let one = train(Arc::new(Alone), None, None).unwrap();
    for size in [2, 4] {
        let many = together(size, &[("TOGETHER_TASK", "train")]);
        let (losses, outputs) = (apart(&one.losses, &many.losses), apart(&one.outputs, &many.outputs));
        println!("{size} processes, AdamW: losses {losses:e} apart, outputs {outputs:e} after {STEPS} steps");
        assert!(losses <= 1e-4 && outputs <= 1e-4, "{size} processes: losses {losses}, outputs {outputs}");
    }
}

#[test]
fn a_run_that_was_stopped_or_lost_a_rank_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let whole = together(2, &[("TOGETHER_TASK", "train")]);
    let at = |name: &str| folder.path().join(name).display().to_string();

    // Stopped by one rank.
    let checkpoints = at("stopped");
    let told = [("TOGETHER_TASK", "train"), ("TOGETHER_CHECKPOINTS", checkpoints.as_str())];
    let ranks = start(2, folder.path(), &[told[0], told[1], ("TOGETHER_STOP", "7")]);
    for (said, found) in done(ranks, folder.path()) {
        assert!(found.is_none() && said.contains("ends: training was cancelled at step 7"), "{said}");
    }
    assert!(together(2, &told) == whole, "stopped after 7 steps");

    // A rank is killed.
    let checkpoints = at("killed");
    let told = [("TOGETHER_TASK", "train"), ("TOGETHER_CHECKPOINTS", checkpoints.as_str())];
    let mut ranks = start(2, folder.path(), &told);
    while !std::fs::read_dir(&checkpoints)
        .is_ok_and(|mut found| found.any(|one| one.unwrap().path().ends_with("step-3")))
    {
        assert!(ranks[0].try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    ranks[1].kill().unwrap();
    let said = done(ranks, folder.path()).swap_remove(0).0;
    assert!(said.contains("ends: rank 1 (host ") && said.contains("ended without a word"), "{said}");
    let again = together(2, &told);
    assert_eq!(again.losses.len(), STEPS);
    assert!(again == whole, "killed after a checkpoint");
}

#[test]
fn ranks_with_other_settings_train_nothing() {
    let out = tempfile::tempdir().unwrap();
    let ranks = start(3, out.path(), &[("TOGETHER_TASK", "train"), ("TOGETHER_SETTINGS_OF", "2")]);
    for (said, found) in done(ranks, out.path()) {
        assert!(
            found.is_none() && said.contains("ends: rank 2 (host ") && said.contains("has settings others"),
            "{said}"
        );
    }
}
