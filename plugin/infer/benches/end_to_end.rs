//! From a catalog to a COG, against ONNX Runtime alone on data in memory: how much of a run is the model.
//!
//! `skysense run` (the binary beside this bench, started anew for each round: search, plan, plugins, model, probe,
//! reading, masking, blending, COG, item) maps a simulated scene of 512 × 512 px (`small`: 192 × 192 px) with 6 dates of
//! Sentinel-2 and 4 of Sentinel-1; then the graphs of the same package run in this process on tensors that are there already, as often
//! and with as many threads. The model was trained for two steps: what it says does not matter here. No clouds, so
//! that every chip has every date and both sides do the same sums. Prints a JSON object for each preset; the share of
//! `small` must be at least the limit. `tiny`, whose model is next to nothing, is shown without one.
//!
//! `cargo bench --workspace --bench end_to_end`, after a build of the workspace in the same profile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use serde_json::{Value, json};
use skysense_contract::{Module, Package};

const SIZE: usize = 64;
const OVERLAP: usize = 8;
const S2_DATES: usize = 6;
const S1_DATES: usize = 4;
const THREADS: usize = 2;
const ROUNDS: usize = 2;
/// Preset, and side of its scene in pixels.
const CASES: [(&str, usize); 2] = [("tiny", 512), ("small", 192)];
const LIMIT: f64 = 0.8;

/// The binary of the product, built into the folder above the one of this bench.
fn skysense() -> PathBuf {
    let here = std::env::current_exe().expect("a path of this program");
    let binary = here.ancestors().nth(2).expect("target/PROFILE/deps").join("skysense");
    assert!(binary.is_file(), "{} is not there: build the workspace in this profile first", binary.display());
    binary
}

fn call(arguments: &[&str]) {
    let output = Command::new(skysense()).args(arguments).output().expect("the binary starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn workflow(folder: &Path, preset: &str, name: &str, nodes: &str) -> PathBuf {
    let chips = format!(
        "  scenes: {{uses: stac.search, with: {{href: scene-{preset}/catalog.json, collections: [sentinel-2-l2a, sentinel-1-rtc]}}}}
  chips: {{uses: raster.chips, from: scenes, with: {{size: {SIZE}, overlap: {OVERLAP}, dates: {{max: {S2_DATES}}}}}}}"
    );
    let path = folder.join(format!("{name}.yaml"));
    std::fs::write(&path, format!("skysense: 1\nname: {name}\nnodes:\n{chips}\n{nodes}\n")).expect("a place to write");
    path
}

fn train(folder: &Path, preset: &str) -> Package {
    let nodes = format!(
        "  truth: {{uses: stac.search, with: {{href: scene-{preset}/catalog.json, collections: [labels]}}}}
  model:
    uses: skysense.finetune
    from: {{chips: chips, labels: truth}}
    with: {{preset: {preset}, steps: 2, batch: 1, out: model-{preset}}}"
    );
    let path = workflow(folder, preset, &format!("train-{preset}"), &nodes);
    call(&["run", path.to_str().expect("UTF-8")]);
    Package::open(folder.join(format!("model-{preset}"))).expect("a package that was just written")
}

/// Seconds of a run from the catalog to the COG.
fn run(folder: &Path, preset: &str) -> f64 {
    let nodes = format!(
        "  classes: {{uses: skysense.segment, from: chips, with: {{model: model-{preset}, device: cpu}}}}
  map: {{uses: stac.write, from: classes, with: {{href: out-{preset}, collection: map, exists: replace}}}}"
    );
    let path = workflow(folder, preset, &format!("map-{preset}"), &nodes);
    let threads = THREADS.to_string();
    let begun = Instant::now();
    call(&["run", path.to_str().expect("UTF-8"), "--threads", &threads]);
    begun.elapsed().as_secs_f64()
}

/// The graphs of a package with inputs for one chip.
struct Graphs {
    encoders: Vec<(Session, usize, usize)>,
    fusion: Session,
    head: Session,
    channels: [usize; 2],
}

impl Graphs {
    fn open(package: &Package) -> Self {
        let session = |module| {
            let environment = skysense_infer::environment(None).expect("ONNX Runtime where the search looks");
            let builder = Session::builder(&environment).expect("a builder");
            let builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).expect("a level");
            let builder = builder.with_intra_threads(THREADS).expect("threads");
            // As the product does: the threads of four sessions that spin take the processors from each other.
            let mut builder = builder.with_intra_op_spinning(false).expect("a setting");
            builder.commit_from_file(package.graph(module).expect("a graph")).expect("a graph of ours")
        };
        let fusion = session(Module::Fusion);
        let tokens = fusion.inputs().iter().find(|input| input.name() == "tokens").expect("tokens");
        let shape = tokens.dtype().tensor_shape().expect("a tensor");
        let channels = [usize::try_from(shape[2]).expect("a fixed width"), package.contract().channels];
        let encoders = vec![(session(Module::S2), S2_DATES, 10), (session(Module::S1), S1_DATES, 2)];
        Self { encoders, fusion, head: session(Module::Head), channels }
    }

    /// Seconds for so many chips.
    fn run(&mut self, chips: usize) -> f64 {
        let time = S2_DATES + S1_DATES;
        let area = SIZE * SIZE;
        let s2 = vec![1200_i16; S2_DATES * 10 * area];
        let s1 = vec![-12.0_f32; S1_DATES * 2 * area];
        let values = vec![0.5_f32; time * self.channels[0] * area];
        let (day, calendar, present) = (vec![100_i64; time], vec![1.0_f32; time], vec![true; time]);
        let begun = Instant::now();
        for _ in 0..chips {
            for (graph, dates, bands) in &mut self.encoders {
                let shape = [*dates, *bands, SIZE, SIZE];
                let pixels: SessionInputValue<'_> = if *bands == 10 {
                    TensorRef::from_array_view((shape, s2.as_slice())).expect("fits").into()
                } else {
                    TensorRef::from_array_view((shape, s1.as_slice())).expect("fits").into()
                };
                graph.run(vec![("pixels", pixels)]).expect("inputs that the graph takes");
            }
            let tokens = ([1, time, self.channels[0], SIZE, SIZE], values.as_slice());
            let inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
                ("tokens", TensorRef::from_array_view(tokens).expect("fits").into()),
                ("day", TensorRef::from_array_view(([1, time], day.as_slice())).expect("fits").into()),
                ("calendar", TensorRef::from_array_view(([1, time], calendar.as_slice())).expect("fits").into()),
                ("present", TensorRef::from_array_view(([1, time], present.as_slice())).expect("fits").into()),
            ];
            self.fusion.run(inputs).expect("inputs that the graph takes");
            let features = ([1, self.channels[1], SIZE, SIZE], &values[..self.channels[1] * area]);
            let features: SessionInputValue<'_> = TensorRef::from_array_view(features).expect("fits").into();
            self.head.run(vec![("features", features)]).expect("inputs that the graph takes");
        }
        begun.elapsed().as_secs_f64()
    }
}

