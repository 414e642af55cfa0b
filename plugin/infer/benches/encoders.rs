//! Each module of the encoder against the same module in PyTorch, on the same processors in the same run: forward in ONNX
//! Runtime against eager mode, a training step (forward, backward, AdamW) in Burn against PyTorch's.
//!
//! `cargo bench --workspace --bench encoders -- [tiny|small] [--python PATH]` prints a JSON object for each module, and one
//! with the ratios over all of them (above 1: faster than PyTorch) beside the goals. Without `--python` an environment
//! with trainer/benches/peer/requirements.txt is made once. The two sides take turns; each number is the median of its
//! runs in the best of the rounds. `--profile MODULE` runs our side of one module alone, for a profiler.

#[path = "support/mod.rs"]
mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
use skysense_train::AdamW;

use support::warm_median;

/// As in the plugin, where training runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: usize = 2;
const ROUNDS: usize = 3;
const RUNS: usize = 7;
/// Ratios to PyTorch that are aimed at: forward, training step.
const GOALS: [f64; 2] = [1.2, 1.0];

/// One module with its input.
struct Case {
    name: &'static str,
    /// What the peer is to build, and the shape of its input.
    peer: Value,
    /// Milliseconds of a forward pass in ONNX Runtime and of a training step in Burn.
    ours: Box<dyn Fn() -> [f64; 2]>,
}

fn session(graph: &[u8]) -> Session {
    let environment = skysense_infer::environment(None).expect("ONNX Runtime where the search looks");
    let builder = Session::builder(&environment).expect("a builder");
    let builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).expect("a level");
    let mut builder = builder.with_intra_threads(THREADS).expect("threads");
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

/// Milliseconds of a training step on the mean square of what `forward` gives.
fn step<M: Module>(module: M, forward: impl Fn(&M) -> Tensor<1> + Sync) -> f64 {
    let mut optimiser = ModuleOptimizer::from(AdamW::new(1e-2));
    let mut module = Some(module);
    // As the training loop does, on one of the threads that share the work.
    rayon::scope(|_| {
        warm_median(RUNS, || {
            let current = module.take().expect("put back below");
            let mut gradients = forward(&current).backward();
            let gradients = GradientsParams::from_module(&mut gradients, &current);
            module = Some(optimiser.step(1e-4, current, gradients));
        })
    })
}

fn square<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    (x.clone() * x).mean()
}

fn identity(bands: usize) -> Normalisation {
    Normalisation { mean: vec![0.0; bands], std: vec![1.0; bands] }
}

fn cases(config: &SkySenseConfig, side: usize, images: usize, hr_side: usize) -> Vec<Case> {
    let device = Device::flex();
    let random = move |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &Device::flex().autodiff());
    let mut cases = Vec::new();
    if let Some(hr) = &config.hr {
        let (config, shape) = (hr.clone(), [1, hr.bands, hr_side, hr_side]);
        let of = json!({
            "bands": hr.bands, "channels": hr.channels, "depths": hr.depths, "heads": hr.heads, "window": hr.window,
            "extra_norm_every": hr.extra_norm_every, "bias_hidden": hr.bias_hidden, "mlp_ratio": hr.mlp_ratio,
        });
        let ours = move || {
            let model: SwinV2 = config.init(&Device::flex()).expect("a preset");
            let graph = export_hr(&model, &identity(config.bands), PixelType::F32, [hr_side; 2]);
            let x = random(shape);
            let learning: SwinV2 = config.init(&Device::flex().autodiff()).expect("a preset");
            let trained = step(learning, |model| square(model.forward(x.clone()).pop().expect("an output")));
            [pixels_forward(&graph, shape), trained]
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
            let trained = step((vit.init(&learning), head.init(&learning)), |(backbone, raise)| {
                square(raise.forward(backbone.forward(x.clone())))
            });
            [pixels_forward(&graph, shape), trained]
        };
        cases.push(Case { name, peer: json!({"kind": "series", "of": of, "input": shape}), ours: Box::new(ours) });
    }
    let (fusion, time) = (config.fusion.clone(), 1 + 6 + 4);
    let sequences = side * side;
    let of = json!({
        "in": fusion.channels_in, "channels": fusion.channels, "heads": fusion.heads, "layers": fusion.layers,
        "mlp_ratio": fusion.mlp_ratio,
    });
    let input = [sequences, time, fusion.channels_in];
    let ours = move || {
        let model: Fusion = fusion.init(&device);
        let mut session = session(&export_fusion(&model, [side; 2]));
        let values = vec![0.1_f32; input.iter().product()];
        let (day, calendar, present) = (vec![9_i64; time], vec![1.0_f32; time], vec![true; time]);
        let forward = warm_median(RUNS, || {
            let tokens = ([1, time, input[2], side, side], values.as_slice());
            let inputs: Vec<(&str, ort::session::SessionInputValue<'_>)> = vec![
                ("tokens", TensorRef::from_array_view(tokens).expect("fits").into()),
                ("day", TensorRef::from_array_view(([1, time], day.as_slice())).expect("fits").into()),
                ("calendar", TensorRef::from_array_view(([1, time], calendar.as_slice())).expect("fits").into()),
                ("present", TensorRef::from_array_view(([1, time], present.as_slice())).expect("fits").into()),
            ];
            session.run(inputs).expect("inputs that fit");
        });
        let learning = Device::flex().autodiff();
        let x = Tensor::<3>::random(input, Distribution::Default, &learning);
        [forward, step(fusion.init(&learning), |model| square(model.forward_sequences(x.clone(), None)))]
    };
    cases.push(Case {
        name: "fusion",
        peer: json!({"kind": "fusion", "of": of, "input": input}),
        ours: Box::new(ours),
    });
    cases
}

