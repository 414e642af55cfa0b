//! Each module of the encoder against the same module in PyTorch, on the same processors in the same run: forward in ONNX
//! Runtime against eager mode, a training step (forward, backward, AdamW) in Burn against PyTorch's.
//!
//! `cargo bench --workspace --bench encoders -- [tiny|small] [--threads N] [--python PATH]` prints a JSON object for each module, and one
//! with the ratios over all of them (above 1: faster than PyTorch) beside the goals. Without `--python` an environment
//! with trainer/benches/peer/requirements.txt is made once. The two sides take turns; each number is the median of its
//! runs in the best of the rounds. `--profile MODULE` runs our side of one module alone, for a profiler. A training step is
//! cut into parts as the training loop cuts it; PyTorch shares out each operation.

#[path = "../../skysense/src/allocator.rs"]
mod allocator;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use serde_json::{Value, json};
use skysense_model::{
    Fusion, Normalisation, PixelType, SkySenseConfig, SwinV2, UpHead, Vit, export_fusion, export_hr, export_series,
    preset,
};
use skysense_train::{AdamW, Parts, Recipe};

use allocator::Keeping;
use peer::{argument, threads};
use support::warm_median;

const ROUNDS: usize = 3;
const RUNS: usize = 7;
/// Ratios to PyTorch that are aimed at: forward, training step.
const GOALS: [f64; 2] = [1.2, 1.0];

/// One module with its input.
struct Case {
    name: &'static str,
    /// What the peer is to build, and the shape of its input.
    peer: Value,
    /// Milliseconds of a forward pass in ONNX Runtime and of a training step in Burn, and of the step on all cores together.
    ours: Box<dyn Fn() -> [f64; 3]>,
}

fn session(graph: &[u8]) -> Session {
    let environment = skysense_infer::environment(None).expect("ONNX Runtime where the search looks");
    let builder = Session::builder(&environment).expect("a builder");
    let builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).expect("a level");
    let mut builder = builder.with_intra_threads(threads()).expect("threads");
    builder.commit_from_memory(graph).expect("a graph of ours")
}

fn pixels_forward(graph: &[u8], shape: [usize; 4]) -> f64 {
    let mut session = session(graph);
    let values = vec![0.1_f32; shape.iter().product()];
    warm_median(RUNS, || {
        let pixels = TensorRef::from_array_view((shape, values.as_slice())).expect("fits");
        session.run(vec![("pixels", ort::session::SessionInputValue::from(pixels))]).expect("inputs that fit");
    })
}

/// Milliseconds that all threads of this process were given so far, where the system is Linux.
fn cores() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return f64::NAN };
    let fields = text.rsplit(')').next().expect("the name of the program ends in a bracket");
    // User and system time are fields 14 and 15, in hundredths of a second; the first one after the name is 3.
    fields.split_whitespace().skip(11).take(2).map(|field| 10.0 * field.parse::<f64>().expect("ticks")).sum()
}

/// Milliseconds of a training step on the mean square of what `forward` gives, in parts as the training loop takes it, and
/// those of all cores together.
fn step<M, const D: usize>(
    module: M,
    input: &Tensor<D>,
    forward: impl Fn(&M, Tensor<D>) -> Tensor<1> + Sync,
) -> [f64; 2]
where
    M: Module + Send,
{
    let mut optimiser = ModuleOptimizer::from(AdamW::new(1e-2));
    let mut module = Some(module);
    // As where training runs.
    let _keeping = Keeping::new();
    let samples = input.dims()[0];
    let parts = Parts::new(Recipe::default().parts, &input.device()).expect("threads");
    // As the training loop does, on one of the threads that share the work.
    rayon::scope(|_| {
        let mut run = || {
            let current = module.take().expect("put back below");
            let pass = |module: M, _, rows: Vec<usize>| {
                let share = rows.len() as f64 / samples as f64;
                let loss = forward(&module, input.clone().narrow(0, rows[0], rows.len())) * share;
                Ok((0.0, GradientsParams::from_module(&mut loss.backward(), &module)))
            };
            let found = parts.gradients(&current, parts.share((0..samples).collect()), pass);
            let (_, gradients) = found.expect("a pass that does not fail");
            module = Some(optimiser.step(1e-4, current, gradients));
        };
        run();
        let before = cores();
        let median = warm_median(RUNS, run);
        [median, (cores() - before) / (RUNS + 1) as f64]
    })
}

