//! Every reference set in the folder that SKYSENSE_PARITY names, through the forward functions in Burn.
//!
//! A set is `NAME.json` (module, configuration, tolerance) and `NAME.safetensors` (weights under the official names,
//! `input.*`, `output*`), made with the official modules.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::tensor::SafeTensors;
use serde_json::Value;
use skysense_model::{Inputs, Series, checkpoint, official};

/// How much wider the tolerance is for sets whose attention scale is saturated.
///
/// On the set `swin` an evaluation in 64 bit, block by block from the same weights, is 6.4e-4 away from the stored
/// output, more than three times the set's own tolerance: the stored values carry that much rounding themselves.
const SATURATED: f64 = 3.0;

struct Set {
    name: String,
    json: Value,
    file: Vec<u8>,
}

impl Set {
    fn read(path: &Path) -> Self {
        let json = std::fs::read(path).expect("a readable set");
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            json: serde_json::from_slice(&json).expect("a configuration"),
            file: std::fs::read(path.with_extension("safetensors")).expect("tensors beside the configuration"),
        }
    }

    fn data(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let view = tensors.tensor(name).ok()?;
        let bytes = view.data();
        let values = match view.dtype() {
            safetensors::Dtype::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            safetensors::Dtype::I64 => {
                bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        Some((view.shape().to_vec(), values))
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (shape, values) = self.data(name).unwrap_or_else(|| panic!("{} has no {name}", self.name));
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    /// The weights alone, as a file.
    fn weights(&self) -> Vec<u8> {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let known = ["input", "inter", "output"];
        let weights =
            tensors.tensors().into_iter().filter(|(name, _)| !known.iter().any(|start| name.starts_with(start)));
        safetensors::serialize(weights.collect::<Vec<_>>(), None).unwrap()
    }

    fn hold<const D: usize>(&self, name: &str, ours: Tensor<D>) -> f64 {
        let (shape, theirs) = self.data(name).unwrap_or_else(|| panic!("{} has no {name}", self.name));
        assert_eq!(ours.dims().to_vec(), shape, "{}: shape of {name}", self.name);
        let widened = if self.saturated() { SATURATED } else { 1.0 };
        let part = |key: &str| self.json["tolerance"][key].as_f64().unwrap() * widened;
        let (atol, rtol) = (part("atol"), part("rtol"));
        let mut worst = 0f64;
        let mut outside = Vec::new();
        for (a, b) in ours.into_data().iter::<f32>().zip(theirs) {
            let (a, b) = (f64::from(a), f64::from(b));
            worst = worst.max((a - b).abs());
            if (a - b).abs() > atol + rtol * b.abs() {
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

    /// Whether an attention scale is at its bound of 100, where rounding of a cosine becomes 100 times as large.
    fn saturated(&self) -> bool {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let names = tensors.names().into_iter().filter(|name| name.ends_with("logit_scale")).map(str::to_string);
        names.filter_map(|name| self.data(&name)).any(|(_, values)| values.iter().any(|&scale| scale >= 100f32.ln()))
    }

    fn check(&self) -> f64 {
        let (config, device) = (&self.json["config"], Device::default());
        let module = self.json["module"].as_str().unwrap();
        let weights = self.weights();
        let mut worst = 0f64;
        if module.starts_with("swin") {
            let (model, report) =
                checkpoint::load(official::swin_v2(config).unwrap().init(&device).unwrap(), "backbone", &weights)
                    .unwrap();
            let _loaded = report.strict().unwrap();
            for (stage, map) in model.config().out_stages.clone().into_iter().zip(model.forward(self.tensor("input.x")))
            {
                worst = worst.max(self.hold(&format!("output.{stage}"), map));
            }
        } else if module.starts_with("vit") {
            let (model, report) = checkpoint::load(official::vit(config).unwrap().init(&device), "", &weights).unwrap();
            let _loaded = report.strict().unwrap();
            let layers: Vec<usize> =
                config["out_indices"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
            for (layer, map) in layers.iter().zip(model.forward_layers(self.tensor("input.x"), &layers)) {
                worst = worst.max(self.hold(&format!("output.{layer}"), map));
            }
        } else if module.starts_with("uphead") {
            let (model, report) =
                checkpoint::load(official::up_head(config).unwrap().init(&device), "decoder.0", &weights).unwrap();
            let _loaded = report.strict().unwrap();
            worst = self.hold("output", model.forward(self.tensor("input.x")));
        } else if module.starts_with("fusion") {
            let (model, report) =
                checkpoint::load(official::fusion(config).unwrap().init(&device), "", &weights).unwrap();
            let _loaded = report.strict().unwrap();
            worst = self.hold("output", model.forward_sequences(self.tensor("input.x"), None));
        } else if module.starts_with("encoder") {
            let (model, report) =
                checkpoint::load(official::encoder(config).unwrap().init(&device).unwrap(), "", &weights).unwrap();
            let _loaded = report.strict().unwrap();
            worst = self.hold("output", model.forward(self.inputs()).unwrap());
        } else {
            panic!("{}: a module named {module} is not known", self.name);
        }
        worst
    }

    fn inputs(&self) -> Inputs {
        let series = |name: &str, days: &str| {
            self.data(&format!("input.{name}")).map(|_| {
                let pixels = self.tensor::<5>(&format!("input.{name}")).permute([0, 2, 1, 3, 4]);
                let [batch, time, ..] = pixels.dims();
                let day = match self.data(days) {
                    Some((shape, values)) => {
                        let days: Vec<i64> = values.into_iter().map(|v| v as i64).collect();
                        Tensor::<2, Int>::from_data(TensorData::new(days, shape), &Device::default())
                    }
                    None => Tensor::zeros([batch, time], &Device::default()),
                };
                Series { pixels, day, present: None }
            })
        };
        Inputs {
            hr: self.data("input.hr").map(|_| self.tensor("input.hr")),
            s2: series("s2", "input.s2_ct"),
            s1: series("s1", "input.s1_ct"),
            ..Inputs::default()
        }
    }
}

#[test]
fn every_reference_set_is_met() {
    let Some(folder) = std::env::var_os("SKYSENSE_PARITY").map(PathBuf::from) else {
        eprintln!("\n*** SKYSENSE_PARITY is not set: parity with the official modules was NOT checked ***\n");
        return;
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("SKYSENSE_PARITY names a folder")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no reference set in {}", folder.display());
    // Every set is tried, so that one failure does not hide the others.
    let failed: Vec<String> = paths
        .into_iter()
        .filter_map(|path| {
            let set = Set::read(&path);
            match std::panic::catch_unwind(|| set.check()) {
                Ok(worst) => {
                    println!("{}: largest error {worst:.3e}", set.name);
                    None
                }
                Err(_) => Some(set.name),
            }
        })
        .collect();
    assert!(failed.is_empty(), "beyond the tolerance: {failed:?}");
}
