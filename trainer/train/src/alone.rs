//! Sizes of an encoder that is a model by itself, as its package states them.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use skysense_contract::Contract;
use skysense_model::checkpoint::{Alone, parameters};
use skysense_model::{SkySenseConfig, SwinV2Config, UpHeadConfig, VitConfig};

use crate::TrainError;

/// One encoder, and its up head where the package has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AloneSizes {
    /// Name of the encoder in checkpoints.
    alone: String,
    hr: Option<SwinV2Config>,
    series: Option<VitConfig>,
    up_head: Option<UpHeadConfig>,
}

impl AloneSizes {
    pub(crate) fn new(alone: Alone, model: &SkySenseConfig) -> Self {
        let series = model.s2.clone().or_else(|| model.s1.clone());
        let (series, up_head) = series.map_or((None, None), |(vit, up)| (Some(vit), Some(up)));
        Self { alone: alone.module.into(), hr: model.hr.clone(), series, up_head: up_head.filter(|_| alone.raised) }
    }

    pub(crate) fn stated(&self) -> Result<serde_json::Value, TrainError> {
        serde_json::to_value(self).map_err(|error| TrainError::Model(error.to_string()))
    }

    /// What a package states, where it is one of an encoder alone.
    pub(crate) fn of(contract: &Contract) -> Result<Option<Self>, TrainError> {
        match &contract.architecture {
            Some(stated) if stated.get("alone").is_some() => serde_json::from_value(stated.clone())
                .map(Some)
                .map_err(|error| TrainError::Model(format!("the package states sizes of another program: {error}"))),
            _ => Ok(None),
        }
    }

    /// Names and shapes of its parameters.
    pub(crate) fn parameters(&self) -> Result<Vec<(String, Vec<usize>)>, TrainError> {
        let device = Device::default();
        let mut all = Vec::new();
        if let Some(hr) = &self.hr {
            all.extend(parameters(&hr.init(&device)?, &self.alone));
        }
        if let Some(vit) = &self.series {
            vit.check(&self.alone)?;
            all.extend(parameters(&vit.init(&device), &self.alone));
        }
        if let Some(up) = &self.up_head {
            up.check(&self.alone)?;
            all.extend(parameters(&up.init(&device), &self.alone.replace("backbone", "head")));
        }
        Ok(all)
    }
}
