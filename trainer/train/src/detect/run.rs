//! The loop: draws chips, assigns boxes, goes down the losses.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use skysense_collective::Group;
use skysense_contract::{Checksum, Detector, Input, Modality, Offer};
use skysense_detect::{Assigned, Found, Midpoint, Object, Region, RotatedBox, Thresholds, assign, encode, sample};
use skysense_metric::{MetricError, Rect};
use skysense_model::{Checkpointing, Dense, DetectorNetwork, Precision, Tape};

use super::image::{Image, Part, Reading, block_side, blocks, divide, stack};
use super::loss::{ANCHOR_BETA, PROPOSAL_BETA, binary_cross_entropy, cross_entropy, smooth_l1};
use super::predict::{all_anchors, detect, propose};
use super::{DetectConfig, DetectionSample, DetectionSamples, DetectionScores, Evaluation, network};
use crate::augment::Turn;
use crate::compute::{Compute, Step};
use crate::draw::shuffled;
use crate::loss_scale::LossScale;
use crate::parts::Parts;
use crate::pool::Pool;
use crate::random::{Purpose, rng};
use crate::setup::Setup;
use crate::split::Split;
use crate::steps::{self, Learner};
use crate::{Hooks, TrainError, together};

/// Anchors of an image that a step learns from, and most of them that are positive (Faster R-CNN, section 3.1.2).
const ANCHORS: (usize, f64) = (256, 0.5);
/// Proposals of an image that a step learns from (Girshick 2015, section 2.3, with Detectron's count), and the same where
/// few are looked at.
const PROPOSALS: (usize, f64) = (512, 0.25);
const FEW_PROPOSALS: (usize, f64) = (64, 0.25);

/// A trained detector and how it did. [`super::export_detector`] writes it as a package.
#[derive(Debug)]
pub struct TrainedDetector {
    /// Scores on the chips that trained.
    pub training: DetectionScores,
    /// Scores on the chips of blocks that did not; `None` without such.
    pub validation: Option<DetectionScores>,
    /// Steps of the run.
    pub steps: usize,
    /// Loss of each step.
    pub losses: Vec<f32>,
    /// How long it took, without what an earlier part of a resumed run took.
    pub seconds: f64,
    pub(super) network: DetectorNetwork,
    pub(super) setup: Setup,
    pub(super) config: DetectConfig,
    /// The chip that becomes the package's probe.
    pub(super) probe: Image,
}

/// Trains a detector on chips with objects. The result is the same for the same samples, settings and machine, whether or
/// not the run was killed and went on from its checkpoint; a time budget is the exception.
///
/// # Errors
/// As [`crate::finetune()`].
pub fn train_detector<S: DetectionSamples + ?Sized>(
    samples: &S,
    offers: &BTreeMap<Modality, Offer>,
    config: &DetectConfig,
    hooks: &mut dyn Hooks,
) -> Result<TrainedDetector, TrainError> {
    trained(&samples, offers, config, hooks)
}

fn trained(
    samples: &dyn DetectionSamples,
    offers: &BTreeMap<Modality, Offer>,
    config: &DetectConfig,
    hooks: &mut dyn Hooks,
) -> Result<TrainedDetector, TrainError> {
    config.check()?;
    let group = hooks.group();
    let device = config.compute.device.of_rank(group.local_rank(), group.size()).open(config.compute.precision)?;
    let setup = network::setup(samples, offers, config)?;
    let (places, mut images) = reading(&setup, config).images(samples, &|| hooks.cancelled())?;
    let block = block_side(setup.chip_size, config.recipe.block);
    let counts = blocks(samples, (&places, images.known()), setup.chip_size, block);
    let given = (0..samples.count()).any(|index| samples.outline(index).uses.is_some());
    let share = if given { 0.0 } else { config.recipe.validation };
    let split = Split::new(block, share, &counts, config.recipe.seed);
    divide(samples, (&places, images.known_mut()), &split, setup.chip_size, block);
    // Chips without an object are learned from, too: of them, that nothing is there.
    let known = images.known();
    let training: Vec<usize> = (0..known.len()).filter(|at| known[*at].part == Part::Trains).collect();
    let asked = |at: &usize| known[*at].objects.iter().any(|object| !object.ignored);
    let Some(probe) = training.iter().copied().find(asked) else {
        return Err(TrainError::NoLabels {
            hint: format!("{} chips, none that trains has an object", samples.count()),
        });
    };
    let run = Run::new(images, training, setup, config, (device.autodiff(), group))?;
    let started = Instant::now();
    let (network, state) = steps::run(&config.recipe, &run, &run.identity, hooks)?;
    let network = network.valid().to_device(&Device::flex());
    let score = |part: Part| run.score(&network, part);
    Ok(TrainedDetector {
        training: score(Part::Trains)?,
        validation: if split.any() { Some(score(Part::Validates)?) } else { None },
        steps: state.steps,
        losses: state.losses,
        seconds: started.elapsed().as_secs_f64(),
        probe: run.images.get(probe)?.into_owned(),
        network,
        setup: run.setup,
        config: config.clone(),
    })
}