fn square<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    (x.clone() * x).mean()
}

fn identity(bands: usize) -> Normalisation {
    Normalisation { mean: vec![0.0; bands], std: vec![1.0; bands] }
}

fn cases_of(name: &str) -> Vec<Case> {
    // Windows of 8 need 8 tokens at stride 32.
    let hr_side = if name == "tiny" { 128 } else { 256 };
    cases(&preset(name).expect("a preset"), [32, 8], [hr_side, 2], [16, 4])
}

/// Side and number of the images of the series encoders, of the high-resolution encoder, and of the chips of the fusion.
fn cases(
    config: &SkySenseConfig,
    [side, images]: [usize; 2],
    [hr_side, hr_images]: [usize; 2],
    [chip_side, chips]: [usize; 2],
) -> Vec<Case> {
    let device = Device::flex();
    let random = move |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &Device::flex().autodiff());
    let mut cases = Vec::new();
    if let Some(hr) = &config.hr {
        let (config, shape) = (hr.clone(), [hr_images, hr.bands, hr_side, hr_side]);
        let of = json!({
            "bands": hr.bands, "channels": hr.channels, "depths": hr.depths, "heads": hr.heads, "window": hr.window,
            "extra_norm_every": hr.extra_norm_every, "bias_hidden": hr.bias_hidden, "mlp_ratio": hr.mlp_ratio,
        });
        let ours = move || {
            let model: SwinV2 = config.init(&Device::flex()).expect("a preset");
            let graph = export_hr(&model, &identity(config.bands), PixelType::F32, [hr_side; 2]);
            let x = random(shape);
            let learning: SwinV2 = config.init(&Device::flex().autodiff()).expect("a preset");
            let [trained, cores] = step(learning, &x, |model, x| square(model.forward(x).pop().expect("an output")));
            [pixels_forward(&graph, shape), trained, cores]
        };
        cases.push(Case { name: "hr", peer: json!({"kind": "hr", "of": of, "input": shape}), ours: Box::new(ours) });
    }
    for (name, series) in [("s2", &config.s2), ("s1", &config.s1)] {
        let Some((vit, head)) = series.clone() else { continue };
        let shape = [images, vit.bands, side, side];
        let vit = skysense_model::VitConfig { positions: [side / 4; 2], ..vit };
        let of = json!({
            "bands": vit.bands, "channels": vit.channels, "heads": vit.heads, "layers": vit.layers,
            "mlp_ratio": vit.mlp_ratio, "side": side, "out": head.channels_out,
        });
        let ours = move || {
            let (backbone, raise): (Vit, UpHead) = (vit.init(&Device::flex()), head.init(&Device::flex()));
            let graph = export_series(&backbone, &raise, &identity(vit.bands), PixelType::F32, [side; 2]);
            let x = random(shape);
            let learning = Device::flex().autodiff();
            let [trained, cores] = step((vit.init(&learning), head.init(&learning)), &x, |(backbone, raise), x| {
                square(raise.forward(backbone.forward(x)))
            });
            [pixels_forward(&graph, shape), trained, cores]
        };
        cases.push(Case { name, peer: json!({"kind": "series", "of": of, "input": shape}), ours: Box::new(ours) });
    }
    let (fusion, time) = (config.fusion.clone(), 1 + 6 + 4);
    let sequences = chips * chip_side * chip_side;
    let of = json!({
        "in": fusion.channels_in, "channels": fusion.channels, "heads": fusion.heads, "layers": fusion.layers,
        "mlp_ratio": fusion.mlp_ratio,
    });
    let input = [sequences, time, fusion.channels_in];
    let ours = move || {
        let model: Fusion = fusion.init(&device);
        let mut session = session(&export_fusion(&model, [chip_side; 2]));
        let values = vec![0.1_f32; input.iter().product()];
        let count = chips * time;
        let (day, calendar, present) = (vec![9_i64; count], vec![1.0_f32; count], vec![true; count]);
        let forward = warm_median(RUNS, || {
            let tokens = ([chips, time, input[2], chip_side, chip_side], values.as_slice());
            let inputs: Vec<(&str, ort::session::SessionInputValue<'_>)> = vec![
                ("tokens", TensorRef::from_array_view(tokens).expect("fits").into()),
                ("day", TensorRef::from_array_view(([chips, time], day.as_slice())).expect("fits").into()),
                ("calendar", TensorRef::from_array_view(([chips, time], calendar.as_slice())).expect("fits").into()),
                ("present", TensorRef::from_array_view(([chips, time], present.as_slice())).expect("fits").into()),
            ];
            session.run(inputs).expect("inputs that fit");
        });
        let learning = Device::flex().autodiff();
        let x = Tensor::<3>::random(input, Distribution::Default, &learning);
        let [trained, cores] = step(fusion.init(&learning), &x, |model, x| square(model.forward_sequences(x, None)));
        [forward, trained, cores]
    };
    cases.push(Case {
        name: "fusion",
        peer: json!({"kind": "fusion", "of": of, "input": input}),
        ours: Box::new(ours),
    });
    cases
}

