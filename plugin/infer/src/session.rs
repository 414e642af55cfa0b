//! One graph on one device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ort::ep::ExecutionProvider;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType};
use skysense_contract::{Dtype, Module};

use crate::runtime::Runtime;
use crate::{Device, InferError};

/// Graph optimisation level of every session. Fixed, for results differ in bits between levels; recorded with
/// every output. Level 2 fuses nodes and leaves out the re-laying of memory that depends on the processor.
pub const OPTIMISATION: &str = "extended";

/// Begins the name of an output that is the least value of what is named after it.
const LOW: &str = "low ";
/// Begins the name of an output that is the largest value of what is named after it.
const HIGH: &str = "high ";

const LEVEL: GraphOptimizationLevel = GraphOptimizationLevel::Level2;

/// A replacement for one initializer of a graph.
pub(crate) struct Initializer {
    pub(crate) name: String,
    pub(crate) value: DynValue,
}

/// How sessions are built: the same for all modules of a model.
pub(crate) struct Build<'a> {
    pub(crate) runtime: &'a Runtime,
    /// Never [`Device::Auto`].
    pub(crate) device: Device,
    pub(crate) threads: usize,
}

/// A loaded graph.
pub(crate) struct Graph {
    session: Session,
    module: Module,
    path: PathBuf,
    /// Least and largest value of what further outputs show, by its name.
    ranges: BTreeMap<String, [f32; 2]>,
}

impl Build<'_> {
    /// Loads a graph from its file, so that weights outside of it are found and mapped.
    pub(crate) fn graph(
        &self,
        module: Module,
        path: PathBuf,
        initializer: Option<Initializer>,
    ) -> Result<Graph, InferError> {
        let fault = |error: ort::Error| InferError::Graph { path: path.clone(), message: error.to_string() };
        let mut builder = self.builder(&path)?;
        if let Some(Initializer { name, value }) = initializer {
            builder = builder.with_initializer(name, value).map_err(|error| fault(error.into()))?;
        }
        let session = builder.commit_from_file(&path).map_err(fault)?;
        Ok(Graph { session, module, path, ranges: BTreeMap::new() })
    }

    fn builder(&self, path: &Path) -> Result<SessionBuilder, InferError> {
        let fault = |error: ort::Error| InferError::Graph { path: path.to_path_buf(), message: error.to_string() };
        let plain = || {
            // Spinning threads would take the cores from the nodes that read and write.
            Session::builder(&self.runtime.environment)?
                .with_optimization_level(LEVEL)?
                .with_intra_threads(self.threads)?
                .with_inter_threads(1)?
                .with_intra_op_spinning(false)?
                .with_deterministic_compute(true)
                .map_err(ort::Error::from)
        };
        let builder = plain().map_err(fault)?;
        match self.device {
            Device::Cuda(number) => {
                let lacks = |error: ort::Error| InferError::Device { device: self.device, reason: error.to_string() };
                let number = i32::try_from(number)
                    .map_err(|_| InferError::Device { device: self.device, reason: "no such number".into() })?;
                let cuda = ort::ep::CUDA::default().with_device_id(number).build().error_on_failure();
                builder.with_execution_providers([cuda]).map_err(|error| lacks(error.into()))
            }
            Device::Auto | Device::Cpu => Ok(builder),
        }
    }
}

/// The device that `auto` stands for with this runtime.
pub(crate) fn choose(device: Device, runtime: &Runtime) -> Result<Device, InferError> {
    match device {
        Device::Auto if usable_cuda(runtime) => Ok(Device::Cuda(0)),
        Device::Auto => Ok(Device::Cpu),
        Device::Cuda(_) if !ort::ep::CUDA::is_available().unwrap_or(false) => {
            let reason = format!(
                "ONNX Runtime {} at {} was built without CUDA",
                runtime.info.version,
                runtime.info.path.display()
            );
            Err(InferError::Device { device, reason })
        }
        other => Ok(other),
    }
}

/// A GPU build on a machine without a GPU is common, so `auto` tries and does not trust the build alone.
fn usable_cuda(runtime: &Runtime) -> bool {
    ort::ep::CUDA::is_available().unwrap_or(false)
        && Session::builder(&runtime.environment)
            .and_then(|mut builder| ort::ep::CUDA::default().register(&mut builder))
            .is_ok()
}

