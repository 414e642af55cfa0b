//! The contract that a run will give, known before it trains: what a plan of inference needs.

use std::collections::BTreeMap;

use skysense_contract::{CONTRACT_VERSION, Contract, Head, Modality, Offer, Probe};

use crate::setup::setup;
use crate::{FinetuneConfig, TrainError};

/// The contract of the model that [`crate::finetune()`] will give for samples like `offers`: bands, chip size,
/// dates, classes. Normalisation, graphs, probe and checksum come with the run.
///
/// # Errors
/// [`TrainError`]: settings out of range, an unknown preset, a package that cannot be read or does not fit.
pub fn planned_contract(offers: &BTreeMap<Modality, Offer>, config: &FinetuneConfig) -> Result<Contract, TrainError> {
    config.check()?;
    let setup = setup(&[], offers, config)?;
    let channels = match &setup.package {
        Some(package) => package.contract().channels,
        None => skysense_model::preset(&setup.preset)?.channels(),
    };
    Ok(Contract {
        contract: CONTRACT_VERSION,
        name: config.name.clone(),
        preset: setup.preset,
        modalities: setup.inputs,
        chip_size: setup.chip_size,
        margin: setup.chip_size / 8,
        channels,
        calendar: setup.calendar,
        regions: None,
        head: Some(Head { task: "segmentation".into(), classes: config.classes.clone() }),
        graphs: BTreeMap::new(),
        probe: Probe { path: String::new(), sha256: String::new(), absolute: 0.0, relative: 0.0 },
        licence: config.licence.clone(),
        weights_sha256: String::new(),
        weights_shards: Vec::new(),
        architecture: None,
        notes: BTreeMap::new(),
    })
}
