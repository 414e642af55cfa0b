//! A package whose graphs hold smaller numbers, made from one that holds f32.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use skysense_contract::{ContractError, GraphFile, MLM_FILE, MlmContext, Module, Package, PackageWriter, Reduced};
use skysense_model::reduce as graphs;

pub use skysense_model::reduce::{Precision, Ranges};

use crate::TrainError;
use crate::graphs::SHARD;

/// A package that is to be written as it is, to be watched, or to be made smaller. Nothing of it is in memory.
#[derive(Debug, Clone)]
pub struct Reduction {
    package: Package,
    change: Change,
    shard_limit: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Nothing,
    Watched,
    Reduced(Precision, BTreeMap<Module, Ranges>),
}

impl Reduction {
    /// Looks at a package.
    ///
    /// # Errors
    /// [`TrainError::Contract`] for a file that cannot be read or is damaged, [`TrainError::Model`] for a package that
    /// was made smaller before.
    pub fn read(package: &Package) -> Result<Self, TrainError> {
        package.verify()?;
        let contract = package.contract();
        if let Some(Reduced { precision, .. }) = contract.reduced() {
            let message = format!("package {} is {precision} already: start from the float model", contract.name);
            return Err(TrainError::Model(message));
        }
        Ok(Self::of(package))
    }

    fn of(package: &Package) -> Self {
        Self { package: package.clone(), change: Change::Nothing, shard_limit: SHARD }
    }

    /// With weights in files of at most so many bytes.
    pub fn with_shard_limit(self, shard_limit: u64) -> Self {
        Self { shard_limit, ..self }
    }

    /// The same package, whose graphs also show the range of each product's input.
    pub fn watched(self) -> Self {
        Self { change: Change::Watched, ..self }
    }

    /// The package in a smaller precision; `ranges` are for [`Precision::Int8Static`].
    pub fn reduced(self, precision: Precision, ranges: &BTreeMap<Module, Ranges>) -> Self {
        Self { change: Change::Reduced(precision, ranges.clone()), ..self }
    }

    /// Writes the package at `folder`, which must not exist. The probe keeps its batch and its output, and allows
    /// anything: the package is there to be measured, and [`Self::publish`] makes one of it that is there to be used.
    /// Memory holds one graph, and one of its constants where these lie beside it.
    ///
    /// # Errors
    /// [`TrainError::Contract`] when the folder exists or cannot be written, [`TrainError::Model`] for a graph that our
    /// exporter did not write, or whose products were not all calibrated.
    pub fn write(&self, folder: &Path) -> Result<Package, TrainError> {
        let mut writer = PackageWriter::new(folder)?;
        for (module, file) in &self.package.contract().graphs {
            self.graph(&mut writer, *module, file)?;
        }
        let files = match &self.change {
            Change::Reduced(precision, _) => {
                let of = |error: skysense_model::ModelError| TrainError::from(error);
                graphs::weights(&self.package.weights(), *precision, writer.folder(), self.shard_limit).map_err(of)?
            }
            Change::Nothing | Change::Watched => take_weights(&writer, &self.package)?,
        };
        writer.weights_written(&files)?;
        writer.probe(&read(&self.package.probe())?, f64::from(f32::MAX), self.package.contract().probe.relative)?;
        Ok(writer.finish(self.package.contract().clone(), &context(&self.package))?)
    }

    /// Makes a package at `folder`, which must not exist, of `measured`, one that [`Self::write`] gave of `original`:
    /// `note` says what it was made from and how far its output may be off.
    ///
    /// # Errors
    /// [`TrainError::Contract`] when the folder exists or cannot be written.
    pub fn publish(
        measured: &Package,
        original: &Package,
        folder: &Path,
        note: &Reduced,
    ) -> Result<Package, TrainError> {
        let mut writer = PackageWriter::new(folder)?;
        for (module, file) in &measured.contract().graphs {
            Self::of(measured).graph(&mut writer, *module, file)?;
        }
        let files = take_weights(&writer, measured)?;
        writer.weights_written(&files)?;
        let stated = &original.contract().probe;
        let absolute = stated.absolute.max(2.0 * note.largest_difference);
        writer.probe(&read(&measured.probe())?, absolute, stated.relative)?;
        let mut contract = original.contract().clone();
        contract.set_reduced(note);
        contract.name = format!("{}-{}", contract.name, note.precision);
        Ok(writer.finish(contract, &context(original))?)
    }

    /// Writes one graph, with its constants beside it where they were.
    fn graph(&self, writer: &mut PackageWriter, module: Module, file: &GraphFile) -> Result<(), TrainError> {
        let graph = read(&self.package.graph(module)?)?;
        let data = file.data.as_ref().map(|data| self.package.folder().join(&data.path));
        let graph = match &self.change {
            Change::Nothing => graph,
            Change::Watched => graphs::watched(&graph).map_err(|error| of(module, error))?,
            Change::Reduced(precision, ranges) => {
                let to = writer.data_path(module);
                let beside = data.as_ref().map(|from| graphs::DataFiles { from, to: &to });
                let none = Ranges::new();
                let ranges = ranges.get(&module).unwrap_or(&none);
                graphs::reduce(&graph, *precision, ranges, beside).map_err(|error| of(module, error))?
            }
        };
        match (&data, &self.change) {
            (None, _) => Ok(writer.graph(module, &graph, None)?),
            (Some(_), Change::Reduced(..)) => Ok(writer.graph_beside(module, &graph)?),
            (Some(from), _) => {
                let _name = writer.take(from)?;
                Ok(writer.graph_beside(module, &graph)?)
            }
        }
    }
}

/// The files of a package's weights, in another package.
fn take_weights(writer: &PackageWriter, package: &Package) -> Result<Vec<String>, ContractError> {
    let shards = package.contract().weights_shards.iter().map(|shard| package.folder().join(&shard.path));
    shards.chain([package.weights()]).map(|path| writer.take(&path)).collect()
}

fn of(module: Module, error: skysense_model::ModelError) -> TrainError {
    match TrainError::from(error) {
        TrainError::Model(message) => TrainError::Model(format!("{module}: {message}")),
        other => other,
    }
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