fn theirs(python: &Path, peer: &Value) -> [f64; 3] {
    let answer = peer::run(python, "encoders.py", peer);
    ["forward_ms", "step_ms", "step_core_ms"].map(|name| answer[name].as_f64().expect("milliseconds"))
}

fn main() {
    // As many as PyTorch is given.
    rayon::ThreadPoolBuilder::new().num_threads(threads()).build_global().expect("the first threads");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = ["tiny", "small"].into_iter().filter(|name| arguments.iter().any(|a| a == name)).collect();
    let presets = if asked.is_empty() { vec!["tiny", "small"] } else { asked };
    if let Some(module) = argument("--profile") {
        let cases = cases_of(presets[0]);
        let case = cases.iter().find(|case| case.name == module);
        println!("{:?} ms", (case.expect("hr, s2, s1 or fusion").ours)());
        return;
    }
    let python = argument("--python").map_or_else(peer::environment, PathBuf::from);
    for name in presets {
        let (mut all_ours, mut all_theirs) = ([0.0; 2], [0.0; 2]);
        for case in cases_of(name) {
            let mut peer = case.peer.clone();
            peer["runs"] = json!(RUNS);
            let (mut ours, mut theirs) = ([f64::MAX; 3], [f64::MAX; 3]);
            for _ in 0..ROUNDS {
                let (our, their) = ((case.ours)(), self::theirs(&python, &peer));
                for at in 0..3 {
                    (ours[at], theirs[at]) = (ours[at].min(our[at]), theirs[at].min(their[at]));
                }
            }
            println!(
                "{}",
                json!({
                    "bench": "infer/encoders", "preset": name, "module": case.name, "input": case.peer["input"],
                    "forward_ms": {"onnxruntime": ours[0], "pytorch": theirs[0], "ratio": theirs[0] / ours[0]},
                    "step_ms": {"burn": ours[1], "pytorch": theirs[1], "ratio": theirs[1] / ours[1]},
                    "step_core_ms": {"burn": ours[2], "pytorch": theirs[2]},
                })
            );
            for at in 0..2 {
                (all_ours[at], all_theirs[at]) = (all_ours[at] + ours[at], all_theirs[at] + theirs[at]);
            }
        }
        let ratios = [0, 1].map(|at| all_theirs[at] / all_ours[at]);
        println!(
            "{}",
            json!({
                "bench": "infer/encoders", "preset": name, "threads": threads(),
                "forward_ratio": ratios[0], "forward_goal": GOALS[0], "step_ratio": ratios[1], "step_goal": GOALS[1],
                "pass": ratios[0] >= GOALS[0] && ratios[1] >= GOALS[1],
            })
        );
    }
}
