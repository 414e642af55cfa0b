//! The teacher: its features of every sample, standardised channel by channel.
//!
//! A teacher sees each sample once, as it is: with all its dates, alone in its batch, and without recording what a
//! gradient would need. Its features are the same at every step then, so they are held in memory where they fit into
//! [`crate::DistillConfig::hold`] and computed anew where not, with the same values either way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use skysense_contract::Modality;
use skysense_model::{Precision, SkySense, Tape};

use super::level::Level;
use super::plan::{Plan, channels};
use crate::batch::stack;
use crate::dataset::{Legend, Prepared, prepare_one};
use crate::network::{load_encoder, random_encoder, tokens};
use crate::setup::Setup;
use crate::{Hooks, Sample, TrainError};

/// No labels: every valid pixel counts.
const UNLABELLED: Legend<'static> = Legend { classes: &[], ignore: &[] };

/// A sample as a model sees it: its modalities alone.
pub(super) fn prepared(sample: &Sample, index: usize, setup: &Setup) -> Result<Prepared, TrainError> {
    let all = sample.series.keys().all(|modality| setup.bands.contains_key(modality));
    let sample = if all {
        Cow::Borrowed(sample)
    } else {
        let mut sample = sample.clone();
        sample.series.retain(|modality, _| setup.bands.contains_key(modality));
        Cow::Owned(sample)
    };
    prepare_one(&sample, (&setup.inputs, &setup.bands), setup.chip_size, UNLABELLED)
        .map_err(|fault| TrainError::Sample { sample: index, fault })
}

/// The teacher's features of one sample.
#[derive(Debug, Clone)]
pub(super) struct Features {
    /// `[time, channel, height, width]` by level; time is 1 for the fused ones.
    pub(super) maps: BTreeMap<Level, Vec<f32>>,
    /// Day of each date, by modality.
    pub(super) days: BTreeMap<Modality, Vec<i64>>,
}

/// Mean and deviation of each channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standard {
    pub(super) mean: Vec<f32>,
    pub(super) deviation: Vec<f32>,
}

/// The teacher, and what it gives for the samples of a run.
pub(super) struct Teacher<'a> {
    samples: &'a [Sample],
    setup: &'a Setup,
    levels: &'a [Level],
    encoder: SkySense,
    device: Device,
    /// By sample, where they are held.
    held: Option<Vec<Option<Features>>>,
    /// By level.
    pub(super) standards: BTreeMap<Level, Standard>,
}

impl<'a> Teacher<'a> {
    /// Loads the teacher and has it look at every sample: for its features where they are to be held, and for the means
    /// and deviations of their channels over the pixels that train. Samples that it sees nothing of no longer train.
    pub(super) fn new(
        (samples, device): (&'a [Sample], &Device),
        plan: &'a Plan,
        (ready, hold): (&mut [Prepared], u64),
        hooks: &mut dyn Hooks,
    ) -> Result<Self, TrainError> {
        let (encoder, _) = load_encoder(random_encoder(&plan.teacher, 0, &Device::flex())?, &plan.package)?;
        let (encoder, device) = (encoder.to_device(device), device.clone());
        let (setup, levels) = (&plan.teacher, &plan.levels[..]);
        let mut teacher = Self { samples, setup, levels, encoder, device, held: None, standards: BTreeMap::new() };
        let sizes = teacher.encoder.config();
        let mut sums: BTreeMap<Level, Sums> =
            levels.iter().map(|level| (*level, Sums::new(channels(sizes, *level)))).collect();
        let (mut held, mut bytes) = (Some(Vec::with_capacity(samples.len())), 0_u64);
        for (index, ready) in ready.iter_mut().enumerate() {
            if hooks.cancelled() {
                return Err(TrainError::Cancelled { step: 0 });
            }
            let features = if ready.series.is_empty() { None } else { teacher.look(index)? };
            match &features {
                Some(features) => {
                    for (level, maps) in &features.maps {
                        if let Some(sums) = sums.get_mut(level) {
                            sums.add(maps, ready);
                        }
                        bytes += 4 * maps.len() as u64;
                    }
                }
                None => ready.targets.iter_mut().for_each(|target| target.class = None),
            }
            held = held.filter(|_| bytes <= hold);
            if let Some(held) = &mut held {
                held.push(features);
            }
            hooks.teacher(index + 1, samples.len());
        }
        teacher.standards = sums.into_iter().map(|(level, sums)| (level, sums.standard())).collect();
        teacher.held =
            held.map(|held| held.into_iter().map(|features| Some(teacher.standardised(features?))).collect());
        Ok(teacher)
    }

    /// Channels of the features at a level.
    pub(super) fn channels(&self, level: Level) -> usize {
        self.standards.get(&level).map_or(0, |standard| standard.mean.len())
    }

    /// Features with mean and deviation of each channel taken off.
    fn standardised(&self, mut features: Features) -> Features {
        let area = self.setup.chip_size.pow(2);
        for (level, maps) in &mut features.maps {
            let Some(Standard { mean, deviation }) = self.standards.get(level) else { continue };
            for (plane, values) in maps.chunks_exact_mut(area).enumerate() {
                let channel = plane % mean.len();
                values.iter_mut().for_each(|value| *value = (*value - mean[channel]) / deviation[channel]);
            }
        }
        features
    }

    /// Standardised features of a sample; `None` where the teacher sees nothing of it.
    pub(super) fn features(&self, index: usize) -> Result<Option<Cow<'_, Features>>, TrainError> {
        match &self.held {
            Some(held) => Ok(held[index].as_ref().map(Cow::Borrowed)),
            None => Ok(self.look(index)?.map(|features| Cow::Owned(self.standardised(features)))),
        }
    }

