//! A step of fine-tuning at `tiny` and the scoring of chips, against the same in PyTorch on the same processors: both series
//! encoders, fusion, light head, cross-entropy, clipping, AdamW.
//!
//! `cargo bench --workspace --bench finetune -- [--threads N] [--python PATH]` prints a JSON object for each case and one with
//! the ratios over all (above 1: faster than PyTorch). `--python none` leaves PyTorch out; without `--python` an environment
//! with trainer/benches/peer/requirements.txt is made once. Times are medians in the better of two rounds. Our step draws,
//! turns and stacks its chips, the peer's lie ready as tensors. Chips are scored as inference does it, by ONNX Runtime from
//! stored pixels, eight at a time, and by the peer's network in inference mode.

#[path = "../../skysense/src/allocator.rs"]
mod allocator;
#[path = "support/mod.rs"]
mod measure;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/sizes.rs"]
mod sizes;

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;
use skysense_contract::{Class, Dtype, MlmContext, Modality, Offer, Package, Unit};
use skysense_infer::{ChipInput, Model, Options, Pixels, Series};
use skysense_model::preset;
use skysense_train::{FinetuneConfig, Hooks, Progress, Sample, SampleSeries, export, finetune};

use allocator::Keeping;
use measure::warm_median;
use peer::threads;
use sizes::S2;

const ROUNDS: usize = 2;
/// Steps that are timed, after those that warm up.
const STEPS: usize = 15;
const WARM: usize = 3;
const CLASSES: usize = 10;
/// Hidden channels of the light head, as training makes it.
const HIDDEN: usize = 64;
const SIZE: usize = 16;

/// Chips of a step, dates of Sentinel-2 and Sentinel-1.
#[derive(Clone, Copy)]
struct Case {
    batch: usize,
    dates: [usize; 2],
}

const CASES: [Case; 3] =
    [Case { batch: 4, dates: [6, 4] }, Case { batch: 8, dates: [6, 4] }, Case { batch: 4, dates: [12, 8] }];

fn noise(i: usize) -> f32 {
    ((i * 7919 + i * i % 8191) % 4001) as f32
}

/// Chips of which every pixel of every date counts.
fn samples(case: Case) -> Vec<Sample> {
    let area = SIZE * SIZE;
    let series = |dates: usize, bands: usize, seed: usize, scale: f32| SampleSeries {
        pixels: (0..dates * bands * area).map(|at| (noise(at + seed) * scale).round()).collect(),
        valid: vec![1; dates * area],
        datetimes: (0..dates as i64).map(|date| date * 20 * 86_400_000).collect(),
    };
    let sample = |index: usize| Sample {
        series: BTreeMap::from([
            (Modality::S2, series(case.dates[0], S2.len(), index * 101, 1.0)),
            (Modality::S1, series(case.dates[1], 2, index * 57, -0.005)),
        ]),
        labels: (0..area).map(|at| (noise(at / 8 + index) as usize % CLASSES) as u8 + 1).collect::<Vec<u8>>().into(),
        origin: [(SIZE * index) as i64, 0],
        ..Sample::default()
    };
    (0..4 * case.batch).map(sample).collect()
}

fn offers(case: Case) -> BTreeMap<Modality, Offer> {
    let offer = |bands: &[&str], unit, dtype, dates| {
        let bands = bands.iter().map(ToString::to_string).collect();
        Offer { bands, unit, dtype, dates, size: SIZE, scale: 1 }
    };
    BTreeMap::from([
        (Modality::S2, offer(&S2, Unit::ReflectanceE4, Dtype::I16, case.dates[0])),
        (Modality::S1, offer(&["VV", "VH"], Unit::Decibel, Dtype::F32, case.dates[1])),
    ])
}

struct Clock(Vec<Instant>);

impl Hooks for Clock {
    fn progress(&mut self, _: &Progress) {
        self.0.push(Instant::now());
    }
}

