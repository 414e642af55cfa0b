//! Settings of `skysense.pretrain`, all of which stand in place of a value of the set that `values` names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_contract::Division;
use skysense_train::Normalisation;
use skysense_train::pretrain::{PretrainConfig, PrototypeUpdate, Prototypes, Side, Targets, Validation};

/// The set of values that settings are changes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Values {
    /// Ours, for the preset `tiny` on two cores.
    #[default]
    Small,
    /// The paper's where they are known, DINO's and SwAV's where they are not.
    Paper,
}

/// Where mean and deviation of the bands come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NormalisationSetting {
    /// Of the places.
    Samples,
    /// The constants of the official code.
    Skysense,
}

/// One of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideSetting {
    /// The one that learns by gradients.
    Student,
    /// Its moving average.
    Teacher,
}

/// AdamW and its schedule.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Optimiser {
    /// Share of the steps that warm up.
    pub(crate) warm_up: Option<f64>,
    /// Learning rate at the end, as a share of the peak.
    pub(crate) final_rate: Option<f64>,
    /// Weight decay of matrices at the first and at the last step.
    pub(crate) weight_decay: Option<[f64; 2]>,
    /// Largest norm of a gradient, each parameter by itself.
    pub(crate) clip: Option<f64>,
    /// Decay of both moments.
    pub(crate) betas: Option<[f64; 2]>,
    /// Keeps the division from zero.
    pub(crate) epsilon: Option<f64>,
    /// Stochastic depth of the last layers; left out, the preset's.
    pub(crate) drop_path: Option<f64>,
}

/// The teacher, and what both sides are made sharp with.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Teacher {
    /// What the teacher keeps of itself, at the first and at the last step.
    pub(crate) momentum: Option<[f64; 2]>,
    /// How its outputs become targets: `centred`, as in DINO, or `balanced` over the whole step by Sinkhorn–Knopp, as in SwAV
    /// and DINOv2.
    pub(crate) targets: Option<TargetsSetting>,
    /// Iterations of Sinkhorn–Knopp where targets are balanced; left out, 3.
    #[schemars(range(min = 1))]
    pub(crate) iterations: Option<usize>,
    /// What the centre of its outputs keeps of itself, where targets are centred.
    pub(crate) centring: Option<f64>,
    /// Its temperature at the start and after the warm-up.
    pub(crate) temperature: Option<[f64; 2]>,
    /// Share of the steps in which its temperature changes.
    pub(crate) warm_up: Option<f64>,
    /// The student's temperature.
    pub(crate) student_temperature: Option<f64>,
}

/// How the teacher's outputs become targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetsSetting {
    /// A centre that follows their mean is taken off.
    Centred,
    /// Each output becomes the target of as much as each other.
    Balanced,
}

/// How samples that validate are looked at, where training shards have some.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ValidationSetting {
    /// Steps between two looks; the first step and the last one have one too.
    #[schemars(range(min = 1))]
    pub(crate) every: Option<usize>,
    /// Samples that are looked at.
    #[schemars(range(min = 1))]
    pub(crate) places: Option<usize>,
}

/// Sizes of the projections.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Heads {
    /// Width between layers.
    pub(crate) hidden: Option<usize>,
    /// Layers up to the bottleneck.
    pub(crate) layers: Option<usize>,
    /// Width of the bottleneck.
    pub(crate) bottleneck: Option<usize>,
    /// Outputs.
    pub(crate) outputs: Option<usize>,
    /// Epochs in which the last layer does not learn.
    pub(crate) freeze_last: Option<f64>,
}

/// Weights of the terms of the loss; 0 leaves one out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Terms {
    /// Of pixels.
    pub(crate) pixel: Option<f64>,
    /// Of objects.
    pub(crate) object: Option<f64>,
    /// Of whole images.
    pub(crate) image: Option<f64>,
    /// Of each modality by itself, at all levels.
    pub(crate) modalities: Option<f64>,
    /// Of the fused features, at all levels.
    pub(crate) fused: Option<f64>,
    /// Of the alignment of modalities.
    pub(crate) alignment: Option<f64>,
    /// Temperature of the alignment.
    pub(crate) alignment_temperature: Option<f64>,
    /// Outputs of the linear projection of each modality that is aligned.
    pub(crate) alignment_outputs: Option<usize>,
}

/// How pixels become objects.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Objects {
    /// Clusters of an image.
    pub(crate) clusters: Option<usize>,
    /// How often centres move to the mean of their pixels.
    pub(crate) rounds: Option<usize>,
    /// ε of Sinkhorn–Knopp.
    pub(crate) epsilon: Option<f64>,
    /// Iterations of Sinkhorn–Knopp.
    pub(crate) iterations: Option<usize>,
}

