//! One part of a step's places: forward pass, losses, gradients, and the sums that centre and prototypes need.
//!
//! Losses are divided by what counts in the whole step, which is known from what views show and needs no pixel. So the
//! gradients of parts add up to those of the step, however places are dealt to parts and processes. The alignment alone
//! compares the places of a part with each other, those of all processes that work on it.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use skysense_collective::Group;
use skysense_contract::{Input, Modality};
use skysense_model::Tape;

use super::PretrainConfig;
use super::network::{Network, Order};
use super::pairs::{Compared, Pairs};
use super::stream::{Level, Stream};
use super::view::{View, Views};
use crate::TrainError;
use crate::batch::stack;
use crate::dataset::Prepared;
use crate::loss::{Grain, Granularity, alignment, summed};
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

/// What a part adds to its step.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Shares of the losses of the step.
    pub(super) losses: BTreeMap<Term, f64>,
    pub(super) alignment: f64,
    /// The teacher's outputs by term: sums `[output]`, sum of their targets, sum of entropies, count.
    pub(super) outputs: BTreeMap<Term, Outputs>,
    /// `P̄` of each view with its region.
    pub(super) prototypes: Vec<(Tensor<3>, Vec<usize>)>,
    /// The weighted sum of all losses.
    pub(super) loss: f64,
}

/// Sums over the teacher's features of a term.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    pub(super) sum: Tensor<1>,
    pub(super) targets: Tensor<1>,
    pub(super) entropy: f64,
    pub(super) count: f64,
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
    /// Of what is drawn.
    pub(super) seed: u64,
    /// The processes that work on the step.
    pub(super) group: &'a dyn Group,
}

