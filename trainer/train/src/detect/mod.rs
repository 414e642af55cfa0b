//! Training of detectors: chips with objects, the losses of both stages, scores by the rules of COCO and DOTA, export.

mod config;
mod export;
mod image;
mod loss;
mod network;
mod predict;
mod run;
mod samples;
mod scores;

use std::collections::BTreeMap;

use skysense_contract::{Contract, Head, Modality, Offer, Package};
use skysense_model::DetectorConfig;

pub use config::DetectConfig;
pub use export::export_detector;
pub use run::{TrainedDetector, train_detector};
pub use samples::{DetectionSample, DetectionSamples, SpooledDetectionSamples};
pub use scores::{DetectionScores, Evaluation};

use crate::TrainError;
use crate::setup::Setup;
use crate::tensors::architecture;

/// The contract of the detector that [`train_detector`] will give for samples like `offers`. Normalisation, graphs, probe
/// and checksum come with the run.
///
/// # Errors
/// As [`crate::planned_contract`].
pub fn planned_detector(offers: &BTreeMap<Modality, Offer>, config: &DetectConfig) -> Result<Contract, TrainError> {
    config.check()?;
    contract(&network::setup(&Vec::<DetectionSample>::new(), offers, config)?, config)
}

/// Sizes of the network of a detector's package.
pub(crate) fn stated_sizes(package: &Package) -> Result<DetectorConfig, TrainError> {
    let contract = package.contract();
    let lacks = |what: &str| TrainError::Model(format!("package {} has no {what}: it is no detector", contract.name));
    let head = contract.head.as_ref().ok_or_else(|| lacks("head"))?;
    let detector = head.detector.clone().ok_or_else(|| lacks("detector"))?;
    let backbone = architecture(package)?.hr.ok_or_else(|| lacks("high-resolution encoder"))?;
    let sizes = DetectorConfig::new(backbone, head.classes.len(), detector.clone());
    Ok(DetectorConfig { channels: contract.channels, detector, ..sizes })
}

/// The contract without what comes with the run.
fn contract(setup: &Setup, config: &DetectConfig) -> Result<Contract, TrainError> {
    let sizes = network::sizes(setup, config)?;
    let head = Head { detector: Some(sizes.detector.clone()), ..Head::of(config.task(), config.classes.clone()) };
    let contract = setup.contract(&config.name, &config.licence, Some(head))?;
    let encoders = BTreeMap::from([(Modality::Hr, sizes.channels)]);
    Ok(Contract { channels: sizes.channels, encoders, ..contract })
}