/// Prototypes of regions.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PrototypesSetting {
    /// Regions of the Earth: a number of them of equal area, or a division such as `web_mercator:9`; 0 for a model without
    /// prototypes.
    pub(crate) regions: Option<RegionsSetting>,
    /// Prototypes of each.
    pub(crate) count: Option<usize>,
    /// Width of prototypes, with projections from the features and back; left out, that of the features, without.
    pub(crate) width: Option<usize>,
    /// What prototypes keep of themselves.
    pub(crate) momentum: Option<f64>,
    /// ε of Sinkhorn–Knopp.
    pub(crate) epsilon: Option<f64>,
    /// Iterations of Sinkhorn–Knopp.
    pub(crate) iterations: Option<usize>,
}

/// Regions of the Earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RegionsSetting {
    /// So many of equal area.
    Count(usize),
    /// `equal_area:COUNT` or `web_mercator:ZOOM`.
    Division(#[schemars(with = "String", regex(pattern = "^(equal_area|web_mercator):[0-9]+$"))] Division),
}

/// What views of a place are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ViewsSetting {
    /// Side in pixels of the 10 m grid, which is the chip size of the model; left out, that of the places.
    pub(crate) size: Option<usize>,
    /// Least share of a side that two views have in common.
    pub(crate) overlap: Option<f64>,
    /// Pixels of each image that the loss of pixels looks at; 0 for all.
    pub(crate) pixels: Option<usize>,
    /// Small views beside, which the student alone sees.
    pub(crate) locals: Option<usize>,
    /// Their side.
    pub(crate) local_size: Option<usize>,
    /// Whether views are turned and flipped.
    pub(crate) turns: Option<bool>,
    /// Least share of a place's dates that a view has.
    pub(crate) dates: Option<f64>,
    /// Most dates of Sentinel-2; 0 for all.
    pub(crate) most_s2: Option<usize>,
    /// Most dates of Sentinel-1; 0 for all.
    pub(crate) most_s1: Option<usize>,
    /// Days by which dates are moved at most.
    pub(crate) day_jitter: Option<usize>,
    /// Chance that a view of several modalities lacks one.
    pub(crate) modality_dropout: Option<f64>,
}

/// What is varied in the light of high-resolution images.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Light {
    /// Largest change of brightness and contrast, as a share.
    pub(crate) brightness: Option<f64>,
    /// Chance that they change.
    pub(crate) chance: Option<f64>,
    /// Chance of a blur.
    pub(crate) blur: Option<f64>,
    /// Deviation of the blur in pixels, from and to.
    pub(crate) blur_pixels: Option<[f64; 2]>,
    /// Chance that bright pixels are turned dark.
    pub(crate) solarise: Option<f64>,
}

/// Sets what is given.
fn set<T: Clone>(place: &mut T, given: Option<&T>) {
    if let Some(given) = given {
        place.clone_from(given);
    }
}

/// 0 for none.
fn some(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}

impl Values {
    /// The set.
    pub(crate) fn config(self, name: &str) -> PretrainConfig {
        match self {
            Self::Small => PretrainConfig::new(name),
            Self::Paper => PretrainConfig::paper(name),
        }
    }
}

impl Optimiser {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        set(&mut config.recipe.warm_up, self.warm_up.as_ref());
        set(&mut config.recipe.final_rate, self.final_rate.as_ref());
        set(&mut config.recipe.clip, self.clip.as_ref());
        set(&mut config.betas, self.betas.as_ref());
        set(&mut config.epsilon, self.epsilon.as_ref());
        if let Some([start, end]) = self.weight_decay {
            (config.recipe.weight_decay, config.weight_decay_end) = (start, end);
        }
        config.drop_path = self.drop_path.or(config.drop_path);
    }
}

impl Teacher {
    /// Whether iterations are given that nothing would make.
    pub(crate) fn iterations_without_balance(&self) -> bool {
        self.iterations.is_some() && !matches!(self.targets, Some(TargetsSetting::Balanced))
    }

    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        if let Some([start, end]) = self.momentum {
            (config.momentum.start, config.momentum.end) = (start, end);
        }
        if let Some([start, end]) = self.temperature {
            (config.temperatures.teacher_start, config.temperatures.teacher) = (start, end);
        }
        if let Some(targets) = self.targets {
            config.targets = match targets {
                TargetsSetting::Balanced => Targets::Balanced { iterations: self.iterations.unwrap_or(3) },
                TargetsSetting::Centred => Targets::Centred,
            };
        }
        set(&mut config.centring, self.centring.as_ref());
        set(&mut config.temperatures.warm_up, self.warm_up.as_ref());
        set(&mut config.temperatures.student, self.student_temperature.as_ref());
    }
}