fn theirs(python: &Path, peer: &Value) -> [f64; 2] {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../trainer/benches/peer/encoders.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(THREADS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("piped").write_all(peer.to_string().as_bytes()).expect("the peer reads");
    let output = child.wait_with_output().expect("the peer ends");
    assert!(output.status.success(), "the peer failed");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    ["forward_ms", "step_ms"].map(|name| answer[name].as_f64().expect("milliseconds"))
}

/// A Python with PyTorch.
fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch");
    let python = folder.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| {
        Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
    };
    if !run(&python, &["-c", "import torch"]) {
        let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/../../trainer/benches/peer/requirements.txt");
        let made = run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])
            && run(&python, &["-m", "pip", "install", "--quiet", "-r", requirements]);
        assert!(made, "no PyTorch to compare with: pass --python");
    }
    python
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--profile") {
        let cases = cases(&preset("tiny").expect("a preset"), 32, 8, 128);
        let case = cases.iter().find(|case| arguments.get(at + 1).is_some_and(|name| name == case.name));
        println!("{:?} ms", (case.expect("hr, s2, s1 or fusion").ours)());
        return;
    }
    let python = arguments.iter().position(|argument| argument == "--python").and_then(|at| arguments.get(at + 1));
    let python = python.map_or_else(environment, PathBuf::from);
    let asked: Vec<&str> = ["tiny", "small"].into_iter().filter(|name| arguments.iter().any(|a| a == name)).collect();
    let presets = if asked.is_empty() { vec!["tiny", "small"] } else { asked };
    for name in presets {
        // Windows of 8 need 8 tokens at stride 32.
        let hr_side = if name == "tiny" { 128 } else { 256 };
        let config = preset(name).expect("a preset");
        let (mut all_ours, mut all_theirs) = ([0.0; 2], [0.0; 2]);
        for case in cases(&config, 32, 8, hr_side) {
            let mut peer = case.peer.clone();
            peer["runs"] = json!(RUNS);
            let (mut ours, mut theirs) = ([f64::MAX; 2], [f64::MAX; 2]);
            for _ in 0..ROUNDS {
                let (our, their) = ((case.ours)(), self::theirs(&python, &peer));
                for at in 0..2 {
                    (ours[at], theirs[at]) = (ours[at].min(our[at]), theirs[at].min(their[at]));
                }
            }
            println!(
                "{}",
                json!({
                    "bench": "infer/encoders", "preset": name, "module": case.name, "input": case.peer["input"],
                    "forward_ms": {"onnxruntime": ours[0], "pytorch": theirs[0], "ratio": theirs[0] / ours[0]},
                    "step_ms": {"burn": ours[1], "pytorch": theirs[1], "ratio": theirs[1] / ours[1]},
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
                "bench": "infer/encoders", "preset": name, "threads": THREADS,
                "forward_ratio": ratios[0], "forward_goal": GOALS[0], "step_ratio": ratios[1], "step_goal": GOALS[1],
                "pass": ratios[0] >= GOALS[0] && ratios[1] >= GOALS[1],
            })
        );
    }
}
