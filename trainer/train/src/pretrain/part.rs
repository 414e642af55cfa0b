//! One part of a step's places: forward pass, losses, gradients, and the sums that centre and prototypes need.
//!
//! Losses are divided by what counts in the whole step, which is known from what views show and needs no pixel, and what
//! compares places with each other is found between the forward pass of all parts and their backward pass ([`super::whole`]).
//! So the gradients of parts add up to those of the step, however places are dealt to parts and processes, and a part asks
//! nothing of others while it is at work.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use skysense_collective::Group;
use skysense_contract::{Input, Modality};
use skysense_model::Tape;

use super::PretrainConfig;
use super::config::Targets;
use super::contrast::{Chips, Rows};
use super::network::{Network, Order};
use super::pairs::{Compared, Pairs};
use super::stream::{Level, Stream};
use super::sums::{Outputs, Sums};
use super::view::{View, Views};
use super::whole::{Said, Taught, Whole};
use crate::TrainError;
use crate::batch::stack;
use crate::dataset::Prepared;
use crate::loss::{Grain, Granularity, summed};
use crate::loss_scale::LossScale;

/// A term of the loss.
pub(super) type Term = (Stream, Level);

/// Views of one size that the student sees in one pass, held against what the teacher sees.
pub(super) struct Set<'a> {
    pub(super) students: Vec<&'a View>,
    pub(super) pairs: BTreeMap<Stream, Pairs>,
}

/// Places that are worked on together.
pub(super) struct Part<'a> {
    /// The two views of each place: all first ones, then all second ones.
    pub(super) teachers: Vec<&'a View>,
    pub(super) sets: Vec<Set<'a>>,
    /// Region of each view of `teachers`.
    pub(super) regions: Vec<i64>,
}

/// What counts in a part or in a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) terms: BTreeMap<Term, f64>,
    /// Chips with both modalities, by ordered pair.
    pub(super) aligned: BTreeMap<(Modality, Modality), f64>,
}

/// What a part is worked on with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) config: &'a PretrainConfig,
    pub(super) inputs: &'a BTreeMap<Modality, Input>,
    pub(super) order: &'a Order,
    /// The student's; the teacher's is the same without a record.
    pub(super) device: &'a Device,
    /// τ_t at this step.
    pub(super) temperature: f64,
}

/// A part after its forward pass: what its losses are of.
pub(super) struct Seen {
    network: Network,
    tape: Tape,
    compared: Vec<Compare>,
    /// Projected features of the views, by modality, `[view, output]`.
    chips: BTreeMap<Modality, Tensor<2>>,
    sums: Sums,
    /// Places.
    pub(super) count: usize,
}

/// Features of a term.
struct Compare {
    /// The student's, not projected yet, `[image, feature, channel]`.
    student: Tensor<3>,
    taught: Taught,
}

impl<'a> Part<'a> {
    pub(super) fn new(places: &[&'a Views], order: &Order, config: &PretrainConfig) -> Self {
        let count = places.len();
        let teachers: Vec<&View> =
            (0..2).flat_map(|view| places.iter().map(move |place| &place.globals[view])).collect();
        let both: Vec<(usize, usize)> = (0..2 * count).map(|view| (view, (view + count) % (2 * count))).collect();
        let locals = places.first().map_or(0, |place| place.locals.len());
        let small: Vec<&View> =
            (0..locals).flat_map(|local| places.iter().map(move |place| &place.locals[local])).collect();
        let of_small = |view: usize| [(view, view % count), (view, count + view % count)];
        let of_small: Vec<(usize, usize)> = (0..small.len()).flat_map(of_small).collect();
        let set = |students: Vec<&'a View>, pairs: &[(usize, usize)]| {
            let pixels = config.crops.pixels;
            let compared = Compared { students: &students, teachers: &teachers, pairs, pixels };
            let counts = |stream: &Stream| Level::ALL.iter().any(|level| config.weight(*stream, *level) > 0.0);
            let streams = order.0.iter().copied().filter(counts);
            let pairs = streams.map(|stream| (stream, compared.of(stream))).collect();
            Set { students, pairs }
        };
        let mut sets = vec![set(teachers.clone(), &both)];
        if !small.is_empty() {
            sets.push(set(small, &of_small));
        }
        let of = |place: &&Views| {
            config.prototypes.map_or(0, |prototypes| prototypes.region(place.centre[0], place.centre[1]) as i64)
        };
        let regions = (0..2).flat_map(|_| places.iter().map(of)).collect();
        Self { teachers, sets, regions }
    }