impl Heads {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        set(&mut config.heads.hidden, self.hidden.as_ref());
        set(&mut config.heads.layers, self.layers.as_ref());
        set(&mut config.heads.bottleneck, self.bottleneck.as_ref());
        set(&mut config.heads.outputs, self.outputs.as_ref());
        set(&mut config.freeze_last, self.freeze_last.as_ref());
    }
}

impl Terms {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        set(&mut config.levels.pixel, self.pixel.as_ref());
        set(&mut config.levels.object, self.object.as_ref());
        set(&mut config.levels.image, self.image.as_ref());
        set(&mut config.streams.modalities, self.modalities.as_ref());
        set(&mut config.streams.fused, self.fused.as_ref());
        set(&mut config.alignment.weight, self.alignment.as_ref());
        set(&mut config.alignment.temperature, self.alignment_temperature.as_ref());
        set(&mut config.alignment.outputs, self.alignment_outputs.as_ref());
    }
}

impl ValidationSetting {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        let Validation { every, places } = config.validation;
        config.validation = Validation { every: self.every.unwrap_or(every), places: self.places.unwrap_or(places) };
    }
}

impl Objects {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        let objects = &mut config.levels.objects;
        set(&mut objects.clusters, self.clusters.as_ref());
        set(&mut objects.rounds, self.rounds.as_ref());
        set(&mut objects.sinkhorn.epsilon, self.epsilon.as_ref());
        set(&mut objects.sinkhorn.iterations, self.iterations.as_ref());
    }
}

impl PrototypesSetting {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        let division = match self.regions {
            Some(RegionsSetting::Count(0)) => {
                config.prototypes = None;
                return;
            }
            Some(RegionsSetting::Count(regions)) => Some(Division::EqualArea(regions)),
            Some(RegionsSetting::Division(division)) => Some(division),
            None => None,
        };
        let default = Prototypes {
            division: Division::EqualArea(4096),
            count: 8,
            width: None,
            update: PrototypeUpdate::default(),
        };
        let mut prototypes = config.prototypes.unwrap_or(default);
        set(&mut prototypes.division, division.as_ref());
        prototypes.width = self.width.or(prototypes.width);
        set(&mut prototypes.count, self.count.as_ref());
        set(&mut prototypes.update.momentum, self.momentum.as_ref());
        set(&mut prototypes.update.sinkhorn.epsilon, self.epsilon.as_ref());
        set(&mut prototypes.update.sinkhorn.iterations, self.iterations.as_ref());
        config.prototypes = Some(prototypes);
    }
}

impl ViewsSetting {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        let crops = &mut config.crops;
        crops.size = self.size.or(crops.size);
        set(&mut crops.overlap, self.overlap.as_ref());
        set(&mut crops.pixels, self.pixels.map(some).as_ref());
        set(&mut crops.locals, self.locals.as_ref());
        set(&mut crops.local_size, self.local_size.as_ref());
        set(&mut config.recipe.augmentation.turns, self.turns.as_ref());
        set(&mut config.recipe.augmentation.dates, self.dates.as_ref());
        set(&mut config.recipe.augmentation.modality_dropout, self.modality_dropout.as_ref());
        set(&mut config.dates[0], self.most_s2.map(some).as_ref());
        set(&mut config.dates[1], self.most_s1.map(some).as_ref());
        set(&mut config.day_jitter, self.day_jitter.as_ref());
    }
}

impl Light {
    pub(crate) fn apply(&self, config: &mut PretrainConfig) {
        let light = &mut config.photometric;
        set(&mut light.brightness, self.brightness.as_ref());
        set(&mut light.chance, self.chance.as_ref());
        set(&mut light.blur, self.blur.as_ref());
        set(&mut light.blur_pixels, self.blur_pixels.as_ref());
        set(&mut light.solarise, self.solarise.as_ref());
    }
}

impl From<NormalisationSetting> for Normalisation {
    fn from(setting: NormalisationSetting) -> Self {
        match setting {
            NormalisationSetting::Samples => Self::Samples,
            NormalisationSetting::Skysense => Self::Skysense,
        }
    }
}

impl From<SideSetting> for Side {
    fn from(setting: SideSetting) -> Self {
        match setting {
            SideSetting::Student => Self::Student,
            SideSetting::Teacher => Self::Teacher,
        }
    }
}