    fn look(&self, index: usize) -> Result<Option<Features>, TrainError> {
        let sample = prepared(&self.samples[index], index, self.setup)?;
        if sample.series.is_empty() {
            return Ok(None);
        }
        let batch = stack(&[&sample], &self.setup.inputs, &self.device);
        let tokens = tokens(&self.encoder, &Tape::off(), &batch, Precision::F32);
        let mut maps = BTreeMap::new();
        for (modality, place) in batch.places() {
            if self.levels.contains(&Level::Encoder(modality)) {
                let part = tokens.features.clone().narrow(1, place.start, place.len());
                maps.insert(Level::Encoder(modality), self.values(part.squeeze_dim::<4>(0))?);
            }
        }
        maps.insert(Level::Fused, self.values(self.encoder.fusion.forward(tokens))?);
        let days = sample.series.iter().map(|(modality, series)| (*modality, series.days.clone())).collect();
        Ok(Some(Features { maps, days }))
    }

    /// Values of maps on the 10 m grid, where teacher and student are compared.
    fn values(&self, maps: Tensor<4>) -> Result<Vec<f32>, TrainError> {
        let ([_, _, height, width], side) = (maps.dims(), self.setup.chip_size);
        if [height, width] != [side; 2] {
            return Err(TrainError::Model(format!(
                "the teacher gives maps of {height} × {width} for chips of {side} pixels; features are compared on the \
                 10 m grid"
            )));
        }
        Ok(maps.into_data().iter::<f32>().collect())
    }
}

/// Sums over the pixels that train.
#[derive(Debug)]
struct Sums {
    count: f64,
    /// Sum and sum of squares of each channel.
    channels: Vec<(f64, f64)>,
}

impl Sums {
    fn new(channels: usize) -> Self {
        Self { count: 0.0, channels: vec![(0.0, 0.0); channels] }
    }

    fn add(&mut self, maps: &[f32], ready: &Prepared) {
        let area = ready.targets.len();
        let trains: Vec<usize> =
            (0..area).filter(|at| ready.targets[*at].class.is_some() && !ready.targets[*at].validates).collect();
        for (plane, values) in maps.chunks_exact(area).enumerate() {
            let channels = self.channels.len();
            let channel = &mut self.channels[plane % channels];
            for at in &trains {
                let value = f64::from(values[*at]);
                *channel = (channel.0 + value, channel.1 + value * value);
            }
        }
        self.count += (maps.len() / area / self.channels.len() * trains.len()) as f64;
    }

    fn standard(self) -> Standard {
        let count = self.count.max(1.0);
        let deviation = |(sum, squares): &(f64, f64)| {
            let variance = squares / count - (sum / count).powi(2);
            // A channel that says the same everywhere stays at 0 once its mean is off.
            if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 }
        };
        Standard {
            mean: self.channels.iter().map(|(sum, _)| (sum / count) as f32).collect(),
            deviation: self.channels.iter().map(deviation).collect(),
        }
    }
}
