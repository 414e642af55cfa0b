//! The contract that a run will give, known before it trains: what a plan of inference needs.

use std::collections::BTreeMap;

use skysense_contract::{Contract, Modality, Offer};

use crate::finetune::starting;
use crate::{FinetuneConfig, TrainError};

/// The contract of the model that [`crate::finetune()`] will give for samples like `offers`: bands, chip size,
/// dates, classes. Normalisation, graphs, probe and checksum come with the run.
///
/// # Errors
/// [`TrainError`]: settings out of range, an unknown preset, a package that cannot be read or does not fit.
pub fn planned_contract(offers: &BTreeMap<Modality, Offer>, config: &FinetuneConfig) -> Result<Contract, TrainError> {
    config.check()?;
    let setup = starting(&[], offers, config)?;
    setup.contract(&config.name, &config.licence, Some(config.head_record()))
}
