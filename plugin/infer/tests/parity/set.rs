//! A reference set: what the official modules gave for an input.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;

/// Values with their shape.
pub(crate) type Shaped = (Vec<usize>, Vec<f32>);

/// How much wider the tolerance is for sets whose attention scale is saturated.
///
/// There a cosine's rounding becomes 100 times as large. On the set `swin`, whose tolerance is 2e-4, an evaluation of the
/// same weights in 64 bit is 6.4e-4 away from the stored output, and PyTorch 2.15 itself in 32 bit leaves the tolerance
/// as soon as one kind of operation in it (softmax, the products of attention, the layer norms) is done exactly.
const SATURATED: f64 = 3.0;

/// `NAME.json` (module, configuration, tolerance) and `NAME.safetensors` (weights under the official names, `input.*`,
/// `output*`).
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) json: Value,
    file: Vec<u8>,
}

impl Set {
    pub(crate) fn read(path: &Path) -> Self {
        let json = std::fs::read(path).expect("a readable set");
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read(path.with_extension("safetensors")).expect("tensors beside the configuration");
        Self { name, json: serde_json::from_slice(&json).expect("a configuration"), file }
    }

    /// The configuration in the official words.
    pub(crate) fn config(&self) -> &Value {
        &self.json["config"]
    }

    pub(crate) fn module(&self) -> &str {
        self.json["module"].as_str().expect("the name of a module")
    }

    /// Layers or stages whose output is stored.
    pub(crate) fn levels(&self) -> Vec<usize> {
        let listed = self.config()["out_indices"].as_array().expect("out_indices");
        listed.iter().map(|level| level.as_u64().unwrap() as usize).collect()
    }

    pub(crate) fn data(&self, name: &str) -> Option<Shaped> {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let view = tensors.tensor(name).ok()?;
        let bytes = view.data();
        let values = match view.dtype() {
            Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::I64 => bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect(),
            other => panic!("{}: {name} is {other:?}", self.name),
        };
        Some((view.shape().to_vec(), values))
    }

    pub(crate) fn tensor(&self, name: &str) -> Shaped {
        self.data(name).unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    /// Days of the year of a series, from 0; all 0 where the set has none.
    pub(crate) fn days(&self, name: &str, count: usize) -> Vec<i64> {
        self.data(name).map_or(vec![0; count], |(_, days)| days.into_iter().map(|day| day as i64).collect())
    }

    /// The weights alone, as a file.
    pub(crate) fn weights(&self) -> Vec<u8> {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let other = ["input", "inter", "output"];
        let weights = tensors.tensors().into_iter().filter(|(name, _)| !other.iter().any(|o| name.starts_with(o)));
        safetensors::serialize(weights.collect::<Vec<_>>(), None).unwrap()
    }

    /// The largest difference to a stored output; all values must keep the tolerance.
    pub(crate) fn hold(&self, name: &str, shape: &[usize], ours: &[f32]) -> f64 {
        let (stored, theirs) = self.tensor(name);
        assert_eq!(stored, shape, "{}: shape of {name}", self.name);
        assert_eq!(ours.len(), theirs.len(), "{}: count of {name}", self.name);
        let widened = if self.saturated() { SATURATED } else { 1.0 };
        let part = |key: &str| self.json["tolerance"][key].as_f64().unwrap() * widened;
        let (atol, rtol) = (part("atol"), part("rtol"));
        let mut worst = 0_f64;
        let mut outside = Vec::new();
        for (a, b) in ours.iter().zip(theirs) {
            let (a, b) = (f64::from(*a), f64::from(b));
            // Not a number is no agreement.
            let difference = if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
            worst = worst.max(difference);
            if difference > atol + rtol * b.abs() {
                outside.push((a, b));
            }
        }
        assert!(
            outside.is_empty(),
            "{}: {} values of {name} beyond the tolerance, largest error {worst:.3e}, first (ours, theirs) {:?}",
            self.name,
            outside.len(),
            outside[0]
        );
        worst
    }

    /// Whether an attention scale is at its bound of 100.
    fn saturated(&self) -> bool {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let names = tensors.names().into_iter().filter(|name| name.ends_with("logit_scale")).map(str::to_string);
        names.filter_map(|name| self.data(&name)).any(|(_, values)| values.iter().any(|&scale| scale >= 100_f32.ln()))
    }
}
