//! Every reference set in the folder that SKYSENSE_PARITY names, through exported ONNX graphs and ONNX Runtime.
//!
//! A set is `NAME.json` (module, configuration, tolerance) and `NAME.safetensors` (weights under the official names,
//! `input.*`, `output*`), made with the official modules. Series encoders go through their graph with an up head
//! that changes nothing; the up heads themselves are part of the whole encoder's set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use skysense_model::{
    Calendar, Normalisation, PixelType, UpHead, UpHeadConfig, checkpoint, export_fusion, export_hr, export_series,
    official,
};

type Shaped = (Vec<usize>, Vec<f32>);

struct Set {
    name: String,
    json: Value,
    file: Vec<u8>,
}

impl Set {
    fn read(path: &Path) -> Self {
        let json = std::fs::read(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read(path.with_extension("safetensors")).unwrap();
        Self { name, json: serde_json::from_slice(&json).unwrap(), file }
    }

    fn data(&self, name: &str) -> Option<Shaped> {
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

    fn tensor(&self, name: &str) -> Shaped {
        self.data(name).unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    fn weights(&self) -> Vec<u8> {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let other = ["input", "inter", "output"];
        let weights = tensors.tensors().into_iter().filter(|(name, _)| !other.iter().any(|o| name.starts_with(o)));
        safetensors::serialize(weights.collect::<Vec<_>>(), None).unwrap()
    }

    fn hold(&self, name: &str, ours: &[f32]) -> f64 {
        let (_, theirs) = self.tensor(name);
        assert_eq!(ours.len(), theirs.len(), "{}: count of {name}", self.name);
        let tolerance = |kind: &str| self.json["tolerance"][kind].as_f64().unwrap();
        let (atol, rtol) = (tolerance("atol"), tolerance("rtol"));
        let mut worst = 0.0_f64;
        for (a, b) in ours.iter().zip(theirs) {
            let (a, b) = (f64::from(*a), f64::from(b));
            assert!((a - b).abs() <= atol + rtol * b.abs(), "{}: {name} has {a}, expected {b}", self.name);
            worst = worst.max((a - b).abs());
        }
        worst
    }

    /// The largest error, or why the set is not run here.
    fn check(&self, environment: &Environment) -> Result<f64, &'static str> {
        let (config, device, weights) = (&self.json["config"], Device::flex(), self.weights());
        let module = self.json["module"].as_str().unwrap();
        if module.starts_with("swin") {
            let model = official::swin_v2(config).unwrap().init(&device).unwrap();
            let (model, report) = checkpoint::load(model, "backbone", &weights).unwrap();
            report.strict().unwrap();
            let (shape, x) = self.tensor("input.x");
            let graph = export_hr(&model, &identity(shape[1]), PixelType::F32, [shape[2], shape[3]]);
            let last = model.config().out_stages.last().unwrap();
            Ok(self.hold(&format!("output.{last}"), &run(environment, &graph, &[("pixels", &shape, &x)])))
        } else if module.starts_with("vit") {
            let (model, report) = checkpoint::load(official::vit(config).unwrap().init(&device), "", &weights).unwrap();
            report.strict().unwrap();
            let (shape, x) = self.tensor("input.x");
            let head = unchanging(model.config().channels, &device);
            let size = [shape[2], shape[3]];
            let graph = export_series(&model, &head, &identity(shape[1]), PixelType::F32, size);
            let output = format!("output.{}", model.config().layers - 1);
            Ok(self.hold(&output, &run(environment, &graph, &[("pixels", &shape, &x)])))
        } else if module.starts_with("fusion") {
            let model = official::fusion(config).unwrap().init(&device);
            let (model, report) = checkpoint::load(model, "", &weights).unwrap();
            report.strict().unwrap();
            let (shape, x) = self.tensor("input.x");
            let tokens = (vec![shape[0], shape[1], shape[2], 1, 1], x);
            let days = vec![0; shape[0] * shape[1]];
            let fused = fuse(environment, &export_fusion(&model, [1, 1]), &tokens, &days, &vec![0.0; days.len()]);
            Ok(self.hold("output", &fused))
        } else if module.starts_with("encoder") {
            Ok(self.hold("output", &self.encoder(environment, &weights)))
        } else {
            Err("no graph of its own; see the encoder's set")
        }
    }

    fn encoder(&self, environment: &Environment, weights: &[u8]) -> Vec<f32> {
        let config = official::encoder(&self.json["config"]).unwrap();
        let (model, report) = checkpoint::load(config.init(&Device::flex()).unwrap(), "", weights).unwrap();
        report.strict().unwrap();
        let calendar = model.fusion.config().calendar;
        let mut parts: Vec<(Shaped, Vec<i64>, f32)> = Vec::new();
        if let Some((shape, x)) = self.data("input.hr") {
            let backbone = model.encoders.backbone_hr.as_ref().unwrap();
            let graph = export_hr(backbone, &identity(shape[1]), PixelType::F32, [shape[2], shape[3]]);
            let sides = backbone.config().stage_sizes([shape[2], shape[3]]);
            let [height, width] = *sides.last().unwrap();
            let features = run(environment, &graph, &[("pixels", &shape, &x)]);
            let channels = features.len() / (shape[0] * height * width);
            let marks = if calendar == Calendar::All { 1.0 } else { 0.0 };
            parts.push(((vec![shape[0], 1, channels, height, width], features), vec![0; shape[0]], marks));
        }
        let encoders = &model.encoders;
        for (name, days, backbone, head, marks) in [
            ("input.s2", "input.s2_ct", &encoders.backbone_s2, &encoders.head_s2, calendar != Calendar::None),
            ("input.s1", "input.s1_ct", &encoders.backbone_s1, &encoders.head_s1, calendar == Calendar::All),
        ] {
            let Some((shape, x)) = self.data(name) else { continue };
            let (backbone, head) = (backbone.as_ref().unwrap(), head.as_ref().unwrap());
            let [batch, band, time, height, width] = shape[..] else { panic!("{name} is {shape:?}") };
            let x = swap_band_and_time(&x, [batch, band, time, height * width]);
            let graph = export_series(backbone, head, &identity(band), PixelType::F32, [height, width]);
            let features = run(environment, &graph, &[("pixels", &vec![batch * time, band, height, width], &x)]);
            let (rows, columns) = (height.div_ceil(4) * head.scale(), width.div_ceil(4) * head.scale());
            let channels = features.len() / (batch * time * rows * columns);
            let days = self.data(days).map_or(vec![0; batch * time], |d| d.1.into_iter().map(|v| v as i64).collect());
            let shaped = (vec![batch, time, channels, rows, columns], features);
            parts.push((shaped, days, f32::from(u8::from(marks))));
        }
        let ((shape, tokens), days, marks) = join(parts);
        let graph = export_fusion(&model.fusion, [shape[3], shape[4]]);
        fuse(environment, &graph, &(shape, tokens), &days, &marks)
    }
}

/// Parts one after the other along time.
fn join(parts: Vec<(Shaped, Vec<i64>, f32)>) -> (Shaped, Vec<i64>, Vec<f32>) {
    let mut shape = parts[0].0.0.clone();
    shape[1] = parts.iter().map(|part| part.0.0[1]).sum();
    let (mut tokens, mut days, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for chip in 0..shape[0] {
        for ((part, values), part_days, mark) in &parts {
            let length = values.len() / shape[0];
            tokens.extend_from_slice(&values[chip * length..][..length]);
            days.extend_from_slice(&part_days[chip * part[1]..][..part[1]]);
            marks.extend(std::iter::repeat_n(*mark, part[1]));
        }
    }
    ((shape, tokens), days, marks)
}

fn swap_band_and_time(x: &[f32], [batch, band, time, area]: [usize; 4]) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(x.len());
    for chip in 0..batch {
        for date in 0..time {
            for b in 0..band {
                swapped.extend_from_slice(&x[((chip * band + b) * time + date) * area..][..area]);
            }
        }
    }
    swapped
}

fn identity(bands: usize) -> Normalisation {
    Normalisation { mean: vec![0.0; bands], std: vec![1.0; bands] }
}

/// An up head that gives what it takes.
fn unchanging(channels: usize, device: &Device) -> UpHead {
    let head = UpHeadConfig { channels_in: channels, channels_out: channels, scale: 1 }.init(device);
    let unit = (0..channels * channels).map(|i| if i % (channels + 1) == 0 { 1.0_f32 } else { 0.0 });
    let weight: Vec<u8> = unit.flat_map(f32::to_le_bytes).collect();
    let bias = vec![0_u8; 4 * channels];
    let views = [
        ("decoder.0.weight", TensorView::new(Dtype::F32, vec![channels, channels, 1, 1], &weight).unwrap()),
        ("decoder.0.bias", TensorView::new(Dtype::F32, vec![channels], &bias).unwrap()),
    ];
    let file = safetensors::serialize(views, None).unwrap();
    let (head, report) = checkpoint::load(head, "decoder.0", &file).unwrap();
    report.strict().unwrap();
    head
}

fn fuse(environment: &Environment, graph: &[u8], tokens: &Shaped, days: &[i64], marks: &[f32]) -> Vec<f32> {
    let row = [tokens.0[0], tokens.0[1]];
    let present = vec![true; days.len()];
    let inputs = vec![
        ("tokens", TensorRef::from_array_view((tokens.0.clone(), tokens.1.as_slice())).unwrap().into()),
        ("day", TensorRef::from_array_view((row, days)).unwrap().into()),
        ("calendar", TensorRef::from_array_view((row, marks)).unwrap().into()),
        ("present", TensorRef::from_array_view((row, present.as_slice())).unwrap().into()),
    ];
    run_graph(environment, graph, inputs)
}

fn run(environment: &Environment, graph: &[u8], inputs: &[(&'static str, &Vec<usize>, &Vec<f32>)]) -> Vec<f32> {
    let inputs = inputs.iter().map(|(name, shape, values)| {
        (*name, TensorRef::from_array_view(((*shape).clone(), values.as_slice())).unwrap().into())
    });
    run_graph(environment, graph, inputs.collect())
}

fn run_graph(environment: &Environment, graph: &[u8], inputs: Vec<(&str, SessionInputValue<'_>)>) -> Vec<f32> {
    // The product's level. The next one lays convolutions out anew and leaves the tolerance of the swin set.
    let builder = Session::builder(environment).unwrap();
    let mut builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).unwrap();
    let mut session = builder.commit_from_memory(graph).unwrap();
    let outputs = session.run(inputs).unwrap();
    outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

#[test]
fn every_reference_set_is_met_through_onnx() {
    let Some(folder) = std::env::var_os("SKYSENSE_PARITY").map(PathBuf::from) else {
        eprintln!("\n*** SKYSENSE_PARITY is not set: parity of the ONNX graphs was NOT checked ***\n");
        return;
    };
    let environment = skysense_infer::environment(None).unwrap();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("SKYSENSE_PARITY names a folder")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    let mut checked = 0;
    for path in paths {
        let set = Set::read(&path);
        match set.check(&environment) {
            Ok(worst) => {
                println!("{}: largest error {worst:.3e}", set.name);
                checked += 1;
            }
            Err(reason) => println!("{}: {reason}", set.name),
        }
    }
    assert!(checked > 0, "no reference set in {}", folder.display());
}