impl Graph {
    /// Checks that an input has this type and these dimensions, where `None` is one that may vary; gives the
    /// dimensions that the graph fixes.
    pub(crate) fn check_input(
        &self,
        name: &str,
        dtype: TensorElementType,
        shape: &[Option<usize>],
    ) -> Result<Vec<Option<usize>>, InferError> {
        let fault = |fault: String| InferError::GraphContract { path: self.path.clone(), fault };
        let known = || self.session.inputs().iter().map(|i| i.name()).collect::<Vec<_>>().join(", ");
        let input = self
            .session
            .inputs()
            .iter()
            .find(|input| input.name() == name)
            .ok_or_else(|| fault(format!("it has no input {name:?}, only {}", known())))?;
        let found = input.dtype();
        if found.tensor_type() != Some(dtype) {
            return Err(fault(format!("input {name} is {found}, expected {dtype}")));
        }
        let dims: Vec<Option<usize>> = found
            .tensor_shape()
            .map(|dims| dims.iter().map(|d| usize::try_from(*d).ok()).collect())
            .unwrap_or_default();
        let fits = dims.len() == shape.len()
            && dims.iter().zip(shape).all(|(found, expected)| match (found, expected) {
                (Some(found), Some(expected)) => found == expected,
                _ => true,
            });
        if fits { Ok(dims) } else { Err(fault(format!("input {name} is {found}, expected {shape:?}"))) }
    }

    /// Runs the graph and hands its first output, f32 of exactly `shape`, to `take`. Others are there in graphs that are
    /// calibrated, and show a range.
    pub(crate) fn run<R>(
        &mut self,
        inputs: Vec<(&'static str, SessionInputValue<'_>)>,
        shape: &[usize],
        take: impl FnOnce(&[f32]) -> R,
    ) -> Result<R, InferError> {
        let module = self.module;
        let run = |error: ort::Error| InferError::Run { module, message: error.to_string() };
        let outputs = self.session.run(inputs).map_err(run)?;
        for (name, value) in outputs.iter().skip(1) {
            let shown = value.try_extract_tensor::<f32>().ok().and_then(|(_, values)| values.first().copied());
            if !shown.is_some_and(|shown| widen(&mut self.ranges, name, shown)) {
                let fault = format!("it has {} outputs, expected one", outputs.len());
                return Err(InferError::GraphContract { path: self.path.clone(), fault });
            }
        }
        let (found, values) = outputs[0].try_extract_tensor::<f32>().map_err(run)?;
        if !found.iter().map(|d| usize::try_from(*d).ok()).eq(shape.iter().map(|d| Some(*d))) {
            let fault = format!("output is {found}, expected {shape:?}");
            return Err(InferError::GraphContract { path: self.path.clone(), fault });
        }
        Ok(take(values))
    }
}

impl Graph {
    /// Runs the graph and gives its first output as it is.
    pub(crate) fn run_any(
        &mut self,
        inputs: Vec<(&'static str, SessionInputValue<'_>)>,
    ) -> Result<Vec<f32>, InferError> {
        let module = self.module;
        let run = |error: ort::Error| InferError::Run { module, message: error.to_string() };
        let outputs = self.session.run(inputs).map_err(run)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(run)?;
        Ok(values.to_vec())
    }

    /// Runs the graph and gives all its outputs by name.
    pub(crate) fn run_all(
        &mut self,
        inputs: Vec<(&'static str, SessionInputValue<'_>)>,
    ) -> Result<BTreeMap<String, Vec<f32>>, InferError> {
        let module = self.module;
        let run = |error: ort::Error| InferError::Run { module, message: error.to_string() };
        let outputs = self.session.run(inputs).map_err(run)?;
        let mut given = BTreeMap::new();
        for (name, value) in outputs.iter() {
            let (_, values) = value.try_extract_tensor::<f32>().map_err(run)?;
            given.insert(name.to_owned(), values.to_vec());
        }
        Ok(given)
    }

    /// What further outputs have shown since the graph was loaded.
    pub(crate) fn ranges(&self) -> &BTreeMap<String, [f32; 2]> {
        &self.ranges
    }

    /// The error of a graph that is not what its module must be.
    pub(crate) fn fault(&self, fault: String) -> InferError {
        InferError::GraphContract { path: self.path.clone(), fault }
    }
}

/// Takes note of what the output `name` shows; whether that is an end of a range.
fn widen(ranges: &mut BTreeMap<String, [f32; 2]>, name: &str, shown: f32) -> bool {
    let (of, high) = match (name.strip_prefix(LOW), name.strip_prefix(HIGH)) {
        (Some(of), _) => (of, false),
        (_, Some(of)) => (of, true),
        _ => return false,
    };
    let [least, largest] = ranges.entry(of.to_owned()).or_insert([f32::INFINITY, f32::NEG_INFINITY]);
    if high {
        *largest = largest.max(shown)
    } else {
        *least = least.min(shown)
    }
    true
}

/// The runtime's name of a pixel type.
pub(crate) fn element(dtype: Dtype) -> TensorElementType {
    match dtype {
        Dtype::U8 => TensorElementType::Uint8,
        Dtype::I16 => TensorElementType::Int16,
        Dtype::F32 => TensorElementType::Float32,
    }
}
