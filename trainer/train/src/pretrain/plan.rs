//! What follows from offers and settings alone.

use std::collections::BTreeMap;

use skysense_contract::{Contract, Modality, Offer};
use skysense_model::{GeoContextConfig, SkySenseConfig};

use super::PretrainConfig;
use crate::TrainError;
use crate::network::encoder_config;
use crate::normalise::{Moments, Statistics};
use crate::setup::{Setup, setup_measuring};

/// Inputs and sizes of the model.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) setup: Setup,
    /// As it is trained: with prototypes, and with the stochastic depth of the settings.
    pub(super) sizes: SkySenseConfig,
}

/// Decides all that follows from offers and settings; `measure` gives the statistics of the places where they are asked
/// for. `size` is the side of the places.
pub(super) fn plan(
    offers: &BTreeMap<Modality, Offer>,
    size: usize,
    config: &PretrainConfig,
    measure: &dyn Fn() -> Result<Statistics, TrainError>,
) -> Result<Plan, TrainError> {
    config.check()?;
    let view = config.crops.size.unwrap_or(size);
    let fault = |setting, value: usize, expected: String| {
        Err(TrainError::Setting { setting, value: value.to_string(), expected })
    };
    if view > size {
        return fault("size", view, format!("views within places of {size} pixels"));
    }
    if config.crops.locals > 0 && config.crops.local_size > view {
        return fault("local_size", config.crops.local_size, format!("small views within views of {view} pixels"));
    }
    let offered = |(modality, offer): (&Modality, &Offer)| {
        if size == 0 || !offer.size.is_multiple_of(size) {
            let value = format!("{modality} with {} pixels", offer.size);
            let expected = format!("a multiple of the {size} pixels of the places");
            return Err(TrainError::Setting { setting: "offers", value, expected });
        }
        let most = match modality {
            Modality::Hr => None,
            Modality::S2 => config.dates[0],
            Modality::S1 => config.dates[1],
        };
        let dates = offer.dates.max(1).min(most.unwrap_or(usize::MAX));
        Ok((*modality, Offer { dates, size: offer.size / size * view, ..offer.clone() }))
    };
    let offers = offers.iter().map(offered).collect::<Result<_, _>>()?;
    let setup = setup_measuring(&offers, &config.recipe, measure)?;
    let mut sizes = encoder_config(&setup)?;
    if config.crops.locals > 0
        && let Some(hr) = &sizes.hr
    {
        hr.check_size([32 * config.crops.local_size; 2])?;
    }
    sizes.geo_context = config.prototypes.map(|prototypes| GeoContextConfig {
        regions: prototypes.regions,
        prototypes: prototypes.count,
        channels: sizes.fusion.channels,
    });
    if let Some(rate) = config.drop_path {
        sizes.hr.iter_mut().for_each(|hr| hr.drop_path = rate);
        [&mut sizes.s2, &mut sizes.s1].into_iter().flatten().for_each(|(vit, _)| vit.drop_path = rate);
        sizes.fusion.drop_path = rate;
    }
    sizes.check()?;
    crate::import::check_grid(&sizes, view)?;
    Ok(Plan { setup, sizes })
}

/// The contract of the model that [`super::pretrain()`] will give for places like `offers` of `size` pixels: bands, chip
/// size, dates. Normalisation, graphs, probe and checksum come with the run.
///
/// # Errors
/// [`TrainError`]: settings out of range, an unknown preset, a package that cannot be read, places that do not fit.
pub fn planned_pretrained(
    offers: &BTreeMap<Modality, Offer>,
    size: usize,
    config: &PretrainConfig,
) -> Result<Contract, TrainError> {
    let plan = plan(offers, size, config, &|| Ok(Moments::new(offers).statistics()))?;
    contract(&plan.setup, &plan.sizes, config)
}

/// The contract without what comes with the run.
pub(super) fn contract(setup: &Setup, sizes: &SkySenseConfig, config: &PretrainConfig) -> Result<Contract, TrainError> {
    let mut contract = setup.contract(&config.name, &config.licence, None)?;
    contract.channels = sizes.channels();
    contract.regions = config.prototypes.map(|prototypes| prototypes.regions);
    if config.prototypes.is_some() || contract.architecture.is_some() {
        // The stochastic depth is that of this training; whoever trains next has the preset's.
        let stated = SkySenseConfig { geo_context: sizes.geo_context.clone(), ..encoder_config(setup)? };
        contract.architecture =
            Some(serde_json::to_value(stated).map_err(|error| TrainError::Model(error.to_string()))?);
    }
    Ok(contract)
}
