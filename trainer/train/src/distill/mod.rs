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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};
use skysense_collective::Group;
use skysense_contract::{Checksum, Modality, Offer};
use skysense_model::{Precision, Tape};

use self::level::Level;
use self::likeness::Likenesses;
use self::plan::{Plan, plan};
use self::student::Student;
use self::target::{Lesson, Target, target};
use self::teacher::{Teacher, prepared};
use crate::augment::Drawn;
use crate::batch::stack;
use crate::compute::Step;
use crate::dataset::{Prepared, labelled_blocks, mark};
use crate::draw::Draw;
use crate::loss::feature_loss;
use crate::loss_scale::LossScale;
use crate::parts::Parts;
use crate::split::Split;
use crate::steps::{self, Learner};
use crate::{Hooks, Sample, TrainError, together};

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
    let group = hooks.group();
    let device = config.compute.device.of_rank(group.local_rank(), group.size()).open(config.compute.precision)?;
    let ready = samples.iter().enumerate().map(|(index, sample)| prepared(sample, index, &plan.student));
    let mut ready = ready.collect::<Result<Vec<_>, _>>()?;
    let blocks = labelled_blocks(&samples, &ready, config.recipe.block);
    let split = Split::new(config.recipe.block, config.recipe.validation, &blocks, config.recipe.seed);
    mark(&samples, &mut ready, &split)?;
    let teacher = Teacher::new((samples, &device), &plan, (&mut ready, config.hold), hooks)?;
    let training: Vec<usize> = (0..ready.len()).filter(|index| ready[*index].trains()).collect();
    let Some(first) = training.first() else {
        return Err(TrainError::NoPixels { samples: samples.len(), teacher: plan.package.contract().name.clone() });
    };
    let probe = ready[*first].clone();
    let device = device.autodiff();
    let parts = Parts::new(config.recipe.parts, &device)?;
    let run = Run { config, plan: &plan, teacher, ready, training, device, parts, group };
    // Measures, and the package's probe, are computed on the processor.
    let measured = |student: Student| student.valid().to_device(&Device::flex());
    let before = run.held_out(&measured(run.network()?))?;
    let (student, state) = steps::run(&config.recipe, &run, &run.identity(), hooks)?;
    let student = measured(student);
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
    group: Arc<dyn Group>,
}

impl Learner for Run<'_> {
    type Network = Student;

    fn network(&self) -> Result<Student, TrainError> {
        Student::new(self.plan, |level| self.teacher.channels(level), self.config.recipe.seed, &self.device)
    }

    fn precision(&self) -> Precision {
        self.config.compute.precision
    }

    fn step(
        &self,
        student: Student,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(Student, f32), TrainError> {
        let Self { config, training, .. } = self;
        let (batch, seed, augmentation) = (config.recipe.batch, config.recipe.seed, &config.recipe.augmentation);
        let group = &*self.group;
        let draw = Draw { training, batch, seed, augmentation };
        let drawn =
            draw.step(step, together::share(group, draw.count()), |place| Ok(Cow::Borrowed(&self.ready[place])))?;
        let parts = self.parts.share(drawn).into_iter().map(|drawn| self.part(drawn));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let weights = self.weights(&parts)?;
        let step = Step { compute: config.compute, group, parts: &self.parts, seed, number: step, rate };
        let loss = |student: &Student, tape: &Tape, part: Part| {
            if part.targets.is_empty() {
                return None;
            }
            let samples: Vec<&Prepared> = part.samples.iter().collect();
            let batch = stack(&samples, &self.plan.student.inputs, &self.device);
            let found = student.features(tape, &batch, &self.plan.levels, config.compute.precision);
            Some(self.loss(found, part.targets, &weights))
        };
        step.take(student, parts, (optimiser, scale), loss, |student, tape, loss| tape.backward(loss, student))
    }
}

/// What a part of a step learns: its samples, and for each level what it should give.
struct Part {
    samples: Vec<Prepared>,
    targets: BTreeMap<Level, Target>,
}

impl Run<'_> {
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
        let one = |level: &Level| Some((*level, target(&lessons, *level, self.teacher.channels(*level), false)?));
        let targets = self.plan.levels.iter().filter_map(one).collect();
        Ok(Part { samples: drawn.into_iter().map(|(_, sample, _)| sample).collect(), targets })
    }

    /// What the loss of each level is multiplied with, for a position of weight 1: the loss of a step is that of the fused
    /// features, and the mean of those of the encoders by their weight, each over the positions of all parts of all ranks.
    fn weights(&self, parts: &[Part]) -> Result<BTreeMap<Level, f64>, TrainError> {
        // For each level whether it is there, and its positions.
        let mut counts = vec![0.0; 2 * self.plan.levels.len()];
        for (level, counts) in self.plan.levels.iter().zip(counts.chunks_exact_mut(2)) {
            for target in parts.iter().filter_map(|part| part.targets.get(level)) {
                counts[0] = 1.0;
                counts[1] += target.weight();
            }
        }
        self.group.sum_exact(&mut counts)?;
        let there = self.plan.levels.iter().zip(counts.chunks_exact(2)).filter(|(_, counts)| counts[0] > 0.0);
        let positions: BTreeMap<Level, f64> = there.map(|(level, counts)| (*level, counts[1])).collect();
        let encoders = positions.keys().filter(|level| **level != Level::Fused).count().max(1) as f64;
        let weight = |level| if level == Level::Fused { 1.0 } else { self.config.encoders / encoders };
        Ok(positions.into_iter().map(|(level, positions)| (level, weight(level) / positions.max(1e-12))).collect())
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
            let batch = stack(&[sample], &self.plan.student.inputs, &Device::flex());
            let lesson = [Lesson { sample, drawn: None, features: &features }];
            for (level, predicted) in student.features(&Tape::off(), &batch, &self.plan.levels, Precision::F32) {
                if let Some(target) = target(&lesson, level, self.teacher.channels(level), true) {
                    let predicted: Vec<f32> = predicted.into_data().iter::<f32>().collect();
                    all.add(level, &predicted, &target, &self.teacher.standards[&level]);
                }
            }
        }
        Ok(all.means())
    }

    /// Checksum of all that decides the weights.
    fn identity(&self) -> String {
        let mut sum = Checksum::default();
        sum.add(&serde_json::to_vec(self.config).unwrap_or_default());
        let student = &self.plan.student;
        let levels = &self.plan.levels;
        sum.add(format!("{} {:?} {} {levels:?}", student.start(), student.inputs, student.chip_size).as_bytes());
        // What the teacher saw and the student does not stands in the means of its features.
        sum.add(self.plan.package.contract().weights_sha256.as_bytes());
        for standard in self.teacher.standards.values() {
            sum.floats(&standard.mean);
            sum.floats(&standard.deviation);
        }
        self.ready.iter().for_each(|sample| sample.tell(&mut sum));
        sum.finish()
    }
}
