//! Parameters of modules, from and to files.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::CheckpointError;
use super::names::{ignored, published};
use super::stored::Stored;
use super::write::WeightsWriter;
use crate::{ModelError, Result};

/// Ending of the weights of a 1 × 1 convolution, which is kept as a matrix here, and with its two sides in files.
const POINTWISE: &str = "decoder.0.weight";

/// What loading did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that were set.
    pub loaded: Vec<String>,
    /// Parameters of the model that the file lacks.
    pub missing: Vec<String>,
    /// Names of the file that the model does not have.
    pub unexpected: Vec<String>,
    /// `name: shape in the file, shape in the model`.
    pub mismatched: Vec<String>,
}

impl LoadReport {
    /// The report, or an error where anything did not fit.
    ///
    /// # Errors
    /// A parameter that is missing or of another shape, or a name that is not known.
    pub fn strict(self) -> Result<Self> {
        if self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty() {
            return Ok(self);
        }
        Err(ModelError::Checkpoint { missing: self.missing, mismatched: self.mismatched, unexpected: self.unexpected })
    }
}

/// The parameters of a module as a safetensors file; `prefix` is put before the path of each.
///
/// # Errors
/// A value that the format cannot hold.
pub fn save<M: Module>(module: &M, prefix: &str) -> Result<Vec<u8>> {
    let mut collect = Collect { path: vec![prefix.to_string()], tensors: BTreeMap::new(), wanted: None };
    module.visit(&mut collect);
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let tensors: Vec<_> =
        collect.tensors.into_iter().map(|(name, (shape, values))| (name, shape, bytes(&values))).collect();
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
                .map_err(|error| ModelError::Weights(error.to_string()))?;
            Ok((name, view))
        })
        .collect::<Result<_>>()?;
    safetensors::serialize(views, None).map_err(|error| ModelError::Weights(error.to_string()))
}

/// Writes the parameters of a module, one after the other in the order of [`parameters`], which the writer must have been
/// planned with.
///
/// # Errors
/// A file that cannot be written.
pub fn write_module<M: Module>(module: &M, writer: &mut WeightsWriter) -> Result<()> {
    let mut stream = Stream { writer, done: Ok(()) };
    module.visit(&mut stream);
    Ok(stream.done?)
}

/// Shape and values of those parameters of a module that `there` lacks.
pub fn lacking<M: Module>(
    module: &M,
    prefix: &str,
    there: &BTreeMap<String, Stored>,
) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let wanted = parameters(module, prefix).into_iter().map(|(name, _)| name);
    let wanted: BTreeSet<String> = wanted.filter(|name| !there.contains_key(name)).collect();
    let mut collect = Collect { path: vec![prefix.to_string()], tensors: BTreeMap::new(), wanted: Some(wanted) };
    module.visit(&mut collect);
    collect.tensors
}

/// Names and shapes of the parameters of a module as files have them; none is made that was not made yet.
pub fn parameters<M: Module>(module: &M, prefix: &str) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Shapes { path: vec![prefix.to_string()], found: Vec::new() };
    module.visit(&mut shapes);
    shapes.found
}

/// Sets the parameters of a module from a safetensors file; `prefix` as in [`save`].
///
/// # Errors
/// A file that is not safetensors, or a type that is not a float.
pub fn load<M: Module>(module: M, prefix: &str, file: &[u8]) -> Result<(M, LoadReport)> {
    let tensors = SafeTensors::deserialize(file).map_err(|error| ModelError::Weights(error.to_string()))?;
    fill(module, prefix, &tensors)
}

/// Sets the parameters of a module from tensors in files, one after the other; names as in [`save`].
///
/// # Errors
/// A file that cannot be read, or a type that is not a float.
pub fn load_stored<M: Module>(module: M, prefix: &str, tensors: &BTreeMap<String, Stored>) -> Result<(M, LoadReport)> {
    fill(module, prefix, tensors)
}