    /// What counts here.
    pub(super) fn totals(&self, config: &PretrainConfig) -> Totals {
        let mut totals = Totals::default();
        let clusters = config.levels.objects.clusters;
        for set in &self.sets {
            for (stream, pairs) in &set.pairs {
                let images = pairs.images.len() as f64;
                let looked: f64 = pairs.looked_weights.iter().map(|weight| f64::from(*weight)).sum();
                let counts = [looked, images * clusters.clamp(1, pairs.area.max(1)) as f64, images];
                for (level, count) in Level::ALL.into_iter().zip(counts) {
                    if config.weight(*stream, level) > 0.0 {
                        *totals.terms.entry((*stream, level)).or_default() += count;
                    }
                }
            }
        }
        if config.alignment.weight > 0.0 {
            for (from, to) in ordered_pairs() {
                let both = |view: &&&View| view.shown.contains_key(&from) && view.shown.contains_key(&to);
                let count = self.teachers.iter().filter(both).count();
                if count > 0 {
                    let _new = totals.aligned.insert((from, to), count as f64);
                }
            }
        }
        totals
    }

    /// The forward pass of both networks. `network` is this part's own; what is drawn comes from the seed of `tape`.
    pub(super) fn see(&self, work: &Work<'_>, network: Network, tape: Tape) -> Seen {
        let Work { config, inputs, order, device, .. } = *work;
        let inner = device.clone().inner();
        let teachers = stack(&samples(&self.teachers), inputs, &inner);
        let regions = |device: &Device| {
            let data = TensorData::new(self.regions.clone(), [self.regions.len()]);
            Tensor::<1, Int>::from_data(data, device)
        };
        let theirs = network.teacher.features(&Tape::off(), &teachers, &regions(&inner), config.compute.precision);
        let (mut compared, mut chips, mut sums) = (Vec::new(), BTreeMap::new(), Sums::default());
        for (index, set) in self.sets.iter().enumerate() {
            let batch = stack(&samples(&set.students), inputs, device);
            let region = regions(device);
            // Small views lie in the region of their place.
            let views = set.students.len();
            let region = if index == 0 { region } else { region.repeat_dim(0, views.div_ceil(self.regions.len())) };
            let region = region.narrow(0, 0, views);
            let found = network.student.features(&tape, &batch, &region, config.compute.precision);
            if index == 0 {
                sums.prototypes.extend(self.prototypes(config, &network, &found.fused));
                for (stream, features) in &found.streams {
                    if let (Stream::Modality(modality), Some(dense)) = (stream, network.student.aligned(order, *stream))
                    {
                        let _new = chips.insert(*modality, dense.forward(self.chip_means(*modality, features)));
                    }
                }
            }
            for (stream, pairs) in &set.pairs {
                let (Some(student), Some(teacher)) = (found.streams.get(stream), theirs.streams.get(stream)) else {
                    continue;
                };
                if !pairs.images.is_empty() {
                    compared.extend(grains(work, &network, *stream, (student, teacher, pairs)));
                }
            }
        }
        Seen { network, tape, compared, chips, sums, count: self.teachers.len() / 2 }
    }

    /// What the losses of all parts need of this one.
    pub(super) fn say(&self, seen: &Seen, config: &PretrainConfig) -> Said {
        let features = seen.chips.iter().map(|(modality, chips)| {
            let values: Vec<f32> = chips.clone().detach().into_data().iter::<f32>().collect();
            let has = |view: &&View| f32::from(u8::from(view.shown.contains_key(modality)));
            let rows = |view: usize| {
                let of = view * seen.count..(view + 1) * seen.count;
                let values = values[of.start * config.alignment.outputs..of.end * config.alignment.outputs].to_vec();
                Rows { has: self.teachers[of].iter().map(has).collect(), values }
            };
            (*modality, [rows(0), rows(1)])
        });
        let chips = Chips { count: seen.count, features: features.collect() };
        let taught = match config.targets {
            Targets::Centred => Vec::new(),
            Targets::Balanced { .. } => seen.compared.iter().map(|compare| compare.taught.clone()).collect(),
        };
        Said { chips, taught }
    }

