//! The weights of a package held against the sizes that it states.

use std::collections::BTreeMap;

use burn::tensor::Device;
use skysense_contract::{Contract, Package};
use skysense_model::checkpoint::{Element, Stored, WeightFile, parameters};
use skysense_model::{ModelError, SkySenseConfig, preset};

use skysense_model::reduce::PATCH_EMBEDDING;

use crate::TrainError;
use crate::alone::AloneSizes;
use crate::encoder::EncoderConfig;
use crate::network::{HEAD, fit};

/// Precisions whose packages keep the whole checkpoint.
const WHOLE: [&str; 3] = ["f32", "fp16", "bf16"];

/// Sizes of the modules of a package: those that it states, else the preset's, for its modalities and bands.
///
/// # Errors
/// A preset that is not known, or sizes that make no model; encoders that stand alone.
pub(crate) fn architecture(package: &Package) -> Result<SkySenseConfig, TrainError> {
    let contract = package.contract();
    if AloneSizes::of(contract)?.is_some() {
        return Err(TrainError::Incomplete {
            found: format!("package {} has encoders alone, without a fusion", contract.name),
            hint: "import them together with a fusion, or with --allow-missing for one that starts untrained, to train on",
        });
    }
    let mut config: SkySenseConfig = match contract.architecture.clone() {
        Some(stated) => serde_json::from_value(stated).map_err(|error| {
            TrainError::Model(format!("the package states an architecture of another program: {error}"))
        })?,
        None => preset(&contract.preset)?,
    };
    fit(&mut config, (&contract.modalities, contract.calendar, contract.geo_context.as_ref()));
    config.check()?;
    Ok(config)
}

/// The error of a package that holds less than its whole checkpoint.
pub(crate) fn lacks_weights(package: &Package) -> TrainError {
    let contract = package.contract();
    TrainError::Incomplete {
        found: format!("package {} ({}) does not hold the weights of its modules", contract.name, contract.precision()),
        hint: "take the float model that it was made from: packages in 8 bit keep the patch embeddings alone",
    }
}

/// Whether a package keeps its whole checkpoint.
pub(crate) fn holds_checkpoint(contract: &Contract) -> bool {
    WHOLE.contains(&contract.precision().as_str())
}

/// What of a package's weights is not as the sizes of its modules say: tensors that lack, that are of another shape or
/// type, or that no module has. Reads names and shapes alone.
///
/// # Errors
/// Weights that cannot be opened, or sizes that make no model.
pub fn check_weights(package: &Package) -> Result<TensorCheck, TrainError> {
    let contract = package.contract();
    let device = Device::default();
    let alone = AloneSizes::of(contract)?;
    let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    match &alone {
        Some(alone) => wanted.extend(alone.parameters()?),
        None if contract.head.as_ref().is_some_and(|head| head.detector.is_some()) => {
            wanted.extend(parameters(&crate::detect::stated_sizes(package)?.init(&device)?, ""));
        }
        None => {
            let config = EncoderConfig::of_package(package)?;
            wanted.extend(parameters(&config.init(&device)?, ""));
            if let Some(head) = &contract.head {
                wanted.extend(parameters(&config.head(head).init(&device), HEAD));
            }
        }
    }
    let file = WeightFile::open(&package.weights(), None).map_err(ModelError::from)?;
    let found: BTreeMap<&str, &Stored> = file.tensors().collect();
    let mut check = TensorCheck { tensors: found.len(), problems: Vec::new() };
    let whole = holds_checkpoint(contract);
    for (name, shape) in &wanted {
        match found.get(name.as_str()) {
            None if whole || name.ends_with(PATCH_EMBEDDING) => {
                check.problems.push(format!("weights: no {name}, expected shape {shape:?}"));
            }
            None => {}
            Some(stored) if stored.shape() != &shape[..] => {
                let message = format!("weights: {name} has shape {:?}, expected {shape:?}", stored.shape());
                check.problems.push(message);
            }
            Some(stored) if !matches!(stored.element(), Element::F32 | Element::F16 | Element::BF16) => {
                check.problems.push(format!("weights: {name} is of type {:?}, expected a float", stored.element()));
            }
            Some(_) => {}
        }
    }
    let strays = found.keys().filter(|name| !wanted.contains_key(**name));
    check.problems.extend(strays.map(|name| format!("weights: {name} is of no module of this model")));
    Ok(check)
}

/// The weights of a package against its sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorCheck {
    /// Tensors in the files.
    pub tensors: usize,
    /// Everything that is not as it should be; empty where all is.
    pub problems: Vec<String>,
}
