//! The network that learns, and what it starts with.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use rand::RngExt;
use skysense_contract::{Detector, Modality, Offer, ProposalRule};
use skysense_model::{DetectorConfig, DetectorNetwork, checkpoint};

use super::DetectConfig;
use super::image::DetectionSample;
use crate::TrainError;
use crate::network::{drawn, encoder_config, seeded, stored_tensors};
use crate::normalise::Moments;
use crate::random::{Purpose, rng};
use crate::setup::{Setup, setup_measuring};

/// What a run starts from, of the high-resolution modality alone.
pub(super) fn setup(
    samples: &[DetectionSample],
    offers: &BTreeMap<Modality, Offer>,
    config: &DetectConfig,
) -> Result<Setup, TrainError> {
    let offers: BTreeMap<Modality, Offer> = offers
        .iter()
        .filter(|(modality, _)| **modality == Modality::Hr)
        .map(|(m, offer)| (*m, offer.clone()))
        .collect();
    if offers.is_empty() {
        let (value, expected) = ("chips without hr".into(), "chips of a high-resolution image".into());
        return Err(TrainError::Setting { setting: "offers", value, expected });
    }
    if let Some(offer) = offers.values().find(|offer| offer.dates > 1) {
        // A detector looks at one image: which of several has the objects that are labelled, it cannot know.
        let (value, expected) = (format!("hr with up to {} dates a chip", offer.dates), "one date a chip".into());
        return Err(TrainError::Setting { setting: "offers", value, expected });
    }
    let measure = || {
        let mut moments = Moments::new(&offers);
        samples.iter().for_each(|sample| moments.add(&sample.image.series));
        Ok(moments.statistics())
    };
    let mut setup = setup_measuring(&offers, &config.recipe, &measure)?.with_prototypes(false);
    setup.inputs.retain(|modality, _| *modality == Modality::Hr);
    if setup.inputs.is_empty() {
        let expected = "a package with a high-resolution encoder".into();
        return Err(TrainError::Setting { setting: "start", value: "a package without hr".into(), expected });
    }
    // Whatever the encoder was fused with.
    setup.inputs.values_mut().for_each(|input| input.dates = 1);
    Ok(setup)
}

/// Sizes of the network.
pub(super) fn sizes(setup: &Setup, config: &DetectConfig) -> Result<DetectorConfig, TrainError> {
    let lacking = || TrainError::Model("a model without a high-resolution encoder cannot find objects".into());
    let backbone = encoder_config(setup)?.hr.ok_or_else(lacking)?;
    let detector = if config.rotated { Detector::rotated() } else { Detector::upright() };
    // A narrow encoder is for small machines: a second stage that looks at a thousand boxes of a chip would take most of
    // the time. Our choice.
    let narrow = backbone.channels <= 48;
    let proposals = ProposalRule { per_level: 200, count: 200, ..detector.proposals.clone() };
    let detector = if narrow { Detector { proposals, ..detector } } else { detector };
    let sizes = DetectorConfig::new(backbone, config.classes.len(), detector);
    sizes.check_size([setup.chip_size * 32; 2])?;
    Ok(sizes)
}

/// The network with its weights at the start: drawn from the seed, and those of the package where it has them.
pub(super) fn start(setup: &Setup, config: &DetectConfig, device: &Device) -> Result<DetectorNetwork, TrainError> {
    let cpu = Device::flex().autodiff();
    let sizes = sizes(setup, config)?;
    let seed = rng(config.recipe.seed, Purpose::Weights, 0).random();
    let network = seeded(&cpu, seed, || Ok::<_, TrainError>(drawn(sizes.init(&cpu)?)))?;
    let network = match &setup.package {
        Some(package) => {
            let (network, mut report) = checkpoint::load_stored(network, "", &stored_tensors(package)?)?;
            report.unexpected.clear();
            // The encoder must come from the package, but for the norms of stages that no model before has given; what
            // stands on it may be new.
            let asked = |name: &String| name.starts_with("backbone_hr.") && !name.starts_with("backbone_hr.norm");
            report.missing.retain(asked);
            report.mismatched.retain(asked);
            report.strict()?;
            network.set_require_grad(true)
        }
        None => network,
    };
    Ok(if *device == cpu { network } else { network.fork(device) })
}