    /// `P̄` of the views, from the student's fused features.
    fn prototypes(
        &self,
        config: &PretrainConfig,
        network: &Network,
        fused: &Tensor<3>,
    ) -> Option<(Tensor<3>, Vec<usize>)> {
        let (prototypes, context) = (config.prototypes?, network.teacher.encoder.geo_context.as_ref()?);
        let fused = fused.clone().inner();
        let device = fused.device();
        let [views, pixels, _] = fused.dims();
        let seen = |view: &&View| (0..pixels).map(|pixel| view.seen_at_all(pixel)).collect::<Vec<_>>();
        let weights: Vec<Vec<bool>> = self.teachers.iter().map(seen).collect();
        let flat: Vec<f32> = weights.iter().flatten().map(|seen| f32::from(u8::from(*seen))).collect();
        let weights = Tensor::<2>::from_data(TensorData::new(flat, [views, pixels]), &device);
        let region = TensorData::new(self.regions.clone(), [views]);
        let table = context.prototypes().select(0, Tensor::<1, Int>::from_data(region, &device));
        let averages = prototypes.update.averages(context.queries(fused), weights, table);
        Some((averages, self.regions.iter().map(|region| *region as usize).collect()))
    }

    /// Means of a modality over all pixels and dates of each view that were seen: `[view, channel]`.
    fn chip_means(&self, modality: Modality, features: &Tensor<3>) -> Tensor<2> {
        let [images, pixels, channel] = features.dims();
        let views = self.teachers.len();
        let time = images / views;
        let mut weights = vec![0.0_f32; images * pixels];
        for (view, weights) in self.teachers.iter().zip(weights.chunks_exact_mut(time * pixels)) {
            if let Some(shown) = view.shown.get(&modality) {
                let seen = shown.valid.iter().filter(|valid| **valid != 0).count().max(1) as f32;
                let pixels = weights.iter_mut().zip(&shown.valid);
                pixels.for_each(|(weight, valid)| *weight = f32::from(u8::from(*valid != 0)) / seen);
            }
        }
        let shape = [views, 1, time * pixels];
        let weights = Tensor::<3>::from_data(TensorData::new(weights, shape), &features.device());
        weights.matmul(features.clone().reshape([views, time * pixels, channel])).reshape([views, channel])
    }
}

impl Seen {
    /// Gradients of this part's share of the loss; `None` where it is not finite or there is nothing to learn from. The
    /// places of the part are those from the `from`-th on of this process that `whole` was found with.
    pub(super) fn learn(
        self,
        work: &Work<'_>,
        (whole, from): (&Whole, usize),
        totals: &Totals,
        scale: &LossScale,
    ) -> (Sums, Option<GradientsParams>) {
        let Self { network, tape, compared, chips, mut sums, count } = self;
        let mut loss = losses(work, &network, compared, (whole, totals), &mut sums);
        for (modality, features) in &chips {
            if let Some(pull) = whole.contrast.pull(*modality, features, (from, count)) {
                loss = loss + pull * work.config.alignment.weight;
            }
        }
        if !sums.loss.is_finite() || !loss.is_tracked() {
            return (sums, None);
        }
        let gradients = tape.backward(&scale.scale(loss), &network.student);
        (sums, Some(gradients))
    }

    /// The losses alone.
    pub(super) fn judge(self, work: &Work<'_>, whole: &Whole, totals: &Totals) -> Sums {
        let Self { network, compared, mut sums, .. } = self;
        drop(losses(work, &network, compared, (whole, totals), &mut sums));
        sums
    }
}

/// The weighted sum of the losses of terms.
fn losses(
    work: &Work<'_>,
    network: &Network,
    compared: Vec<Compare>,
    (whole, totals): (&Whole, &Totals),
    sums: &mut Sums,
) -> Tensor<1> {
    let mut loss = Tensor::<1>::zeros([1], work.device);
    for compare in compared {
        let (stream, level) = compare.taught.term;
        let Some(total) = totals.terms.get(&compare.taught.term).filter(|total| **total > 0.0) else { continue };
        if let Some(one) = distil(work, network, compare, whole, sums) {
            let one = one / *total;
            *sums.losses.entry((stream, level)).or_default() += f64::from(one.clone().into_scalar::<f32>());
            loss = loss + one * work.config.weight(stream, level);
        }
    }
    sums.loss = f64::from(loss.clone().into_scalar::<f32>());
    loss
}

