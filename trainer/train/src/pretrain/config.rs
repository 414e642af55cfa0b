//! Settings of pretraining.
//!
//! What the paper tells is in [`PretrainConfig::paper`], beside what it does not tell: that is DINO's (Caron et al., ICCV
//! 2021, `main_dino.py`), SwAV's (Caron et al., NeurIPS 2020) or ours, and each field says which.

use serde::{Deserialize, Serialize};
use skysense_contract::{Division, GeoContext};
use skysense_model::{Checkpointing, Precision};

use super::augment::{Crops, Photometric};
use super::head::HeadSizes;
use super::prototypes::PrototypeUpdate;
use super::validation::Validation;
use crate::loss::{Granularity, Sinkhorn};
use crate::probe::Probing;
use crate::{Augmentation, Compute, Normalisation, Recipe, Start, TrainError, TrainingDevice};

/// Settings of pretraining.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretrainConfig {
    /// Start, steps, rate and its schedule, decay at the start, clipping, seed, normalisation; which turns, subsets of dates
    /// and left-out modalities each view has. Nothing is held out of places, so its `validation` and `block` say nothing.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Name of the model.
    pub name: String,
    /// Licence of the resulting weights as an SPDX expression, or `proprietary`.
    pub licence: String,
    /// Weight decay at the end; it goes there from the recipe's along half a cosine. DINO: 0.04 to 0.4.
    pub weight_decay_end: f64,
    /// Decay of AdamW's moments. PyTorch's, which DINO has: 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Keeps AdamW's division from zero.
    pub epsilon: f64,
    /// Stochastic depth of the last layers in place of the preset's.
    pub drop_path: Option<f64>,
    /// How the teacher follows the student.
    pub momentum: Momentum,
    /// How sharp the outputs of both sides are made.
    pub temperatures: Sharpness,
    /// How the teacher's outputs become targets.
    pub targets: Targets,
    /// What the centre of the teacher's outputs keeps of itself at each step. DINO: 0.9.
    pub centring: f64,
    /// Sizes of the projections, one for each level of each modality.
    pub heads: HeadSizes,
    /// Epochs in which the last layer of the projections does not learn. DINO: 1.
    pub freeze_last: f64,
    /// Weights of the levels, and how pixels become objects. A weight of 0 leaves the level out.
    pub levels: Granularity,
    /// Weights of where features are taken.
    pub streams: Streams,
    /// Cross-modal alignment.
    pub alignment: Alignment,
    /// Prototypes of regions; `None` for a model without.
    pub prototypes: Option<Prototypes>,
    /// Where views lie.
    pub crops: Crops,
    /// What is varied in the light of high-resolution images.
    pub photometric: Photometric,
    /// Most dates of a Sentinel-2 and of a Sentinel-1 series; `None` for all that the places have.
    pub dates: [Option<usize>; 2],
    /// Days by which the dates of a view are moved at most, both ways.
    pub day_jitter: usize,
    /// Rounds that the places of a step are dealt to, one after the other, and each to the recipe's `parts`, side by side:
    /// less memory for the same step. What compares places of a whole step takes a forward pass more then.
    pub accumulate: usize,
    /// Where it is computed, in which precision, and what is kept for the backward pass.
    pub compute: Compute,
    /// Which side becomes the model.
    pub export: Side,
    /// Places that are looked at for mean and deviation, where the normalisation is of the samples.
    pub measured: usize,
    /// Threads that read places and make views of them.
    #[serde(skip)]
    pub loaders: usize,
    /// Steps that they are ahead at most.
    #[serde(skip)]
    pub ahead: usize,
    /// Checkpoints that stay, the newest and the best beside.
    #[serde(skip)]
    pub keep: usize,
    /// How losses of places that are not learned from are measured; it changes no weight.
    #[serde(skip)]
    pub validation: Validation,
    /// What the features of the teacher are measured on now and then; it changes no weight.
    #[serde(skip)]
    pub probing: Option<Probing>,
}

/// `θ' ← m·θ' + (1 − m)·θ` after each step, with `m` from `start` to `end` along half a cosine. DINO: 0.996 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Momentum {
    /// At the first step.
    pub start: f64,
    /// At the last.
    pub end: f64,
}

