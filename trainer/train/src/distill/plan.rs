//! What follows from offers and settings alone: student, teacher, and where their features are compared.

use std::collections::BTreeMap;

use skysense_contract::{Contract, GeoContext, Modality, Offer, Package};
use skysense_model::SkySenseConfig;

use super::DistillConfig;
use super::level::Level;
use crate::network::encoder_config;
use crate::setup::{Setup, from_package, setup};
use crate::{Sample, TrainError};

/// Student and teacher.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) student: Setup,
    pub(super) teacher: Setup,
    /// The teacher's package; it is that of its setup too.
    pub(super) package: Package,
    /// Where features are compared; the fused ones first.
    pub(super) levels: Vec<Level>,
    pub(super) licence: String,
}

/// The contract of the student that [`crate::distill()`] will give, and what it takes.
#[derive(Debug, Clone)]
pub struct PlannedStudent {
    /// Bands, chip size, dates. Normalisation, graphs, probe and checksum come with the run.
    pub contract: Contract,
    /// Name of the teacher.
    pub teacher: String,
    /// Bytes of the teacher's features of one sample with all its dates.
    pub feature_bytes: u64,
}

/// Decides all that follows from offers and settings alone.
pub(super) fn plan(
    samples: &[Sample],
    offers: &BTreeMap<Modality, Offer>,
    config: &DistillConfig,
) -> Result<Plan, TrainError> {
    config.check()?;
    let package = Package::open(&config.teacher)?;
    let mut teacher = from_package(package.clone(), offers)?;
    // Its fused features teach, which prototypes come after.
    teacher.geo_context = None;
    let seen = seen(offers, config)?;
    let student = setup(samples, &seen, &config.recipe)?;
    if let Some(regions) = student.geo_context.as_ref().map(GeoContext::regions) {
        return Err(TrainError::Setting {
            setting: "start",
            value: format!("a package with prototypes of {regions} regions"),
            expected: "one without: prototypes are not distilled".into(),
        });
    }
    if student.chip_size != teacher.chip_size {
        return Err(TrainError::Setting {
            setting: "start",
            value: format!("a package for chips of {} pixels", student.chip_size),
            expected: format!("one for the {} pixels of teacher {}", teacher.chip_size, package.contract().name),
        });
    }
    let both = |modality: &Modality| config.encoders > 0.0 && teacher.bands.contains_key(modality);
    let encoders = student.bands.keys().copied().filter(both).map(Level::Encoder);
    let levels = std::iter::once(Level::Fused).chain(encoders).collect();
    let licence = config.licence.clone().unwrap_or_else(|| package.contract().licence.clone());
    Ok(Plan { student, teacher, package, levels, licence })
}

/// The contract of the student that [`crate::distill()`] will give for samples like `offers`.
///
/// # Errors
/// [`TrainError`]: settings out of range, an unknown preset, a teacher that cannot be read, samples that lack bands of
/// the teacher or of the student or have a modality that the teacher does not take.
pub fn planned_student(
    offers: &BTreeMap<Modality, Offer>,
    config: &DistillConfig,
) -> Result<PlannedStudent, TrainError> {
    let plan = plan(&[], offers, config)?;
    let sizes = encoder_config(&plan.teacher)?;
    let maps: usize = plan
        .levels
        .iter()
        .map(|level| channels(&sizes, *level) * if let Level::Encoder(m) = level { offers[m].dates.max(1) } else { 1 })
        .sum();
    Ok(PlannedStudent {
        contract: plan.student.contract(&config.name, &plan.licence, None)?,
        teacher: plan.package.contract().name.clone(),
        feature_bytes: (4 * maps * plan.teacher.chip_size.pow(2)) as u64,
    })
}

/// Channels of the features at a level.
pub(super) fn channels(sizes: &SkySenseConfig, level: Level) -> usize {
    match level {
        Level::Fused => sizes.fusion.channels,
        Level::Encoder(_) => sizes.fusion.channels_in,
    }
}

/// What the student sees of the offers.
fn seen(offers: &BTreeMap<Modality, Offer>, config: &DistillConfig) -> Result<BTreeMap<Modality, Offer>, TrainError> {
    let Some(wanted) = &config.modalities else { return Ok(offers.clone()) };
    let names =
        |modalities: Vec<&Modality>| modalities.iter().map(|modality| modality.name()).collect::<Vec<_>>().join(", ");
    let lacking: Vec<&Modality> = wanted.iter().filter(|modality| !offers.contains_key(modality)).collect();
    if !lacking.is_empty() || wanted.is_empty() {
        return Err(TrainError::Setting {
            setting: "modalities",
            value: if wanted.is_empty() { "empty".into() } else { names(lacking) },
            expected: format!("some of what the chips have: {}", names(offers.keys().collect())),
        });
    }
    Ok(offers.iter().filter(|(modality, _)| wanted.contains(modality)).map(|(m, o)| (*m, o.clone())).collect())
}