/// The features of a stream at its levels, with the teacher's outputs.
fn grains(
    work: &Work<'_>,
    network: &Network,
    stream: Stream,
    (student, teacher, pairs): (&Tensor<3>, &Tensor<3>, &Pairs),
) -> Vec<Compare> {
    let Work { config, order, device, .. } = *work;
    let inner = device.clone().inner();
    let (images, area) = (pairs.images.len(), pairs.area);
    let index = |values: &[i64], device: &Device| {
        Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
    };
    let [there, pixels, channel] = teacher.dims();
    let teacher = teacher.clone().reshape([there * pixels, channel]).select(0, index(&pairs.rows, &inner));
    let teacher = teacher.reshape([images, area, channel]);
    let student = student.clone().select(0, index(&pairs.images, device));
    let weights =
        |values: &[f32], shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &inner);
    let averaged = Granularity { pixel: 0.0, ..config.levels };
    let levels = averaged.levels(&student, &teacher, &weights(&pairs.weights, [images, area]));
    let looked = pairs.looked.len() / images;
    let look = |features: &Tensor<3>, device: &Device| {
        let rows = features.clone().reshape([images * area, channel]).select(0, index(&pairs.looked, device));
        rows.reshape([images, looked, channel])
    };
    let pixel = (config.levels.pixel > 0.0).then(|| Grain {
        student: look(&student, device),
        teacher: look(&teacher, &inner),
        weights: weights(&pairs.looked_weights, [images, looked]),
    });
    let levels = [(Level::Pixel, pixel), (Level::Object, levels.object), (Level::Image, levels.image)];
    let compare = |(level, grain): (Level, Option<Grain>)| {
        let (term, Grain { student, teacher, weights }) = ((stream, level), grain?);
        let outputs = network.teacher.head(order, term)?.forward(teacher);
        Some(Compare { student, taught: Taught { term, outputs, weights } })
    };
    levels.into_iter().filter_map(compare).collect()
}

/// The summed loss of a term, and what its teacher gave.
fn distil(
    work: &Work<'_>,
    network: &Network,
    Compare { student, taught: Taught { term, outputs, weights } }: Compare,
    whole: &Whole,
    sums: &mut Sums,
) -> Option<Tensor<1>> {
    let Work { config, order, temperature, .. } = *work;
    let ours = network.student.head(order, term)?;
    let centre = whole.centres.get(&term).cloned().unwrap_or_else(|| network.centre(order, term));
    let [images, features, count] = outputs.dims();
    let logits = (outputs.clone() - centre.unsqueeze()) / temperature;
    let targets = softmax(logits.clone(), 2);
    // `−Σ p log p` with `log p = z − log Σ exp z` is `log Σ exp z − Σ p z`; the largest `p` says what `log Σ exp z` is.
    let normaliser = logits.clone().max_dim(2) - targets.clone().max_dim(2).log();
    let entropy = (normaliser - (targets.clone() * logits).sum_dim(2)).reshape([images, features]);
    let of_all = weights.clone().reshape([1, images * features]);
    let total =
        |values: &Tensor<3>| of_all.clone().matmul(values.clone().reshape([images * features, count])).reshape([count]);
    let found = Outputs {
        sum: total(&outputs),
        targets: total(&targets),
        entropy: f64::from((entropy * weights.clone()).sum().into_scalar::<f32>()),
        count: f64::from(weights.clone().sum().into_scalar::<f32>()),
    };
    sums.add(term, found);
    Some(summed(ours.forward(student), targets, weights, config.temperatures.student))
}

impl Totals {
    /// What counts in the parts of all processes.
    pub(super) fn of_all(self, group: &dyn Group, order: &Order) -> Result<Self, TrainError> {
        if group.size() == 1 {
            return Ok(self);
        }
        let terms = || order.0.iter().flat_map(|stream| Level::ALL.map(|level| (*stream, level)));
        let mut counts: Vec<f64> = terms().map(|term| self.terms.get(&term).copied().unwrap_or_default()).collect();
        let of_terms = counts.len();
        counts.extend(ordered_pairs().map(|pair| self.aligned.get(&pair).copied().unwrap_or_default()));
        group.sum_exact(&mut counts)?;
        let aligned = ordered_pairs().zip(counts.split_off(of_terms)).filter(|(_, count)| *count > 0.0).collect();
        Ok(Self { terms: terms().zip(counts).filter(|(_, count)| *count > 0.0).collect(), aligned })
    }

    /// Adds another part of the same step.
    pub(super) fn join(&mut self, other: Self) {
        other.terms.into_iter().for_each(|(term, count)| *self.terms.entry(term).or_default() += count);
        other.aligned.into_iter().for_each(|(pair, count)| *self.aligned.entry(pair).or_default() += count);
    }
}

fn samples<'a>(views: &[&'a View]) -> Vec<&'a Prepared> {
    views.iter().map(|view| &view.sample).collect()
}

pub(super) fn ordered_pairs() -> impl Iterator<Item = (Modality, Modality)> {
    let all = Modality::ALL.into_iter();
    all.flat_map(|from| Modality::ALL.into_iter().map(move |to| (from, to))).filter(|(from, to)| from != to)
}