/// Temperatures of both sides; the teacher's goes from `teacher_start` to `teacher` in a line over `warm_up`. DINO: 0.1 and
/// 0.04.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpness {
    /// τ_s.
    pub student: f64,
    /// τ_t at the first step.
    pub teacher_start: f64,
    /// τ_t after the warm-up.
    pub teacher: f64,
    /// Share of the steps.
    pub warm_up: f64,
}

/// How the teacher's outputs become targets that do not all fall on one output. The paper does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Targets {
    /// A centre that follows their mean is taken off (DINO).
    Centred,
    /// Each output becomes the target of as much as each other over the whole step, by Sinkhorn–Knopp (SwAV, DINOv2): see
    /// [`crate::loss::output_sums`].
    Balanced {
        /// How often rows and columns are scaled. DINOv2: 3.
        iterations: usize,
    },
}

/// Weights of the losses by where features are taken; 0 leaves them out. The paper sums all alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Each modality by itself.
    pub modalities: f64,
    /// The fused features.
    pub fused: f64,
}

/// Cross-modal alignment, see [`crate::loss::alignment()`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alignment {
    /// Weight of the sum over ordered pairs, 0 to leave it out.
    pub weight: f64,
    /// τ. The paper tells none; that of CLIP at its start is 0.07.
    pub temperature: f64,
    /// Outputs of the linear projection that each modality has for it (ours; CLIP has such a projection too).
    pub outputs: usize,
}

/// Prototypes of regions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prototypes {
    /// The `N_R` regions of the Earth. Paper: 4096, drawn in a way that it does not tell.
    pub division: Division,
    /// `N_p`, prototypes of each. Paper: 100.
    pub count: usize,
    /// Width of prototypes where it is their own, with projections; else they are as wide as the fused features. The paper
    /// does not tell.
    pub width: Option<usize>,
    /// How they follow the features.
    pub update: PrototypeUpdate,
}

impl Prototypes {
    /// What a package says of them.
    pub(crate) fn geo_context(self) -> GeoContext {
        GeoContext { division: self.division, cells: Vec::new(), prototypes: self.count, width: self.width }
    }

    /// The region of a place.
    pub(crate) fn region(self, longitude: f64, latitude: f64) -> usize {
        self.division.cell(longitude, latitude)
    }
}

/// One of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one that learns by gradients.
    Student,
    /// Its moving average, which DINO takes.
    Teacher,
}

/// Places of a step, at most: far above what is of use, and products of it stay numbers.
const MOST_PLACES: usize = 1 << 16;

impl PretrainConfig {
    /// Settings that suit the `tiny` preset on two cores, ours where they are not [`PretrainConfig::paper`]'s.
    pub fn new(name: impl Into<String>) -> Self {
        let mut config = Self::paper(name);
        config.recipe = Recipe {
            start: Start::Preset("tiny".into()),
            steps: 300,
            batch: 8,
            parts: 2,
            learning_rate: 1e-3,
            // Views of few dates lose too much where DINO's crops lose little.
            augmentation: Augmentation { turns: true, dates: 0.5, modality_dropout: 0.1 },
            normalisation: Normalisation::Samples,
            ..config.recipe
        };
        config.drop_path = None;
        // Half a run of some hundred steps must be enough for the teacher to follow.
        config.momentum = Momentum { start: 0.98, end: 1.0 };
        config.heads = HeadSizes { hidden: 128, layers: 3, bottleneck: 64, outputs: 256 };
        config.freeze_last = 0.0;
        config.alignment.outputs = 64;
        config.prototypes = Some(Prototypes {
            division: Division::EqualArea(4096),
            count: 8,
            width: None,
            update: PrototypeUpdate { momentum: 0.9, sinkhorn: Sinkhorn::default() },
        });
        config.crops = Crops { size: None, overlap: 0.5, pixels: Some(64), ..Crops::default() };
        config.dates = [None, None];
        config.compute = Compute::default();
        config.loaders = 2;
        config
    }

