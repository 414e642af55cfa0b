//! Labelled samples that features are measured on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use skysense_contract::{Class, Input, Modality, Offer, Package};
use skysense_model::{Precision, SkySense, Tape};

use super::features::Features;
use super::readout::{ProbeConfig, ProbeScores};
use super::statistics::statistics;
use crate::batch::stack;
use crate::dataset::{Legend, Prepared, locate, prepare};
use crate::network::{features, load_encoder, random_encoder};
use crate::setup::{Setup, bands, from_package, setup};
use crate::split::Split;
use crate::{Recipe, Sample, Start, TrainError};

/// Samples whose features are taken at a time.
const BATCH: usize = 4;

/// Labelled samples, and which of their pixels are looked at: each place of the map once, taken evenly.
#[derive(Debug)]
pub struct Probe {
    samples: Vec<Sample>,
    offers: BTreeMap<Modality, Offer>,
    classes: Vec<Class>,
    ignore: Vec<u8>,
    config: ProbeConfig,
    /// Sample and place of each pixel that is looked at.
    pixels: Vec<(usize, usize)>,
    /// Its class.
    truth: Vec<u8>,
    /// Its column and row on the map.
    places: Vec<(i64, i64)>,
    /// Side of the samples in pixels of the 10 m grid.
    size: usize,
    statistics: Features,
}

/// A probe that a training looks at now and then.
#[derive(Debug, Clone)]
pub struct Probing {
    /// What is looked at.
    pub probe: Arc<Probe>,
    /// Steps between two looks.
    pub every: usize,
}

/// Two are the same where they look at the same samples as often.
impl PartialEq for Probing {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.probe, &other.probe) && self.every == other.every
    }
}

/// The samples of a probe as one model sees them.
#[derive(Debug)]
pub(crate) struct ProbeView<'a> {
    probe: &'a Probe,
    ready: Vec<Prepared>,
    inputs: BTreeMap<Modality, Input>,
}

impl ProbeView<'_> {
    /// The fused features of an encoder for each pixel that is looked at; NaN where it sees nothing.
    ///
    /// # Errors
    /// Features that do not lie on the 10 m grid.
    pub(crate) fn features(&self, encoder: &SkySense) -> Result<Features, TrainError> {
        let (size, width) = (self.probe.size, encoder.config().channels());
        let mut of_sample: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (row, (sample, place)) in self.probe.pixels.iter().enumerate() {
            of_sample.entry(*sample).or_default().push((row, *place));
        }
        let mut values = vec![f32::NAN; width * self.probe.pixels.len()];
        let seen: Vec<usize> =
            of_sample.keys().copied().filter(|sample| !self.ready[*sample].series.is_empty()).collect();
        let encoder = encoder.clone().no_grad();
        for group in seen.chunks(BATCH) {
            let samples: Vec<&Prepared> = group.iter().map(|sample| &self.ready[*sample]).collect();
            let batch = stack(&samples, &self.inputs, &Device::flex());
            let maps = features(&encoder, &Tape::off(), &batch, Precision::F32);
            if maps.dims()[1..] != [width, size, size] {
                let found = format!("{:?}", &maps.dims()[1..]);
                return Err(TrainError::Model(format!(
                    "a probe compares features on the 10 m grid, expected [{width}, {size}, {size}], found {found}"
                )));
            }
            let maps: Vec<f32> = maps.into_data().iter::<f32>().collect();
            for (sample, map) in group.iter().zip(maps.chunks_exact(width * size * size)) {
                for (row, place) in &of_sample[sample] {
                    for channel in 0..width {
                        values[row * width + channel] = map[channel * size * size + place];
                    }
                }
            }
        }
        Ok(Features { width, values })
    }

    /// Scores of an encoder, with the seed of the settings.
    ///
    /// # Errors
    /// As [`ProbeView::features`].
    pub(crate) fn scores(&self, encoder: &SkySense) -> Result<ProbeScores, TrainError> {
        self.probe.judge(&self.features(encoder)?, self.probe.config.seed)
    }
}

impl Probe {
    /// Chooses the pixels of samples that hold what `offers` says.
    ///
    /// # Errors
    /// Settings out of range, samples that do not fit, fewer than two regions or two classes with labels.
    pub fn new(
        samples: Vec<Sample>,
        offers: BTreeMap<Modality, Offer>,
        (classes, ignore): (Vec<Class>, Vec<u8>),
        config: ProbeConfig,
    ) -> Result<Self, TrainError> {
        config.check()?;
        let own = setup(&samples, &offers, &Recipe::default())?;
        let legend = Legend { classes: &classes, ignore: &ignore };
        let ready = prepare(&samples, &own.inputs, &own.bands, own.chip_size, legend)?;
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for (index, (sample, ready)) in samples.iter().zip(&ready).enumerate() {
            for (place, target) in ready.targets.iter().enumerate() {
                let Some(class) = target.class else { continue };
                let at =
                    (sample.origin[0] + (place % ready.size) as i64, sample.origin[1] + (place / ready.size) as i64);
                // Under two chips that overlap a pixel counts once.
                if seen.insert(at) {
                    all.push(((index, place), class, at));
                }
            }
        }
        // A step with no factor in common with the rows of chips would be better still; odd ones do for sides of powers of 2.
        let step = all.len().div_ceil(config.pixels).max(1) | 1;
        let chosen: Vec<_> = all.into_iter().step_by(step).collect();
        let statistics = statistics(&ready, &own.inputs, &chosen.iter().map(|(at, ..)| *at).collect::<Vec<_>>());
        let mut probe = Self {
            samples,
            offers,
            classes,
            ignore,
            config,
            pixels: Vec::new(),
            truth: Vec::new(),
            places: Vec::new(),
            size: own.chip_size,
            statistics,
        };
        for (pixel, class, place) in chosen {
            probe.pixels.push(pixel);
            probe.truth.push(class);
            probe.places.push(place);
        }
        let regions: BTreeSet<_> = probe.regions().collect();
        let found: BTreeSet<_> = probe.truth.iter().collect();
        if regions.len() < 2 || found.len() < 2 {
            let (regions, found, block) = (regions.len(), found.len(), probe.config.block);
            let hint = format!(
                "a probe needs two classes and two regions at least: {found} classes in {regions} regions of {block} × \
                 {block} pixels are labelled"
            );
            return Err(TrainError::NoLabels { hint });
        }
        Ok(probe)
    }

