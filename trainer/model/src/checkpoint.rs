//! Parameters under the names of the published checkpoints, as safetensors.
//!
//! The names are those of the official family's code. Ours differ where Rust or Burn has a better word; the table
//! of differences is `RENAMED`, and it is the only place where they meet.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{ModelError, Result};

/// Ours and theirs; applied in this order to the dotted path of a parameter.
const RENAMED: &[(&str, &str)] = &[
    ("encoders.", ""),
    ("fusion.ctpe", "ctpe"),
    (".attn.logit_scale", ".attn.w_msa.logit_scale"),
    (".attn.q_bias", ".attn.w_msa.q_bias"),
    (".attn.v_bias", ".attn.w_msa.v_bias"),
    (".attn.cpb_first.", ".attn.w_msa.cpb_mlp.0."),
    (".attn.cpb_second.", ".attn.w_msa.cpb_mlp.2."),
    (".attn.qkv.", ".attn.w_msa.qkv."),
    (".attn.proj.", ".attn.w_msa.proj."),
    (".attn.in_proj.", ".attn.attn.in_proj_"),
    (".attn.out_proj.", ".attn.attn.out_proj."),
    (".ffn.expand.", ".ffn.layers.0.0."),
    (".ffn.contract.", ".ffn.layers.1."),
    ("patch_embed.weight", "patch_embed.projection.weight"),
    ("patch_embed.bias", "patch_embed.projection.bias"),
    ("head_s2.", "head_s2.decoder.0."),
    ("head_s1.", "head_s1.decoder.0."),
];

/// Names of a checkpoint that a model recomputes or does not use.
const IGNORED: &[&str] = &["relative_position_index", "relative_coords_table", "mask_token"];

/// The published name of a parameter, from its path in a [`crate::SkySense`].
fn published(path: &str) -> String {
    let name = RENAMED.iter().fold(path.to_string(), |name, (ours, theirs)| name.replace(ours, theirs));
    // `norms.2.` is `norm2.`: the outer norms of the high-resolution encoder.
    match name.split_once("norms.") {
        Some((before, after)) => format!("{before}norm{after}"),
        None => name,
    }
}

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
    let mut collect = Collect { path: vec![prefix.to_string()], tensors: BTreeMap::new() };
    module.visit(&mut collect);
    let views: Vec<(&String, TensorView<'_>)> = collect
        .tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
                .map_err(|error| ModelError::Weights(error.to_string()))?;
            Ok((name, view))
        })
        .collect::<Result<_>>()?;
    safetensors::serialize(views, None).map_err(|error| ModelError::Weights(error.to_string()))
}

/// Sets the parameters of a module from a safetensors file; `prefix` as in [`save`].
///
/// # Errors
/// A file that is not safetensors, or a type that is not a float.
pub fn load<M: Module>(module: M, prefix: &str, file: &[u8]) -> Result<(M, LoadReport)> {
    let tensors = SafeTensors::deserialize(file).map_err(|error| ModelError::Weights(error.to_string()))?;
    let mut values = BTreeMap::new();
    for (name, view) in tensors.iter() {
        let _previous = values.insert(name.to_string(), (view.shape().to_vec(), floats(name, &view)?));
    }
    let mut fill = Fill { path: vec![prefix.to_string()], values, report: LoadReport::default() };
    let module = module.map(&mut fill);
    let ignored = |name: &String| IGNORED.iter().any(|ending| name.ends_with(ending));
    fill.report.unexpected = fill.values.into_keys().filter(|name| !ignored(name)).collect();
    Ok((module, fill.report))
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

struct Collect {
    path: Vec<String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        let _left = self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = dotted(&self.path);
        let data = param.val().into_data().convert::<f32>();
        let mut shape: Vec<usize> = param.dims().to_vec();
        // A 1 x 1 convolution is kept as a matrix here, and with its two sides in the files.
        if name.ends_with("decoder.0.weight") {
            shape.extend([1, 1]);
        }
        let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        let _previous = self.tensors.insert(name, (shape, bytes));
    }
}

struct Fill {
    path: Vec<String>,
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    report: LoadReport,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        let _left = self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = dotted(&self.path);
        let Some((shape, values)) = self.values.remove(&name) else {
            self.report.missing.push(name);
            return param;
        };
        let wanted = param.dims().to_vec();
        let trimmed = if name.ends_with("decoder.0.weight") && shape.ends_with(&[1, 1]) {
            &shape[..shape.len() - 2]
        } else {
            &shape[..]
        };
        if trimmed != wanted {
            self.report.mismatched.push(format!("{name}: {shape:?} in the file, {wanted:?} in the model"));
            return param;
        }
        self.report.loaded.push(name);
        let device = param.val().device();
        param.map(|_| Tensor::from_data(TensorData::new(values, wanted), &device))
    }
}