    /// The paper's run, as far as it is known.
    ///
    /// Of the paper, by digests of it: the sizes of the encoder (preset `skysense`), 875,000 steps of 240 places, AdamW,
    /// 20 dates of Sentinel-2 and 10 of Sentinel-1, dates that are disturbed, 4096 regions with 100 prototypes, the terms
    /// of the loss, blur and solarisation of high-resolution images, a teacher that is the moving average of the student.
    /// That views are 512 px of high resolution on 16 px follows from the official code. Everything else is not told:
    ///
    /// - DINO's: rate 5e-4 · batch / 256 with its warm-up and end, decay 0.04 to 0.4, clipping at 3, betas, momentum 0.996 to
    ///   1, temperatures, centring, heads of 2048-2048-256 and 65,536 outputs, the last layer's pause, chances of blur,
    ///   solarisation and brightness
    /// - SwAV's: Sinkhorn
    /// - CLIP's: the temperature of the alignment
    /// - ours: weights of the terms (all 1), the number of clusters, how views overlap, 5 days of disturbance, the momentum of
    ///   prototypes, which is that of the teacher, bf16
    pub fn paper(name: impl Into<String>) -> Self {
        let batch = 240;
        let recipe = Recipe {
            start: Start::Preset("skysense".into()),
            steps: 875_000,
            batch,
            // For devices that are no processor, on which a step is one part anyway.
            parts: 1,
            learning_rate: 5e-4 * batch as f64 / 256.0,
            final_rate: 0.002,
            weight_decay: 0.04,
            warm_up: 0.1,
            clip: 3.0,
            // Dates have their own count; DINO has no modalities to leave out.
            augmentation: Augmentation { turns: true, dates: 1.0, modality_dropout: 0.0 },
            validation: 0.0,
            normalisation: Normalisation::Skysense,
            every: 1000,
            ..Recipe::default()
        };
        Self {
            recipe,
            name: name.into(),
            licence: "proprietary".into(),
            weight_decay_end: 0.4,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            drop_path: None,
            momentum: Momentum { start: 0.996, end: 1.0 },
            temperatures: Sharpness { student: 0.1, teacher_start: 0.04, teacher: 0.04, warm_up: 0.0 },
            targets: Targets::Centred,
            centring: 0.9,
            heads: HeadSizes { hidden: 2048, layers: 3, bottleneck: 256, outputs: 65_536 },
            freeze_last: 1.0,
            levels: Granularity::default(),
            streams: Streams { modalities: 1.0, fused: 1.0 },
            alignment: Alignment { weight: 1.0, temperature: 0.07, outputs: 256 },
            prototypes: Some(Prototypes {
                division: Division::EqualArea(4096),
                count: 100,
                width: None,
                update: PrototypeUpdate::default(),
            }),
            crops: Crops { size: Some(16), overlap: 0.5, pixels: None, ..Crops::default() },
            photometric: Photometric::default(),
            dates: [Some(20), Some(10)],
            day_jitter: 5,
            accumulate: 1,
            compute: Compute {
                precision: Precision::Bf16,
                checkpointing: Checkpointing::Blocks,
                device: TrainingDevice::cpu(),
            },
            export: Side::Teacher,
            measured: 64,
            loaders: 8,
            ahead: 2,
            keep: 2,
            validation: Validation::default(),
            probing: None,
        }
    }

