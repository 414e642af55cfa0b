//! ONNX Runtime forward of each module, and of the whole model through [`Model`], at `tiny` on data in memory.
//!
//! `cargo bench -p skysense-infer --bench forward` prints one JSON object: milliseconds for each (median of
//! the runs) with the runtime and the thread count. Chips of 16 pixels; S2 and S1 with 4 and 2 dates; random weights.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared with the tests")]
mod common;

#[path = "support/mod.rs"]
mod support;

use common::{Chip, DATES, SIZE, Tiny, options};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use serde_json::{Map, json};
use skysense_contract::Module;
use skysense_infer::{Model, Options};

use support::warm_median;

const RUNS: usize = 21;
const CHIPS: usize = 16;
const THREADS: usize = 2;

fn graph(bytes: &[u8], inputs: &dyn Fn() -> Vec<(&'static str, SessionInputValue<'static>)>) -> f64 {
    let environment = skysense_infer::environment(None).expect("ONNX Runtime where the search looks");
    let builder = Session::builder(&environment).expect("a builder");
    let builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).expect("a level that is known");
    let mut builder = builder.with_intra_threads(THREADS).expect("threads");
    let mut session = builder.commit_from_memory(bytes).expect("a graph that our own model wrote");
    warm_median(RUNS, || {
        session.run(inputs()).expect("inputs that the graph takes");
    })
}

/// Leaked so that inputs live as long as the process: a bench ends soon.
fn fixed<T: Clone>(values: &[T]) -> &'static [T] {
    Box::leak(values.to_vec().into_boxed_slice())
}

fn main() {
    let (tiny, chip) = (Tiny::new(1), Chip::new(1, [DATES, 2]));
    let graphs = tiny.graphs();
    let mut report = Map::new();
    let (hr, s2, s1) = (fixed(&chip.hr), fixed(&chip.s2), fixed(&chip.s1));
    let pixels = |shape: [usize; 4]| move |values| TensorRef::from_array_view((shape, values)).expect("shape fits");
    let side = 32 * SIZE;
    let of_hr = || vec![("pixels", pixels_u8([1, 3, side, side], hr))];
    report.insert("hr_ms".into(), json!(graph(&graphs[&Module::Hr], &of_hr)));
    let of_s2 = || vec![("pixels", TensorRef::from_array_view(([DATES, 10, SIZE, SIZE], s2)).expect("fits").into())];
    report.insert("s2_ms".into(), json!(graph(&graphs[&Module::S2], &of_s2)));
    let of_s1 = || vec![("pixels", pixels([2, 2, SIZE, SIZE])(s1).into())];
    report.insert("s1_ms".into(), json!(graph(&graphs[&Module::S1], &of_s1)));
    let (time, channels) = (1 + DATES + 2, tiny.encoder.config().fusion.channels_in);
    let tokens = fixed(&vec![0.5_f32; time * channels * SIZE * SIZE]);
    let (day, calendar, present) = (fixed(&vec![100_i64; time]), fixed(&vec![1.0_f32; time]), fixed(&vec![true; time]));
    let of_fusion = || {
        let tokens = TensorRef::from_array_view(([1, time, channels, SIZE, SIZE], tokens)).expect("fits");
        vec![
            ("tokens", tokens.into()),
            ("day", TensorRef::from_array_view(([1, time], day)).expect("fits").into()),
            ("calendar", TensorRef::from_array_view(([1, time], calendar)).expect("fits").into()),
            ("present", TensorRef::from_array_view(([1, time], present)).expect("fits").into()),
        ]
    };
    report.insert("fusion_ms".into(), json!(graph(&graphs[&Module::Fusion], &of_fusion)));
    let channels = tiny.encoder.config().channels();
    let features = fixed(&vec![0.5_f32; channels * SIZE * SIZE]);
    let of_head = || vec![("features", pixels([1, channels, SIZE, SIZE])(features).into())];
    report.insert("head_ms".into(), json!(graph(&graphs[&Module::Head], &of_head)));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let package = tiny.write(&folder.path().join("model"), &chip, 0.0);
    let options = Options { threads: THREADS, ..options(folder.path()) };
    let model = Model::open(package, options).expect("a package that was just written");
    let chips = vec![chip.all(); CHIPS];
    let whole = warm_median(RUNS, || {
        model.predict(&chips).expect("chips that fit");
    });
    report.insert("segment_ms_per_chip".into(), json!(whole / CHIPS as f64));
    report.insert("runtime".into(), json!(model.record().runtime));
    report.insert("threads".into(), json!(THREADS));
    report.insert("chip_size".into(), json!(SIZE));
    println!("{}", serde_json::Value::Object(report));
}

fn pixels_u8(shape: [usize; 4], values: &'static [u8]) -> SessionInputValue<'static> {
    TensorRef::from_array_view((shape, values)).expect("shape fits").into()
}
