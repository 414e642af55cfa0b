//! Distillation: a student learns to give the features of a teacher, without labels.
//!
//! The student's fused features, and those of each encoder that both models have, are projected to the teacher's
//! channels and drawn to the teacher's by [`crate::loss::feature_loss`]. Both models give features on the 10 m grid,
//! whatever their widths and depths; the projections are not part of the student's package.

mod config;
mod export;
mod level;
mod likeness;
mod plan;
mod student;
mod target;
mod teacher;

use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use skysense_contract::{Modality, Offer, sha256_bytes};
use skysense_model::Tape;

use self::level::Level;
use self::likeness::Likenesses;
use self::plan::{Plan, plan};
use self::student::Student;
use self::target::{Lesson, Target, target};
use self::teacher::{Teacher, prepared};
use crate::augment::Drawn;
use crate::batch::stack;
use crate::dataset::{Prepared, labelled_blocks, mark};
use crate::draw::Draw;
use crate::loss::feature_loss;
use crate::loss_scale::LossScale;
use crate::parts::{Parts, part_seed};
use crate::split::Split;
use crate::steps::{self, Learner, step_seed};
use crate::{Hooks, Sample, TrainError};

pub use config::DistillConfig;
pub use export::export_student;
pub use likeness::Likeness;
pub use plan::{PlannedStudent, planned_student};

/// A student that was taught, and how like its teacher it became. [`export_student`] writes it as a package.
#[derive(Debug)]
pub struct Distilled {
    /// Likeness on the pixels that were held out, by level: `fused`, and `hr`, `s2`, `s1` where both models have that
    /// encoder; empty without such pixels.
    pub held_out: BTreeMap<String, Likeness>,
    /// The same at the start, before a step was taken.
    pub before: BTreeMap<String, Likeness>,
    /// Steps of the run: those asked for, or what fitted into the time budget.
    pub steps: usize,
    /// Loss of each step.
    pub losses: Vec<f32>,
    /// How long it took, without what an earlier part of a resumed run took.
    pub seconds: f64,
    /// Samples that trained.
    pub samples: usize,
    student: Student,
    plan: Plan,
    config: DistillConfig,
    /// The sample that becomes the package's probe.
    probe: Prepared,
}

/// Teaches a student on chips; their labels are not looked at, but there must be a value for each pixel.
///
/// `offers` says what the samples hold, by modality: the teacher sees all of it, the student what
/// [`DistillConfig::modalities`] says. The result is the same for the same samples, teacher, settings and machine, whether
/// or not the run was killed and went on from its checkpoint; a time budget is the exception.
///
/// # Errors
/// [`TrainError`]: settings out of range, a teacher or samples that do not fit, no valid pixel, a checkpoint of another
/// run, a loss that is not finite, [`TrainError::Cancelled`] when `hooks` say so.
pub fn distill(
    samples: &[Sample],
    offers: &BTreeMap<Modality, Offer>,
    config: &DistillConfig,
    hooks: &mut dyn Hooks,
) -> Result<Distilled, TrainError> {
    let started = Instant::now();
    let plan = plan(samples, offers, config)?;
    let ready = samples.iter().enumerate().map(|(index, sample)| prepared(sample, index, &plan.student));
    let mut ready = ready.collect::<Result<Vec<_>, _>>()?;
    let blocks = labelled_blocks(samples, &ready, config.recipe.block);
    mark(samples, &mut ready, &Split::new(config.recipe.block, config.recipe.validation, &blocks, config.recipe.seed));
    let teacher = Teacher::new(samples, &plan, (&mut ready, config.hold), hooks)?;
    let training: Vec<usize> = (0..ready.len()).filter(|index| ready[*index].trains()).collect();
    let Some(first) = training.first() else {
        return Err(TrainError::NoPixels { samples: samples.len(), teacher: plan.package.contract().name.clone() });
    };
    let probe = ready[*first].clone();
    let device = Device::flex().autodiff();
    let parts = Parts::new(config.recipe.parts, &device)?;
    let run = Run { config, plan: &plan, teacher, ready, training, device, parts };
    let before = run.held_out(&run.network()?.valid())?;
    let (student, state) = steps::run(&config.recipe, &run, &run.identity(), hooks)?;
    let student = student.valid();
    let held_out = run.held_out(&student)?;
    let samples = run.training.len();
    drop(run);
    Ok(Distilled {
        held_out,
        before,
        steps: state.steps,
        losses: state.losses,
        seconds: started.elapsed().as_secs_f64(),
        samples,
        student,
        plan,
        config: config.clone(),
        probe,
    })
}

/// What does not change while a run goes on.
struct Run<'a> {
    config: &'a DistillConfig,
    plan: &'a Plan,
    teacher: Teacher<'a>,
    ready: Vec<Prepared>,
    /// Samples with a pixel that trains.
    training: Vec<usize>,
    device: Device,
    parts: Parts,
}

impl Learner for Run<'_> {
    type Network = Student;

    fn network(&self) -> Result<Student, TrainError> {
        let width = |level| self.teacher.standards.get(&level).map_or(0, |standard| standard.mean.len());
        Student::new(self.plan, width, self.config.recipe.seed, &self.device)
    }

    fn step(
        &self,
        student: Student,
        optimiser: &mut ModuleOptimizer,
        _: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Student, f32), TrainError> {
        let (value, gradients) = self.gradients(&student, (step, rate))?;
        Ok((optimiser.step(rate, student, gradients), value))
    }
}

/// What a part of a step learns: its samples, and for each level what it should give.
struct Part {
    samples: Vec<Prepared>,
    targets: BTreeMap<Level, Target>,
}