    /// Checks the ranges.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.recipe.check()?;
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let none_negative = |value: f64| value.is_finite() && value >= 0.0;
        if self.recipe.batch > MOST_PLACES {
            return fault("batch", self.recipe.batch.to_string(), &format!("1 to {MOST_PLACES}"));
        }
        let Sharpness { student, teacher_start, teacher, warm_up } = self.temperatures;
        if ![student, teacher_start, teacher, self.alignment.temperature].into_iter().all(positive) || !share(warm_up) {
            let value = format!("{:?}, alignment {}", self.temperatures, self.alignment.temperature);
            return fault("temperatures", value, "more than 0, with a warm-up from 0 to 1");
        }
        let shares = [self.momentum.start, self.momentum.end, self.centring];
        if !shares.into_iter().all(share) {
            return fault("momentum, centring", format!("{shares:?}"), "shares of 1");
        }
        if !self.betas.into_iter().all(|beta| (0.0..1.0).contains(&beta)) || !positive(self.epsilon) {
            return fault("betas, epsilon", format!("{:?}, {}", self.betas, self.epsilon), "0 to below 1, more than 0");
        }
        let Granularity { pixel, object, image, objects } = self.levels;
        let Streams { modalities, fused } = self.streams;
        let weights = [pixel, object, image, modalities, fused, self.alignment.weight];
        if !weights.into_iter().all(none_negative) {
            return fault("weights", format!("{weights:?}"), "0 or more");
        }
        if !(pixel + object + image > 0.0 && modalities + fused > 0.0) && self.alignment.weight == 0.0 {
            return fault("weights", format!("{weights:?}"), "at least one term that is more than 0");
        }
        if objects.clusters == 0 || objects.rounds == 0 || !positive(objects.sinkhorn.epsilon) {
            return fault("objects", format!("{objects:?}"), "clusters, rounds and epsilon of more than 0");
        }
        if !none_negative(self.weight_decay_end) || !none_negative(self.freeze_last) {
            let value = format!("{}, {}", self.weight_decay_end, self.freeze_last);
            return fault("weight_decay_end, freeze_last", value, "0 or more");
        }
        if self.drop_path.is_some_and(|rate| !(0.0..1.0).contains(&rate)) {
            return fault("drop_path", format!("{:?}", self.drop_path), "0 to below 1");
        }
        if let Some(prototypes) = self.prototypes {
            let PrototypeUpdate { momentum, sinkhorn } = prototypes.update;
            if prototypes.division.cells() == 0
                || prototypes.count == 0
                || prototypes.width == Some(0)
                || !share(momentum)
                || !positive(sinkhorn.epsilon)
            {
                let expected = "regions, a count, a width, a momentum from 0 to 1 and an epsilon of more than 0";
                return fault("prototypes", format!("{prototypes:?}"), expected);
            }
        }
        let every = self.probing.as_ref().map_or(1, |probing| probing.every);
        let counts = [self.validation.every, self.validation.places];
        if counts.contains(&0) {
            return fault("validation", format!("{counts:?}"), "1 step or more, and 1 place or more");
        }
        let counts =
            [every, self.accumulate, self.loaders, self.ahead, self.keep, self.alignment.outputs, self.measured];
        if counts.contains(&0) || self.accumulate > self.recipe.batch || self.loaders > 256 {
            let expected = "1 or more, no more parts than places of a step, no more than 256 loaders";
            return fault(
                "probing, accumulate, loaders, ahead, keep, outputs, measured",
                format!("{counts:?}"),
                expected,
            );
        }
        if self.targets == (Targets::Balanced { iterations: 0 }) {
            return fault("targets", format!("{:?}", self.targets), "1 iteration or more");
        }
        if self.dates.contains(&Some(0)) {
            return fault("dates", format!("{:?}", self.dates), "1 or more");
        }
        self.heads.check()?;
        self.crops.check()?;
        self.photometric.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_hold_and_what_is_out_of_range_is_named() {
        PretrainConfig::new("a").check().unwrap();
        PretrainConfig::paper("a").check().unwrap();
        let fault = |change: &dyn Fn(&mut PretrainConfig)| {
            let mut config = PretrainConfig::new("a");
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(fault(&|c| c.temperatures.teacher = 0.0).contains("temperatures"));
        assert!(fault(&|c| c.momentum.end = 1.5).contains("momentum"));
        assert!(fault(&|c| c.levels.pixel = f64::NAN).contains("weights"));
        assert!(
            fault(&|c| (c.streams.fused, c.streams.modalities, c.alignment.weight) = (0.0, 0.0, 0.0))
                .contains("at least one term")
        );
        assert!(fault(&|c| c.prototypes.as_mut().unwrap().count = 0).contains("prototypes"));
        assert!(fault(&|c| c.accumulate = 9).contains("accumulate"));
        assert!(fault(&|c| c.crops.overlap = 0.0).contains("overlap"));
        assert!(fault(&|c| c.heads.outputs = 1).contains("heads"));
        assert!(fault(&|c| c.photometric.blur = 2.0).contains("photometric"));
        assert!(fault(&|c| c.dates[0] = Some(0)).contains("dates"));
    }
}