/// Median milliseconds of a step, and of a chip that is scored.
fn ours(case: Case) -> [f64; 2] {
    let class = |value: usize| Class { value: value as u8, name: value.to_string(), color: "00ff00".into() };
    let mut config = FinetuneConfig::new("bench", (1..=CLASSES).map(class).collect());
    (config.recipe.steps, config.recipe.batch, config.recipe.validation) = (WARM + STEPS, case.batch, 0.0);
    // Absent dates and modalities would be less work than the peer has.
    (config.recipe.augmentation.dates, config.recipe.augmentation.modality_dropout) = (1.0, 0.0);
    let samples = samples(case);
    // As where training runs.
    let _keeping = Keeping::new();
    let mut clock = Clock(Vec::new());
    let trained = finetune(&samples, &offers(case), &config, &mut clock).expect("samples that can be learned from");
    let mut steps: Vec<f64> = clock.0[WARM - 1..].windows(2).map(|w| 1e3 * (w[1] - w[0]).as_secs_f64()).collect();
    steps.sort_by(f64::total_cmp);
    let folder = tempfile::tempdir().expect("a folder");
    let package = export(&trained, &folder.path().join("model"), &MlmContext::default()).expect("a package");
    [steps[steps.len() / 2], scored(package, &samples, case)]
}

/// Milliseconds of a chip from stored pixels to probabilities.
fn scored(package: Package, samples: &[Sample], case: Case) -> f64 {
    let dates = BTreeMap::from([(Modality::S2, case.dates[0]), (Modality::S1, case.dates[1])]);
    let options = Options { threads: threads(), batch: 8, dates, ..Options::default() };
    let model = Model::load(package, options).expect("a model");
    let stored: Vec<(Vec<i16>, &SampleSeries, &SampleSeries)> = samples[..case.batch]
        .iter()
        .map(|sample| {
            let s2 = &sample.series[&Modality::S2];
            (s2.pixels.iter().map(|value| *value as i16).collect(), s2, &sample.series[&Modality::S1])
        })
        .collect();
    let chips: Vec<ChipInput<'_>> = stored
        .iter()
        .map(|(pixels, s2, s1)| {
            let s2 = Series { pixels: Pixels::I16(pixels), valid: None, datetimes: &s2.datetimes };
            let s1 = Series { pixels: Pixels::F32(&s1.pixels), valid: None, datetimes: &s1.datetimes };
            ChipInput::default().with_s2(s2).with_s1(s1)
        })
        .collect();
    let run = || assert_eq!(model.predict(&chips).expect("chips that fit").chips, chips.len());
    warm_median(STEPS, run) / chips.len() as f64
}

fn main() {
    // As many as PyTorch is given.
    rayon::ThreadPoolBuilder::new().num_threads(threads()).build_global().expect("the first threads");
    let python = peer::python();
    let tiny = preset("tiny").expect("a preset");
    let mut all = [[0.0; 2]; 2];
    for case in CASES {
        let mut best = [[f64::MAX; 2]; 2];
        for _ in 0..ROUNDS {
            let mut found = vec![ours(case)];
            if let Some(python) = &python {
                let asked = json!({
                    "s2": sizes::series(&tiny.s2, SIZE), "s1": sizes::series(&tiny.s1, SIZE), "fusion": sizes::fusion(&tiny),
                    "hidden": HIDDEN, "classes": CLASSES, "batch": case.batch, "dates": case.dates, "runs": STEPS,
                });
                let answer = peer::run(python, "finetune.py", &asked);
                found.push(["step_ms", "score_ms"].map(|name| answer[name].as_f64().expect("milliseconds")));
            }
            for (best, found) in best.iter_mut().zip(found) {
                *best = [best[0].min(found[0]), best[1].min(found[1])];
            }
        }
        let [our, their] = best;
        let ratios = [their[0] / our[0], their[1] / our[1]];
        let peer = python.as_ref().map(
            |_| json!({"step_ms": their[0], "score_ms": their[1], "step_ratio": ratios[0], "score_ratio": ratios[1]}),
        );
        println!(
            "{}",
            json!({
                "bench": "infer/finetune", "preset": "tiny", "threads": threads(), "batch": case.batch,
                "dates": case.dates, "step_ms": our[0], "score_ms": our[1], "peer": peer,
            })
        );
        for (sum, one) in all.iter_mut().zip(best) {
            *sum = [sum[0] + one[0], sum[1] + one[1]];
        }
    }
    if python.is_some() {
        let [our, their] = all;
        let ratios = json!({"step_ratio": their[0] / our[0], "score_ratio": their[1] / our[1]});
        println!("{}", json!({"bench": "infer/finetune", "threads": threads(), "all": ratios}));
    }
}