fn fill<M: Module>(module: M, prefix: &str, from: &dyn From) -> Result<(M, LoadReport)> {
    let mut fill = Fill { path: vec![prefix.to_string()], from, report: LoadReport::default(), fault: None };
    let module = module.map(&mut fill);
    if let Some(fault) = fill.fault {
        return Err(fault);
    }
    let mut report = fill.report;
    let used: BTreeSet<&String> = report.loaded.iter().chain(&report.missing).collect();
    let shown = |name: &String| report.mismatched.iter().any(|line| line.split(':').next() == Some(name));
    report.unexpected = from
        .names()
        .into_iter()
        .filter(|name| !used.contains(name) && !shown(name) && ignored(name).is_none())
        .collect();
    Ok((module, report))
}

/// Where values come from.
trait From {
    fn names(&self) -> BTreeSet<String>;
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    fn values(&self, name: &str) -> Result<Vec<f32>>;
}

impl From for SafeTensors<'_> {
    fn names(&self) -> BTreeSet<String> {
        self.names().into_iter().map(str::to_string).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensor(name).ok().map(|view| view.shape().to_vec())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let view = self.tensor(name).map_err(|error| ModelError::Weights(format!("{name}: {error}")))?;
        floats(name, &view)
    }
}

impl From for BTreeMap<String, Stored> {
    fn names(&self) -> BTreeSet<String> {
        self.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.get(name).map(|stored| stored.shape().to_vec())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let stored = self.get(name).ok_or_else(|| ModelError::Weights(format!("no {name}")))?;
        Ok(stored.floats()?)
    }
}

fn floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
        Dtype::F16 => Ok(bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        Dtype::BF16 => Ok(bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        other => Err(ModelError::Weights(format!("{name} is of type {other:?}, expected F32, F16 or BF16"))),
    }
}

fn dotted(path: &[String]) -> String {
    let parts: Vec<&str> = path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    published(&parts.join("."))
}

/// What a part adds to the path of its parameters: which of an enum's variants a module is stands in no name.
fn entered(name: &str, container: &str) -> String {
    if container.starts_with("Enum:") { String::new() } else { name.to_string() }
}

/// The shape in files.
fn outer(name: &str, mut shape: Vec<usize>) -> Vec<usize> {
    if name.ends_with(POINTWISE) {
        shape.extend([1, 1]);
    }
    shape
}

struct Shapes {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(entered(name, container));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        let _left = self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = dotted(&self.path);
        let shape = outer(&name, param.lazy_shape().to_vec());
        self.found.push((name, shape));
    }
}

struct Collect {
    path: Vec<String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// The names to collect; all where it is `None`.
    wanted: Option<BTreeSet<String>>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(entered(name, container));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        let _left = self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = dotted(&self.path);
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&name)) {
            return;
        }
        let data = param.val().into_data().convert::<f32>();
        let shape = outer(&name, param.dims().to_vec());
        let _previous = self.tensors.insert(name, (shape, data.iter::<f32>().collect()));
    }
}

struct Stream<'a> {
    writer: &'a mut WeightsWriter,
    /// The first thing that went wrong; a visitor cannot return it.
    done: std::result::Result<(), CheckpointError>,
}

impl ModuleVisitor for Stream<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.done.is_ok() {
            let data = param.val().into_data().convert::<f32>();
            self.done = self.writer.floats(&data.iter::<f32>().collect::<Vec<_>>());
        }
    }
}

struct Fill<'a> {
    path: Vec<String>,
    from: &'a dyn From,
    report: LoadReport,
    /// The first thing that went wrong; a mapper cannot return it.
    fault: Option<ModelError>,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(entered(name, container));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        let _left = self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = dotted(&self.path);
        let Some(shape) = self.from.shape(&name).filter(|_| self.fault.is_none()) else {
            self.report.missing.push(name);
            return param;
        };
        let wanted = param.lazy_shape().to_vec();
        if shape != wanted && shape != outer(&name, wanted.clone()) {
            self.report.mismatched.push(format!("{name}: {shape:?} in the file, {wanted:?} in the model"));
            return param;
        }
        match self.from.values(&name) {
            Ok(values) => {
                self.report.loaded.push(name);
                let tensor = Tensor::from_data(TensorData::new(values, wanted), &param.lazy_device());
                let id = param.id;
                // Not `map`, which would draw random values first where none were drawn yet.
                param.transform_for_load(tensor, id)
            }
            Err(fault) => {
                self.fault = Some(fault);
                param
            }
        }
    }
}
