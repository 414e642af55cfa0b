//! What can go wrong with inference.

use std::path::PathBuf;

use skysense_contract::{ContractError, Modality, Module};

use crate::Device;

/// One place where ONNX Runtime was looked for, and why it was not taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Attempt {
    /// What named the place, such as `ORT_DYLIB_PATH`.
    pub origin: String,
    /// The file or folder.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

/// An error of inference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// No ONNX Runtime library was found that works.
    #[error(
        "ONNX Runtime was not found; looked in: {}\nhint: set ORT_DYLIB_PATH to libonnxruntime, or put it into the cache folder (pip download onnxruntime)",
        .tried.iter().map(|a| format!("{} {} ({})", a.origin, a.path.display(), a.reason)).collect::<Vec<_>>().join("; ")
    )]
    NoRuntime {
        /// Every place, in the order of the search.
        tried: Vec<Attempt>,
    },
    /// Another library is loaded already; a process holds one.
    #[error("ONNX Runtime is loaded from {loaded} already, so {asked} cannot be\nhint: name it at the first use")]
    RuntimeLoaded {
        /// Of the library in use.
        loaded: PathBuf,
        /// Asked for now.
        asked: PathBuf,
    },
    /// The library was loaded and does not start.
    #[error("ONNX Runtime at {path} does not start: {message}")]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Its message.
        message: String,
    },
    /// No device has this name.
    #[error("no device is named {name:?}\nhint: use auto, cpu, cuda or cuda:1")]
    DeviceName {
        /// As given.
        name: String,
    },
    /// The device asked for is not there.
    #[error(
        "device {device} was asked for and is not there: {reason}\nhint: use a GPU build of ONNX Runtime, or device cpu or auto"
    )]
    Device {
        /// As asked for.
        device: Device,
        /// The runtime's message.
        reason: String,
    },
    /// The package is at fault, or the data does not fit it.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A graph cannot be loaded.
    #[error("graph {path} cannot be loaded: {message}\nhint: export the model again")]
    Graph {
        /// The file.
        path: PathBuf,
        /// The runtime's message.
        message: String,
    },
    /// A graph has other inputs or outputs than its module must have.
    #[error("graph {path} does not keep its contract: {fault}\nhint: export the model again")]
    GraphContract {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        fault: String,
    },
    /// A graph failed while it ran.
    #[error("the {module} graph failed: {message}")]
    Run {
        /// The module.
        module: Module,
        /// The runtime's message.
        message: String,
    },
    /// A chip does not fit the model.
    #[error("chip {chip} of the batch, {modality}: {fault}")]
    Chip {
        /// Place in the batch, from 0.
        chip: usize,
        /// The modality.
        modality: Modality,
        /// What was found and what was expected.
        fault: String,
    },
    /// The package has geo-context, and a chip has no region or one that the package has no prototypes of.
    #[error(
        "chip {chip} of the batch has {}, the geo-context of model {model} needs one below {regions}",
        .region.map_or_else(|| "no region".to_owned(), |region| format!("region {region}"))
    )]
    Region {
        /// Place in the batch, from 0.
        chip: usize,
        /// What it has.
        region: Option<i64>,
        /// Regions of the package.
        regions: usize,
        /// Name of the model.
        model: String,
    },
    /// Chips of two times that are not pairs.
    #[error("{before} earlier chips and {after} later ones are no pairs\nhint: give both times of each chip")]
    Pairs {
        /// Of the earlier time.
        before: usize,
        /// Of the later time.
        after: usize,
    },
    /// An Arrow array cannot hold pixels.
    #[error("pixels are an Arrow array of {found}, expected UInt8, Int16 or Float32 without nulls")]
    Arrow {
        /// Type of the array.
        found: String,
    },
    /// The probe cannot be read.
    #[error("probe {path} cannot be used: {message}\nhint: export the model again")]
    ProbeFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The model gives something else here than where it was exported.
    #[error(
        "model {model} does not give its probe's output on {device} with ONNX Runtime {runtime}: value {index} is {found}, expected {expected}, difference {difference:e} (allowed {allowed:e})\nhint: this runtime or device cannot be trusted with this model: use another"
    )]
    Probe {
        /// Name of the model.
        model: String,
        /// Device it ran on.
        device: String,
        /// Version of the runtime.
        runtime: String,
        /// Place of the value that is most off, counted through the output.
        index: usize,
        /// What came out there.
        found: f32,
        /// What the package says.
        expected: f32,
        /// Their difference, the largest over the tolerance of all values.
        difference: f64,
        /// What the tolerance allows there.
        allowed: f64,
    },
    /// `bands: subset` cannot be applied to this package.
    #[error("bands of {modality} cannot be left out of model {model}: {reason}")]
    Subset {
        /// Name of the model.
        model: String,
        /// The modality.
        modality: Modality,
        /// Why not.
        reason: String,
    },
}