/// What a run reads of its chips.
fn reading<'a>(setup: &'a Setup, config: &DetectConfig) -> Reading<'a> {
    let (input, bands) = (&setup.inputs[&Modality::Hr], &setup.bands[&Modality::Hr]);
    Reading { input, bands, size: setup.chip_size, classes: config.classes.len(), rotated: config.rotated }
}

impl TrainedDetector {
    /// Objects that the network finds in a sample, as inference does; none where it has no valid pixel.
    ///
    /// # Errors
    /// A sample that does not fit.
    pub fn find(&self, sample: &DetectionSample) -> Result<Vec<Found>, TrainError> {
        let reading = reading(&self.setup, &self.config);
        let image = reading.image(&sample.image, &sample.objects);
        let image = image.map_err(|fault| TrainError::Sample { sample: 0, fault })?;
        let Some(image) = image else { return Ok(Vec::new()) };
        let found = detect(&self.network, stack(&[&image], reading.input, &Device::flex()))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

/// What does not change while a run goes on.
struct Run<'a> {
    config: &'a DetectConfig,
    setup: Setup,
    images: Pool<Image>,
    training: Vec<usize>,
    /// Of all levels, and their upright shapes.
    anchors: Vec<Vec<RotatedBox>>,
    shapes: Vec<Rect>,
    identity: String,
    device: Device,
    parts: Parts,
    group: Arc<dyn Group>,
}

/// A drawn chip with what decides which of its boxes are sampled.
struct Drawn {
    image: Image,
    rng: ChaCha8Rng,
}

impl<'a> Run<'a> {
    fn new(
        images: Pool<Image>,
        training: Vec<usize>,
        setup: Setup,
        config: &'a DetectConfig,
        (device, group): (Device, Arc<dyn Group>),
    ) -> Result<Self, TrainError> {
        let detector = network::sizes(&setup, config)?.detector;
        let anchors = all_anchors(&detector, setup.chip_size * setup.inputs[&Modality::Hr].scale);
        let shapes = anchors.iter().flatten().map(RotatedBox::rect).collect::<Result<_, _>>()?;
        let mut sum = Checksum::default();
        sum.add(&serde_json::to_vec(config).unwrap_or_default());
        sum.add(format!("{} {:?} {} {detector:?}", setup.start(), setup.inputs, setup.chip_size).as_bytes());
        for index in 0..images.known().len() {
            images.get(index)?.tell(&mut sum);
        }
        let identity = sum.finish();
        let parts = Parts::new(config.recipe.parts, &device)?;
        Ok(Self { config, setup, images, training, anchors, shapes, identity, device, parts, group })
    }

    fn input(&self) -> &Input {
        &self.setup.inputs[&Modality::Hr]
    }

    /// The chips of a step that fall to this process: every chip once an epoch, in an order of that epoch.
    fn draw(&self, step: usize) -> Result<Vec<Drawn>, TrainError> {
        let (count, recipe) = (self.training.len(), &self.config.recipe);
        let all = recipe.batch.min(count);
        let share = together::share(&*self.group, all);
        let mut order = (usize::MAX, Vec::new());
        let one = |at: usize| {
            if order.0 != at / count {
                order = (at / count, shuffled(count, recipe.seed, at / count));
            }
            let mut rng = rng(recipe.seed, Purpose::Augment, at);
            let turn = Turn::draw(&mut rng);
            let image = self.images.get(self.training[order.1[at % count]])?;
            Ok(Drawn { image: if recipe.augmentation.turns { image.turned(turn) } else { image.into_owned() }, rng })
        };
        (step * all + share.start..step * all + share.end).map(one).collect()
    }

    /// The sum of the losses of chips.
    fn loss(&self, network: &DetectorNetwork, tape: &Tape, mut drawn: Vec<Drawn>) -> Result<Tensor<1>, TrainError> {
        let images: Vec<&Image> = drawn.iter().map(|drawn| &drawn.image).collect();
        let pixels = self.config.compute.precision.cast(stack(&images, self.input(), &self.device));
        let dense = network.dense(tape, pixels, self.config.frozen);
        let (detector, side) = (network.detector(), images[0].side);
        let proposed = propose(detector, &dense, &self.anchors, side)?;
        let first = self.anchor_loss(&dense, &mut drawn, detector.proposal_codes())?;
        let mut regions = Regions::default();
        for (at, (drawn, proposed)) in drawn.iter_mut().zip(proposed).enumerate() {
            let wanted = if detector.proposals.count < PROPOSALS.0 { FEW_PROPOSALS } else { PROPOSALS };
            regions.add(at, drawn, proposed, (detector, self.config.classes.len(), wanted))?;
        }
        if regions.all.is_empty() {
            return Ok(first);
        }
        let (judged, order) = network.judge(&dense, &regions.all);
        Ok(first + regions.loss(judged, &order))
    }

