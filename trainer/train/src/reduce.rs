//! A package whose graphs hold smaller numbers, made from one that holds f32.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use skysense_contract::{Contract, ContractError, MLM_FILE, MlmContext, Module, Package, PackageWriter, Reduced};
use skysense_model::reduce as graphs;

pub use skysense_model::reduce::{Precision, Ranges};

use crate::TrainError;

/// A package in memory, to be written as it is, to be watched, or to be made smaller.
#[derive(Debug, Clone)]
pub struct Reduction {
    contract: Contract,
    context: MlmContext,
    graphs: BTreeMap<Module, Vec<u8>>,
    weights: Vec<u8>,
    probe: Vec<u8>,
}

impl Reduction {
    /// Reads a package.
    ///
    /// # Errors
    /// [`TrainError::Contract`] for a file that cannot be read or is damaged, [`TrainError::Model`] for a package that
    /// was made smaller before or holds constants in files beside its graphs.
    pub fn read(package: &Package) -> Result<Self, TrainError> {
        package.verify()?;
        let contract = package.contract().clone();
        if let Some(Reduced { precision, .. }) = contract.reduced() {
            let message = format!("package {} is {precision} already: start from the float model", contract.name);
            return Err(TrainError::Model(message));
        }
        let mut graphs = BTreeMap::new();
        for (module, file) in &contract.graphs {
            if let Some(data) = &file.data {
                let message = format!(
                    "the constants of the {module} graph lie in {}: only whole graphs can be reduced",
                    data.path
                );
                return Err(TrainError::Model(message));
            }
            graphs.insert(*module, read(&package.graph(*module)?)?);
        }
        let (weights, probe) = (read(&package.weights())?, read(&package.probe())?);
        Ok(Self { context: context(package), contract, graphs, weights, probe })
    }

    /// Bytes of graphs and weights.
    pub fn bytes(&self) -> u64 {
        self.graphs.values().map(|graph| graph.len() as u64).sum::<u64>() + self.weights.len() as u64
    }

    /// The same package, whose graphs also show the range of each product's input.
    ///
    /// # Errors
    /// [`TrainError::Model`] for a graph that our exporter did not write.
    pub fn watched(mut self) -> Result<Self, TrainError> {
        for (module, graph) in &mut self.graphs {
            *graph = graphs::watched(graph).map_err(|error| of(*module, &error))?;
        }
        Ok(self)
    }

    /// The package in a smaller precision; `ranges` are for [`Precision::Int8Static`].
    ///
    /// # Errors
    /// [`TrainError::Model`] for a graph that our exporter did not write, or whose products were not all calibrated.
    pub fn reduced(mut self, precision: Precision, ranges: &BTreeMap<Module, Ranges>) -> Result<Self, TrainError> {
        let none = Ranges::new();
        for (module, graph) in &mut self.graphs {
            let ranges = ranges.get(module).unwrap_or(&none);
            *graph = graphs::reduce(graph, precision, ranges).map_err(|error| of(*module, &error))?;
        }
        self.weights =
            graphs::weights(&self.weights, precision).map_err(|error| TrainError::Model(error.to_string()))?;
        Ok(self)
    }

    /// Writes the package at `folder`, which must not exist. The probe keeps its batch and its output; `note` says what
    /// it was made from and how far its output may be off. Without one the probe allows anything, for a package that
    /// is there to be measured.
    ///
    /// # Errors
    /// [`TrainError::Contract`] when the folder exists or cannot be written.
    pub fn write(&self, folder: &Path, note: Option<&Reduced>) -> Result<Package, TrainError> {
        let mut writer = PackageWriter::new(folder)?;
        for (module, graph) in &self.graphs {
            writer.graph(*module, graph, None)?;
        }
        writer.weights(&self.weights)?;
        let stated = &self.contract.probe;
        let absolute = note.map_or(f64::from(f32::MAX), |note| stated.absolute.max(2.0 * note.largest_difference));
        writer.probe(&self.probe, absolute, stated.relative)?;
        let mut contract = self.contract.clone();
        if let Some(note) = note {
            contract.set_reduced(note);
            contract.name = format!("{}-{}", contract.name, note.precision);
        }
        Ok(writer.finish(contract, &self.context)?)
    }
}

fn of(module: Module, error: &skysense_model::ModelError) -> TrainError {
    TrainError::Model(format!("{module}: {error}"))
}

fn read(path: &Path) -> Result<Vec<u8>, ContractError> {
    fs::read(path).map_err(|source| ContractError::Read { path: path.to_path_buf(), source })
}

/// What the package's STAC item says of the training area. One that is lacking or damaged says nothing: no other part
/// of the package depends on it.
fn context(package: &Package) -> MlmContext {
    let text = fs::read_to_string(package.folder().join(MLM_FILE)).unwrap_or_default();
    let item: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let text = |name: &str| item["properties"][name].as_str().map(ToOwned::to_owned);
    MlmContext {
        geometry: Some(item["geometry"].clone()).filter(|geometry| !geometry.is_null()),
        bbox: serde_json::from_value(item["bbox"].clone()).ok(),
        period: text("start_datetime").zip(text("end_datetime")),
        parameters: item["properties"]["mlm:total_parameters"].as_u64(),
    }
}