impl<'a> Part<'a> {
    pub(super) fn new(places: &'a [Views], order: &Order, config: &PretrainConfig) -> Self {
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
        let of = |place: &Views| {
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

    /// Gradients of this part's share of the loss; `None` where it is not finite or there is nothing to learn from.
    pub(super) fn work(
        &self,
        work: &Work<'_>,
        network: &Network,
        totals: &Totals,
        scale: &LossScale,
    ) -> Result<(Sums, Option<GradientsParams>), TrainError> {
        let Work { config, inputs, device, .. } = *work;
        if self.teachers.is_empty() {
            // Others may have places to compare.
            let mut sums = Sums::default();
            drop(self.aligned(work, network, &BTreeMap::new(), totals, &mut sums)?);
            return Ok((sums, None));
        }
        let inner = device.clone().inner();
        let teachers = stack(&samples(&self.teachers), inputs, &inner);
        let regions = |device: &Device| {
            let data = TensorData::new(self.regions.clone(), [self.regions.len()]);
            Tensor::<1, Int>::from_data(data, device)
        };
        let taught = network.teacher.features(&Tape::off(), &teachers, &regions(&inner), config.compute.precision);
        let mut sums = Sums::default();
        let tape = Tape::new(config.compute.checkpointing, work.seed);
        let mut loss = Tensor::<1>::zeros([1], device);
        // Of the alignment every process has the gradient of all of it, and a share of its value.
        let mut elsewhere = 0.0;
        for (index, set) in self.sets.iter().enumerate() {
            let batch = stack(&samples(&set.students), inputs, device);
            let region = regions(device);
            // Small views lie in the region of their place.
            let views = set.students.len();
            let region = if index == 0 { region } else { region.repeat_dim(0, views.div_ceil(self.regions.len())) };
            let region = region.narrow(0, 0, views);
            let found = network.student.features(&tape, &batch, &region, config.compute.precision);
            if index == 0 {
                self.prototypes(work, network, &found.fused, &mut sums);
                let (aligned, share) = self.aligned(work, network, &found.streams, totals, &mut sums)?;
                loss = loss + aligned;
                elsewhere = share;
            }
            for (stream, pairs) in &set.pairs {
                let (Some(student), Some(teacher)) = (found.streams.get(stream), taught.streams.get(stream)) else {
                    continue;
                };
                if !pairs.images.is_empty() {
                    let compared = (student, teacher, pairs);
                    loss = loss + distil(work, network, *stream, compared, totals, &mut sums);
                }
            }
        }
        sums.loss = f64::from(loss.clone().into_scalar::<f32>()) - elsewhere;
        if !sums.loss.is_finite() || !loss.is_tracked() {
            return Ok((sums, None));
        }
        let gradients = tape.backward(&scale.scale(loss), &network.student);
        Ok((sums, Some(gradients)))
    }

    /// `P̄` of the views, from the student's fused features.
    fn prototypes(&self, work: &Work<'_>, network: &Network, fused: &Tensor<3>, sums: &mut Sums) {
        let (Some(prototypes), Some(context)) = (work.config.prototypes, &network.teacher.encoder.geo_context) else {
            return;
        };
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
        sums.prototypes.push((averages, self.regions.iter().map(|region| *region as usize).collect()));
    }

    /// The loss of the alignment of modalities over the places of all processes, both views by themselves, and how much of
    /// its value others count.
    fn aligned(
        &self,
        work: &Work<'_>,
        network: &Network,
        streams: &BTreeMap<Stream, Tensor<3>>,
        totals: &Totals,
        sums: &mut Sums,
    ) -> Result<(Tensor<1>, f64), TrainError> {
        let Work { config, order, device, group, .. } = *work;
        let mut loss = Tensor::<1>::zeros([1], device);
        if totals.aligned.is_empty() {
            return Ok((loss, 0.0));
        }
        let mut chips = BTreeMap::new();
        for modality in Modality::ALL {
            let stream = Stream::Modality(modality);
            let Some(dense) = network.student.aligned(order, stream) else { continue };
            let mine = streams.get(&stream).map(|features| dense.forward(self.chip_means(modality, features)));
            let has = |view: &&View| f32::from(u8::from(view.shown.contains_key(&modality)));
            let has: Vec<f32> = self.teachers.iter().map(has).collect();
            let _new = chips.insert(modality, Chips::gather(group, mine, &has, config.alignment.outputs, device)?);
        }
        for (from, to) in ordered_pairs() {
            let (Some(a), Some(b), Some(total)) = (chips.get(&from), chips.get(&to), totals.aligned.get(&(from, to)))
            else {
                continue;
            };
            for view in 0..2 {
                let both: Vec<f32> = a.has[view].iter().zip(&b.has[view]).map(|(a, b)| a * b).collect();
                let count: f64 = both.iter().map(|both| f64::from(*both)).sum();
                if count == 0.0 {
                    continue;
                }
                let (Some(a), Some(b)) = (a.features[view].clone(), b.features[view].clone()) else { continue };
                let places = both.len();
                let both = Tensor::<1>::from_data(TensorData::new(both, [places]), device);
                loss = loss + alignment(a, b, both, config.alignment.temperature) * (count / total);
            }
        }
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let (pairs, share) = (totals.aligned.len() as f64, 1.0 / group.size() as f64);
        sums.alignment = value * share / pairs;
        Ok((loss * config.alignment.weight, value * config.alignment.weight * (1.0 - share)))
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

/// Projected features of one modality of the places of all processes, by view; a gradient goes to those of this one.
struct Chips {
    /// `[place, output]`; `None` where nobody has a place.
    features: [Option<Tensor<2>>; 2],
    /// 1 for each place that has the modality.
    has: [Vec<f32>; 2],
}

impl Chips {
    /// `mine` and `has` are of both views of this process's places: all first ones, then all second ones.
    fn gather(
        group: &dyn Group,
        mine: Option<Tensor<2>>,
        has: &[f32],
        outputs: usize,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut told = has.to_vec();
        match &mine {
            Some(mine) if group.size() > 1 => told.extend(mine.clone().detach().into_data().iter::<f32>()),
            _ => told.resize(has.len() * (1 + outputs), 0.0),
        }
        let all = group.gather_numbers(&told)?;
        let of_view = |view: usize| {
            let (mut rows, mut there) = (Vec::new(), Vec::new());
            for (rank, told) in all.iter().enumerate() {
                let places = told.len() / (1 + outputs) / 2;
                if places == 0 {
                    continue;
                }
                there.extend_from_slice(&told[view * places..][..places]);
                rows.push(match &mine {
                    Some(mine) if rank == group.rank() => mine.clone().narrow(0, view * places, places),
                    _ => {
                        let values = told[2 * places + view * places * outputs..][..places * outputs].to_vec();
                        Tensor::from_data(TensorData::new(values, [places, outputs]), device)
                    }
                });
            }
            ((!rows.is_empty()).then(|| Tensor::cat(rows, 0)), there)
        };
        let [(first, there), (second, too)] = [of_view(0), of_view(1)];
        Ok(Self { features: [first, second], has: [there, too] })
    }
}

/// The losses of a stream at its levels, weighted.
fn distil(
    work: &Work<'_>,
    network: &Network,
    stream: Stream,
    (student, teacher, pairs): (&Tensor<3>, &Tensor<3>, &Pairs),
    totals: &Totals,
    sums: &mut Sums,
) -> Tensor<1> {
    let Work { config, device, .. } = *work;
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
    let mut loss = Tensor::<1>::zeros([1], device);
    for (level, grain) in [(Level::Pixel, pixel), (Level::Object, levels.object), (Level::Image, levels.image)] {
        let term = (stream, level);
        let (Some(grain), Some(total)) = (grain, totals.terms.get(&term).filter(|total| **total > 0.0)) else {
            continue;
        };
        if let Some(one) = compare(work, network, term, grain, sums) {
            let one = one / *total;
            *sums.losses.entry(term).or_default() += f64::from(one.clone().into_scalar::<f32>());
            loss = loss + one * config.weight(stream, level);
        }
    }
    loss
}

/// The summed loss of a term, and what its teacher gave.
fn compare(work: &Work<'_>, network: &Network, term: Term, grain: Grain, sums: &mut Sums) -> Option<Tensor<1>> {
    let Work { config, order, temperature, .. } = *work;
    let (ours, theirs) = (network.student.head(order, term)?, network.teacher.head(order, term)?);
    let outputs = theirs.forward(grain.teacher);
    let centre = network.centre(order, term);
    let [images, features, count] = outputs.dims();
    let logits = (outputs.clone() - centre.unsqueeze()) / temperature;
    let targets = softmax(logits.clone(), 2);
    // `−Σ p log p` with `log p = z − log Σ exp z` is `log Σ exp z − Σ p z`.
    let most = logits.clone().max_dim(2);
    let normaliser = (logits.clone() - most.clone()).exp().sum_dim(2).log() + most;
    let entropy = (normaliser - (targets.clone() * logits).sum_dim(2)).reshape([images, features]);
    let weights = grain.weights.clone().reshape([1, images * features]);
    let total = |values: &Tensor<3>| {
        weights.clone().matmul(values.clone().reshape([images * features, count])).reshape([count])
    };
    let found = Outputs {
        sum: total(&outputs),
        targets: total(&targets),
        entropy: f64::from((entropy * grain.weights.clone()).sum().into_scalar::<f32>()),
        count: f64::from(grain.weights.clone().sum().into_scalar::<f32>()),
    };
    sums.add(term, found);
    Some(summed(ours.forward(grain.student), targets, grain.weights, config.temperatures.student))
}

impl Sums {
    fn add(&mut self, term: Term, found: Outputs) {
        let sum = match self.outputs.remove(&term) {
            None => found,
            Some(before) => Outputs {
                sum: before.sum + found.sum,
                targets: before.targets + found.targets,
                entropy: before.entropy + found.entropy,
                count: before.count + found.count,
            },
        };
        let _new = self.outputs.insert(term, sum);
    }

    /// Adds another part of the same step.
    pub(super) fn join(&mut self, other: Self) {
        other.losses.into_iter().for_each(|(term, loss)| *self.losses.entry(term).or_default() += loss);
        other.outputs.into_iter().for_each(|(term, found)| self.add(term, found));
        self.alignment += other.alignment;
        self.loss += other.loss;
        self.prototypes.extend(other.prototypes);
    }
}

impl Sums {
    /// Those of all processes. `totals` says what counts anywhere; a projection has so many outputs.
    pub(super) fn of_all(
        self,
        group: &dyn Group,
        totals: &Totals,
        (outputs, device): (usize, &Device),
    ) -> Result<Self, TrainError> {
        if group.size() == 1 {
            return Ok(self);
        }
        let terms: Vec<Term> = totals.terms.iter().filter(|(_, total)| **total > 0.0).map(|(term, _)| *term).collect();
        let mut numbers = vec![self.loss, self.alignment];
        let mut values: Vec<f32> = Vec::with_capacity(2 * outputs * terms.len());
        for term in &terms {
            numbers.push(self.losses.get(term).copied().unwrap_or_default());
            let found = self.outputs.get(term);
            numbers.extend(found.map_or([0.0; 2], |found| [found.entropy, found.count]));
            match found {
                Some(Outputs { sum, targets, .. }) => {
                    values.extend(sum.to_data().iter::<f32>().chain(targets.to_data().iter::<f32>()));
                }
                None => values.resize(values.len() + 2 * outputs, 0.0),
            }
        }
        group.sum_exact(&mut numbers)?;
        group.sum(&mut values)?;
        let mut all = Self { loss: numbers[0], alignment: numbers[1], ..Self::default() };
        let tensor = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [outputs]), device);
        for (at, term) in terms.into_iter().enumerate() {
            let [loss, entropy, count] = [0, 1, 2].map(|one| numbers[2 + 3 * at + one]);
            let _new = all.losses.insert(term, loss);
            let values = &values[2 * outputs * at..][..2 * outputs];
            let (sum, targets) = (tensor(&values[..outputs]), tensor(&values[outputs..]));
            let _new = all.outputs.insert(term, Outputs { sum, targets, entropy, count });
        }
        all.prototypes = gathered(group, self.prototypes, device)?;
        Ok(all)
    }
}

/// `P̄` of the views of all processes, those of lower ranks first.
fn gathered(
    group: &dyn Group,
    mine: Vec<(Tensor<3>, Vec<usize>)>,
    device: &Device,
) -> Result<Vec<(Tensor<3>, Vec<usize>)>, TrainError> {
    let shape = mine.first().map_or([0; 3], |(averages, _)| averages.dims());
    let regions: Vec<f32> = mine.iter().flat_map(|(_, regions)| regions).map(|region| *region as f32).collect();
    // Prototypes, channels, views; the regions; the values.
    let mut told: Vec<f32> = vec![shape[1] as f32, shape[2] as f32, regions.len() as f32];
    told.extend(regions);
    for (averages, _) in mine {
        told.extend(averages.into_data().iter::<f32>());
    }
    let mut all = Vec::new();
    for told in group.gather_numbers(&told)? {
        let [prototypes, channels, views] = [0, 1, 2].map(|at| told[at] as usize);
        if views > 0 {
            let regions = told[3..][..views].iter().map(|region| *region as usize).collect();
            let data = TensorData::new(told[3 + views..].to_vec(), [views, prototypes, channels]);
            all.push((Tensor::from_data(data, device), regions));
        }
    }
    Ok(all)
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

fn ordered_pairs() -> impl Iterator<Item = (Modality, Modality)> {
    let all = Modality::ALL.into_iter();
    all.flat_map(|from| Modality::ALL.into_iter().map(move |to| (from, to))).filter(|(from, to)| from != to)
}