    fn anchor_loss(&self, dense: &Dense, drawn: &mut [Drawn], width: usize) -> Result<Tensor<1>, TrainError> {
        let anchors: Vec<&RotatedBox> = self.anchors.iter().flatten().collect();
        let (mut places, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let (mut coded, mut codes, mut code_weights) = (Vec::new(), Vec::new(), Vec::new());
        for (at, Drawn { image, rng }) in drawn.iter_mut().enumerate() {
            let (objects, ignored) = told_apart(&image.objects, RotatedBox::rect)?;
            let assigned = assign(&self.shapes, &objects.1, &ignored, Thresholds::ANCHORS);
            let (positive, negative) = sample(&assigned, ANCHORS.0, ANCHORS.1, rng);
            let weight = 1.0 / (positive.len() + negative.len()).max(1) as f32;
            for (anchor, target) in positive.iter().map(|at| (at, 1.0)).chain(negative.iter().map(|at| (at, 0.0))) {
                places.push((at * anchors.len() + anchor) as i64);
                targets.push(target);
                weights.push(weight);
            }
            for anchor in positive {
                let Assigned::Object(object) = assigned[anchor] else { continue };
                let area = &objects.0[object].area;
                match self.config.rotated {
                    true => codes.extend(Midpoint::encode(anchors[anchor], area)),
                    false => codes.extend(encode(anchors[anchor], area, &[1.0; 4])),
                }
                coded.push((at * anchors.len() + anchor) as i64);
                code_weights.push(weight);
            }
        }
        let per_cell = dense.objectness[0].dims()[1];
        let logits = rows(&dense.objectness, per_cell, 1);
        let picked = logits.select(0, self.places(&places)).squeeze_dim::<1>(1);
        let mut loss = binary_cross_entropy(picked, &targets, &weights);
        if !coded.is_empty() {
            let told = rows(&dense.codes, per_cell, width).select(0, self.places(&coded));
            loss = loss + smooth_l1(told, &codes, &code_weights, ANCHOR_BETA);
        }
        Ok(loss)
    }

    fn places(&self, places: &[i64]) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(places.to_vec(), [places.len()]), &self.device)
    }

    fn score(&self, network: &DetectorNetwork, part: Part) -> Result<DetectionScores, TrainError> {
        let mut evaluation = Evaluation::new(self.config.classes.len(), self.config.rotated)?;
        let known = self.images.known();
        let of_part: Vec<usize> = (0..known.len()).filter(|at| known[*at].part == part).collect();
        for images in of_part.chunks(self.config.recipe.batch) {
            let images = images.iter().map(|at| self.images.get(*at)).collect::<Result<Vec<_>, _>>()?;
            let images: Vec<&Image> = images.iter().map(Cow::as_ref).collect();
            let found = detect(network, stack(&images, self.input(), &Device::flex()))?;
            for (image, found) in images.iter().zip(found) {
                evaluation.add(&image.objects, &found)?;
            }
        }
        Ok(evaluation.scores())
    }
}

/// Objects that are learned with their shapes, and the shapes of those that are ignored.
type ToldApart<S> = ((Vec<Object>, Vec<S>), Vec<S>);