    /// Pixels that are looked at.
    pub fn pixels(&self) -> usize {
        self.pixels.len()
    }

    /// Mean, deviation, least and largest of each pixel's own values over its dates, band by band: what a model's features
    /// must beat.
    pub fn statistics(&self) -> &Features {
        &self.statistics
    }

    /// The features of a model package.
    ///
    /// # Errors
    /// A package that cannot be used, or that the samples do not fit.
    pub fn of_package(&self, folder: &Path) -> Result<Features, TrainError> {
        let (package, device) = (Package::open(folder)?, Device::flex());
        let setup = self.setup(package.clone())?;
        let (encoder, _) = load_encoder(random_encoder(&setup, 0, &device)?, &package)?;
        self.view(&setup)?.features(&encoder)
    }

    /// The features of a model with random weights: of an architecture, or of that of a package.
    ///
    /// # Errors
    /// A preset that is not known, a package that cannot be used, or that the samples do not fit.
    pub fn of_random(&self, start: &Start, seed: u64) -> Result<Features, TrainError> {
        let setup = match start {
            Start::Package(folder) => self.setup(Package::open(folder)?)?,
            Start::Preset(_) => {
                let recipe = Recipe { start: start.clone(), ..Recipe::default() };
                setup(&self.samples, &self.offers, &recipe)?
            }
        };
        self.view(&setup)?.features(&random_encoder(&setup, seed, &Device::flex())?)
    }

    fn setup(&self, package: Package) -> Result<Setup, TrainError> {
        let offers = self.offers_for(&package.contract().modalities, package.contract().chip_size);
        from_package(package, &offers)
    }

    /// What the samples hold of what a model sees, as if their chips were of its size: encoders take chips of any side.
    fn offers_for(&self, inputs: &BTreeMap<Modality, Input>, chip_size: usize) -> BTreeMap<Modality, Offer> {
        let seen = |(modality, offer): (&Modality, &Offer)| {
            let size = chip_size * inputs.get(modality)?.scale;
            Some((*modality, Offer { size, ..offer.clone() }))
        };
        self.offers.iter().filter_map(seen).collect()
    }

    /// The samples as a model sees them.
    ///
    /// # Errors
    /// Samples that do not fit the model's inputs.
    pub(crate) fn view(&self, setup: &Setup) -> Result<ProbeView<'_>, TrainError> {
        let contract = setup.contract("probe", "proprietary", None)?;
        let bands = bands(&contract, &self.offers_for(&setup.inputs, setup.chip_size))?;
        let seen = self.samples.iter().map(|sample| {
            let series = sample.series.iter().filter(|(modality, _)| bands.contains_key(modality));
            Sample { series: series.map(|(m, s)| (*m, s.clone())).collect(), ..sample.clone() }
        });
        let legend = Legend { classes: &self.classes, ignore: &self.ignore };
        let mut ready = prepare(&seen.collect::<Vec<_>>(), &setup.inputs, &bands, self.size, legend)?;
        locate(&self.samples, &mut ready, setup.geo_context.as_ref())?;
        Ok(ProbeView { probe: self, ready, inputs: setup.inputs.clone() })
    }

    /// Scores of features of all pixels, learned on some regions and scored on the others; the seed says on which.
    ///
    /// # Errors
    /// Features of another number of pixels.
    pub fn judge(&self, features: &Features, seed: u64) -> Result<ProbeScores, TrainError> {
        if features.count() != self.truth.len() {
            let (found, expected) = (features.count(), self.truth.len());
            return Err(TrainError::Model(format!("features of {found} pixels, expected {expected}")));
        }
        let mut labelled = BTreeMap::new();
        self.regions().for_each(|region| *labelled.entry(region).or_insert(0) += 1);
        let split = Split::new(self.config.block, self.config.validation, &labelled, seed);
        let scored: Vec<bool> = self.places.iter().map(|(x, y)| split.validates(*x, *y)).collect();
        Ok(self.config.judge(features, &self.truth, self.classes.len(), &scored))
    }

    fn regions(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.places.iter().map(|(x, y)| Split::block_of(self.config.block, *x, *y))
    }
}