impl Run<'_> {
    /// Loss of a step and its gradients.
    fn gradients(&self, student: &Student, (step, rate): (usize, f64)) -> Result<(f32, GradientsParams), TrainError> {
        let Self { config, ready, training, .. } = self;
        let (batch, seed, augmentation) = (config.recipe.batch, config.recipe.seed, &config.recipe.augmentation);
        let drawn = Draw { ready, training, batch, seed, augmentation }.step(step);
        let parts = self.parts.share(drawn).into_iter().map(|drawn| self.part(drawn));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let weights = self.weights(&parts);
        self.parts.gradients(student, parts, |student, at, part| {
            if part.targets.is_empty() {
                return Ok((0.0, GradientsParams::new()));
            }
            let batch = stack(&part.samples, &self.plan.student.inputs, &[1.0], false, &self.device);
            let tape = Tape::keeping(part_seed(step_seed(seed, step), at));
            let found = student.features(&tape, &batch, &self.plan.levels);
            let loss = self.loss(found, part.targets, &weights);
            let value = loss.clone().into_scalar::<f32>();
            if !value.is_finite() {
                return Err(TrainError::Diverged { step, rate });
            }
            Ok((value, tape.backward(&loss, &student)))
        })
    }

    fn part(&self, drawn: Vec<(usize, Prepared, Drawn)>) -> Result<Part, TrainError> {
        let features =
            drawn.iter().map(|(place, ..)| self.teacher.features(*place)).collect::<Result<Vec<_>, TrainError>>()?;
        let lessons: Vec<Lesson<'_>> = drawn
            .iter()
            .zip(&features)
            .filter_map(|((_, sample, drawn), features)| {
                Some(Lesson { sample, drawn: Some(drawn), features: features.as_ref()? })
            })
            .collect();
        let standards = &self.teacher.standards;
        let targets =
            self.plan.levels.iter().filter_map(|level| Some((*level, target(&lessons, *level, standards, false)?)));
        let targets = targets.collect();
        Ok(Part { samples: drawn.into_iter().map(|(_, sample, _)| sample).collect(), targets })
    }

    /// What the loss of each level is multiplied with, for a position of weight 1: the loss of a step is that of the fused
    /// features, and the mean of those of the encoders by their weight, each over the positions of all parts.
    fn weights(&self, parts: &[Part]) -> BTreeMap<Level, f64> {
        let mut positions = BTreeMap::<Level, f64>::new();
        for (level, target) in parts.iter().flat_map(|part| &part.targets) {
            *positions.entry(*level).or_default() += target.weight();
        }
        let encoders = positions.keys().filter(|level| **level != Level::Fused).count().max(1) as f64;
        let weight = |level| if level == Level::Fused { 1.0 } else { self.config.encoders / encoders };
        positions.into_iter().map(|(level, positions)| (level, weight(level) / positions.max(1e-12))).collect()
    }

    /// The loss of a part.
    fn loss(
        &self,
        found: BTreeMap<Level, Tensor<2>>,
        mut targets: BTreeMap<Level, Target>,
        weights: &BTreeMap<Level, f64>,
    ) -> Tensor<1> {
        let mut loss = Tensor::<1>::zeros([1], &self.device);
        for (level, predicted) in found {
            let Some((target, weight)) = targets.remove(&level).zip(weights.get(&level)) else { continue };
            let (positions, of_part) = (target.weights.len(), target.weight());
            let values = Tensor::from_data(TensorData::new(target.values, [positions, target.channels]), &self.device);
            let weights = Tensor::from_data(TensorData::new(target.weights, [positions]), &self.device);
            loss = loss + feature_loss(predicted, values, weights) * (weight * of_part);
        }
        loss
    }

    /// Likeness on the pixels that are held out.
    fn held_out(&self, student: &Student) -> Result<BTreeMap<String, Likeness>, TrainError> {
        let mut all = Likenesses::default();
        for (index, sample) in self.ready.iter().enumerate() {
            if sample.series.is_empty() || !sample.targets.iter().any(|t| t.class.is_some() && t.validates) {
                continue;
            }
            let Some(features) = self.teacher.features(index)? else { continue };
            let batch = stack(std::slice::from_ref(sample), &self.plan.student.inputs, &[1.0], true, &Device::flex());
            let lesson = [Lesson { sample, drawn: None, features: &features }];
            for (level, predicted) in student.features(&Tape::off(), &batch, &self.plan.levels) {
                if let Some(target) = target(&lesson, level, &self.teacher.standards, true) {
                    let predicted: Vec<f32> = predicted.into_data().iter::<f32>().collect();
                    all.add(level, &predicted, &target, &self.teacher.standards[&level]);
                }
            }
        }
        Ok(all.means())
    }

    /// Checksum of all that decides the weights.
    fn identity(&self) -> String {
        let mut bytes = serde_json::to_vec(self.config).unwrap_or_default();
        let student = &self.plan.student;
        let levels = &self.plan.levels;
        bytes.extend(format!("{} {:?} {} {levels:?}", student.start(), student.inputs, student.chip_size).bytes());
        // What the teacher saw and the student does not stands in the means of its features.
        bytes.extend(self.plan.package.contract().weights_sha256.bytes());
        for standard in self.teacher.standards.values() {
            bytes.extend(standard.mean.iter().chain(&standard.deviation).flat_map(|value| value.to_le_bytes()));
        }
        self.ready.iter().for_each(|sample| sample.tell(&mut bytes));
        sha256_bytes(&bytes)
    }
}