fn told_apart<S>(
    objects: &[Object],
    shape: impl Fn(&RotatedBox) -> Result<S, MetricError>,
) -> Result<ToldApart<S>, TrainError> {
    let (mut learned, mut shapes, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for object in objects {
        let shape = shape(&object.area)?;
        match object.ignored {
            true => ignored.push(shape),
            false => {
                learned.push(*object);
                shapes.push(shape);
            }
        }
    }
    Ok(((learned, shapes), ignored))
}

/// Maps of all levels `[batch, anchor · width, rows, columns]` as rows `[batch · anchor, width]` in the order of anchors.
fn rows(levels: &[Tensor<4>], anchors: usize, width: usize) -> Tensor<2> {
    let one = |map: &Tensor<4>| {
        let [batch, _, height, columns] = map.dims();
        let split = map.clone().reshape([batch, anchors, width, height, columns]).permute([0, 3, 4, 1, 2]);
        split.reshape([batch, height * columns * anchors, width])
    };
    let all = Tensor::cat(levels.iter().map(one).collect(), 1);
    let [batch, count, _] = all.dims();
    all.reshape([batch * count, width])
}

/// The regions of a part that the second stage learns from.
#[derive(Default)]
struct Regions {
    all: Vec<Region>,
    classes: Vec<i64>,
    weights: Vec<f32>,
    /// Codes of a region with an object.
    codes: Vec<Option<Vec<f32>>>,
}

impl Regions {
    /// Samples proposals of a chip; its objects are proposals, too, so that there are good ones from the start.
    fn add(
        &mut self,
        image: usize,
        drawn: &mut Drawn,
        mut proposed: Vec<RotatedBox>,
        (detector, classes, wanted): (&Detector, usize, (usize, f64)),
    ) -> Result<(), TrainError> {
        let objects = &drawn.image.objects;
        proposed.extend(objects.iter().filter(|object| !object.ignored).map(|object| object.area));
        let deviations = detector.deviations();
        let (learned, assigned) = if detector.rotated {
            let (learned, ignored) = told_apart(objects, RotatedBox::quad)?;
            let shapes = proposed.iter().map(RotatedBox::quad).collect::<Result<Vec<_>, _>>()?;
            (learned.0, assign(&shapes, &learned.1, &ignored, Thresholds::PROPOSALS))
        } else {
            let (learned, ignored) = told_apart(objects, RotatedBox::rect)?;
            let shapes = proposed.iter().map(RotatedBox::rect).collect::<Result<Vec<_>, _>>()?;
            (learned.0, assign(&shapes, &learned.1, &ignored, Thresholds::PROPOSALS))
        };
        let (positive, negative) = sample(&assigned, wanted.0, wanted.1, &mut drawn.rng);
        let weight = 1.0 / (positive.len() + negative.len()).max(1) as f32;
        for at in positive.into_iter().chain(negative) {
            let area = proposed[at];
            let (class, codes) = match assigned[at] {
                Assigned::Object(object) => {
                    let Object { area: target, class, .. } = &learned[object];
                    (*class, Some(encode(&area, target, &deviations)))
                }
                _ => (classes, None),
            };
            self.all.push(Region { image, area });
            self.classes.push(class as i64);
            self.weights.push(weight);
            self.codes.push(codes);
        }
        Ok(())
    }

    /// The loss of the second stage; `order` says which region a row is of.
    fn loss(&self, judged: skysense_model::Judged, order: &[usize]) -> Tensor<1> {
        let classes: Vec<i64> = order.iter().map(|region| self.classes[*region]).collect();
        let weights: Vec<f32> = order.iter().map(|region| self.weights[*region]).collect();
        let device = judged.logits.device();
        let mut loss = cross_entropy(judged.logits, &classes, &weights);
        let (mut rows, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (row, region) in order.iter().enumerate() {
            if let Some(codes) = &self.codes[*region] {
                rows.push(row as i64);
                targets.extend_from_slice(codes);
                weights.push(self.weights[*region]);
            }
        }
        if !rows.is_empty() {
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows.clone(), [rows.len()]), &device);
            loss = loss + smooth_l1(judged.codes.select(0, rows), &targets, &weights, PROPOSAL_BETA);
        }
        loss
    }
}

impl Learner for Run<'_> {
    type Network = DetectorNetwork;

    fn network(&self) -> Result<DetectorNetwork, TrainError> {
        network::start(&self.setup, self.config, &self.device)
    }

    fn precision(&self) -> Precision {
        self.config.compute.precision
    }

    fn step(
        &self,
        network: DetectorNetwork,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        (step, rate): (usize, f64),
    ) -> Result<(DetectorNetwork, f32), TrainError> {
        let (group, drawn) = (&*self.group, self.draw(step)?);
        let total = together::sum(group, drawn.len() as f64)?.max(1.0);
        let DetectConfig { compute, frozen, .. } = *self.config;
        let checkpointing = if frozen { Checkpointing::Off } else { compute.checkpointing };
        let compute = Compute { checkpointing, ..compute };
        let step = Step { compute, group, parts: &self.parts, seed: self.config.recipe.seed, number: step, rate };
        // What is wrong with a part is told behind the step.
        let fault = std::sync::Mutex::new(None);
        let loss = |network: &DetectorNetwork, tape: &Tape, drawn: Vec<Drawn>| match self.loss(network, tape, drawn) {
            Ok(loss) => Some(loss / total),
            Err(error) => {
                *fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                None
            }
        };
        let taken = step.take(network, self.parts.share(drawn), (optimiser, scale), loss, |network, tape, loss| {
            tape.backward(loss, network)
        });
        match fault.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None => taken,
        }
    }
}