/// The best of the rounds: neighbours on the machine only make slower.
fn best(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

fn compare(folder: &Path, preset: &str, side: usize) -> Value {
    let scene = folder.join(format!("scene-{preset}"));
    let [side_text, s2, s1] = [side, S2_DATES, S1_DATES].map(|number| number.to_string());
    call(&[
        "simulate",
        "scene",
        "--out",
        scene.to_str().expect("UTF-8"),
        "--size",
        &side_text,
        "--dates",
        &s2,
        "--radar-dates",
        &s1,
        "--cloud",
        "0",
        "--seed",
        "1",
    ]);
    let mut graphs = Graphs::open(&train(folder, preset));
    let row = (side - OVERLAP).div_ceil(SIZE - OVERLAP);
    // The first run holds the probe and fills the page cache; the first calls of a session allocate.
    run(folder, preset);
    graphs.run(1);
    let (mut whole, mut model) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        whole.push(run(folder, preset));
        model.push(graphs.run(row * row));
    }
    let (whole, model) = (best(&whole), best(&model));
    json!({
        "bench": "infer/end_to_end", "preset": preset, "chips": row * row, "dates": S2_DATES + S1_DATES,
        "threads": THREADS, "run_seconds": whole, "model_seconds": model, "share": model / whole,
    })
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut share = LIMIT;
    // `cargo bench … -- small` runs that alone.
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let named = |preset: &str| asked.iter().any(|argument| argument == preset);
    let any = CASES.iter().any(|(preset, _)| named(preset));
    for (preset, side) in CASES.into_iter().filter(|(preset, _)| !any || named(preset)) {
        let mut found = compare(folder.path(), preset, side);
        if preset == "small" {
            share = found["share"].as_f64().unwrap_or_default();
            found["limit"] = json!(LIMIT);
            found["pass"] = json!(share >= LIMIT);
        }
        println!("{found}");
    }
    assert!(share >= LIMIT, "the model is {share:.2} of a run, expected at least {LIMIT}");
}
