//! What an imported model must be fed.

use std::collections::BTreeMap;

use skysense_contract::{Dtype, Input, Modality, Offer, Unit};
use skysense_model::SkySenseConfig;

use super::config::ImportConfig;
use crate::TrainError;
use crate::normalise::published;

/// The inputs of the encoders for these bands, with the constants of the official code.
pub(super) fn inputs(
    names: &BTreeMap<Modality, Vec<String>>,
    config: &ImportConfig,
    [s2_dates, s1_dates]: [usize; 2],
) -> Result<BTreeMap<Modality, Input>, TrainError> {
    if config.chip_size == 0 || config.chip_size > 1024 {
        let value = config.chip_size.to_string();
        return Err(TrainError::Setting { setting: "chip_size", value, expected: "1 to 1024".into() });
    }
    let mut inputs = BTreeMap::new();
    for (&modality, bands) in names {
        let (unit, dtype, dates, scale) = match modality {
            Modality::Hr => (Unit::Byte, Dtype::U8, 1, 32),
            Modality::S2 => (Unit::ReflectanceE4, Dtype::I16, s2_dates, 1),
            Modality::S1 => (Unit::Decibel, Dtype::F32, s1_dates, 1),
        };
        let bands = bands.clone();
        if dates == 0 {
            return Err(TrainError::Setting { setting: "dates", value: "0".into(), expected: "1 or more".into() });
        }
        let offer = Offer { bands: bands.clone(), unit, dtype, dates, size: config.chip_size * scale, scale };
        let statistics = published(&BTreeMap::from([(modality, offer)]))?;
        let (mean, std) = statistics[&modality].clone();
        let _new = inputs.insert(modality, Input { bands, unit, dtype, mean, std, dates, scale });
    }
    Ok(inputs)
}

/// Whether all modalities come out on the grid of the chip.
pub(crate) fn check_grid(model: &SkySenseConfig, chip_size: usize) -> Result<(), TrainError> {
    let hr = model.hr.as_ref().and_then(|hr| hr.stage_sizes([32 * chip_size; 2]).last().map(|size| ("hr", size[0])));
    let series = |name, vit: &Option<(skysense_model::VitConfig, skysense_model::UpHeadConfig)>| {
        vit.as_ref().map(|(vit, up)| (name, chip_size.div_ceil(vit.patch) * up.scale))
    };
    for (name, side) in [hr, series("s2", &model.s2), series("s1", &model.s1)].into_iter().flatten() {
        if side != chip_size {
            let expected = format!("a side that {name} brings to itself; it comes out as {side}");
            return Err(TrainError::Setting { setting: "chip_size", value: chip_size.to_string(), expected });
        }
    }
    Ok(())
}
