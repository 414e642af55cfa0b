//! Sizes of encoders that are a model without a fusion, as their package states them.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use skysense_contract::{Contract, Modality};
use skysense_model::checkpoint::{Alone, parameters};
use skysense_model::{FusionConfig, SkySenseConfig, SwinV2Config, UpHeadConfig, VitConfig};

use crate::TrainError;

/// Encoders without a fusion: each gives features of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AloneSizes {
    pub(crate) alone: BTreeMap<Modality, EncoderSizes>,
}

/// One encoder, and its up head where the package has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncoderSizes {
    /// High resolution.
    Hr(SwinV2Config),
    /// A series.
    Series {
        /// The encoder.
        vit: VitConfig,
        /// Its up head.
        up_head: Option<UpHeadConfig>,
    },
}

impl AloneSizes {
    pub(crate) fn new(alone: &[Alone], model: &SkySenseConfig) -> Self {
        let raised = |name: &str| alone.iter().any(|alone| alone.module == name && alone.raised);
        let series = |series: &Option<(VitConfig, UpHeadConfig)>, name| {
            let (vit, up) = series.clone()?;
            Some(EncoderSizes::Series { vit, up_head: raised(name).then_some(up) })
        };
        let all = [
            (Modality::Hr, model.hr.clone().map(EncoderSizes::Hr)),
            (Modality::S2, series(&model.s2, "backbone_s2")),
            (Modality::S1, series(&model.s1, "backbone_s1")),
        ];
        Self { alone: all.into_iter().filter_map(|(modality, sizes)| Some((modality, sizes?))).collect() }
    }

    pub(crate) fn stated(&self) -> Result<serde_json::Value, TrainError> {
        serde_json::to_value(self).map_err(|error| TrainError::Model(error.to_string()))
    }

    /// What a package states, where it is one of encoders alone.
    pub(crate) fn of(contract: &Contract) -> Result<Option<Self>, TrainError> {
        match &contract.architecture {
            Some(stated) if stated.get("alone").is_some() => serde_json::from_value(stated.clone())
                .map(Some)
                .map_err(|error| TrainError::Model(format!("the package states sizes of another program: {error}"))),
            _ => Ok(None),
        }
    }

    /// The same as sizes of a whole model. What lacks there stands in for itself: an up head that undoes the patches, and
    /// a fusion without a layer; neither is made.
    pub(crate) fn sizes(&self) -> SkySenseConfig {
        let hr = self.alone.values().find_map(|sizes| match sizes {
            EncoderSizes::Hr(hr) => Some(hr.clone()),
            EncoderSizes::Series { .. } => None,
        });
        let series = |modality| match self.alone.get(&modality) {
            Some(EncoderSizes::Series { vit, up_head }) => {
                let (scale, channels) = (vit.patch, vit.channels);
                let stand_in = UpHeadConfig { channels_in: channels, channels_out: channels, scale };
                Some((vit.clone(), up_head.clone().unwrap_or(stand_in)))
            }
            _ => None,
        };
        SkySenseConfig {
            hr,
            s2: series(Modality::S2),
            s1: series(Modality::S1),
            fusion: FusionConfig::absent(1),
            geo_context: None,
        }
    }

    /// Whether an encoder has an up head.
    pub(crate) fn raised(&self, modality: Modality) -> bool {
        matches!(self.alone.get(&modality), Some(EncoderSizes::Series { up_head: Some(_), .. }))
    }

    /// Names and shapes of all parameters.
    pub(crate) fn parameters(&self) -> Result<Vec<(String, Vec<usize>)>, TrainError> {
        let device = Device::default();
        let mut all = Vec::new();
        for (modality, sizes) in &self.alone {
            let name = format!("backbone_{modality}");
            match sizes {
                EncoderSizes::Hr(hr) => all.extend(parameters(&hr.init(&device)?, &name)),
                EncoderSizes::Series { vit, up_head } => {
                    vit.check(&name)?;
                    all.extend(parameters(&vit.init(&device), &name));
                    if let Some(up) = up_head {
                        up.check(&name)?;
                        all.extend(parameters(&up.init(&device), &format!("head_{modality}")));
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Channels that each encoder of a model gives, whether it stands alone or before a fusion.
pub(crate) fn encoder_channels(model: &SkySenseConfig, alone: &[Alone]) -> BTreeMap<Modality, usize> {
    let there = [
        (Modality::Hr, "backbone_hr", model.hr.is_some()),
        (Modality::S2, "backbone_s2", model.s2.is_some()),
        (Modality::S1, "backbone_s1", model.s1.is_some()),
    ];
    let channels = |name| match alone.iter().find(|alone| alone.module == name) {
        Some(alone) => alone.channels(model),
        None => model.fusion.channels_in,
    };
    there.into_iter().filter(|(.., there)| *there).map(|(modality, name, _)| (modality, channels(name))).collect()
}
