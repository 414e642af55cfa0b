//! A step of pretraining at `tiny` as batch, dates and size of views grow, against the same step in PyTorch on the same
//! processors: both networks, losses of all levels of Sentinel-2, Sentinel-1 and the fused features, alignment, clipping,
//! AdamW, centres, prototypes and the teacher's move.
//!
//! `cargo bench --workspace --bench pretrain -- [--threads N] [--python PATH]` prints a JSON object for each case and one with the
//! ratio over all (above 1: faster than PyTorch). `--python none` leaves PyTorch out; without `--python` an environment
//! with trainer/benches/peer/requirements.txt is made once. Times are medians of steps in the better of two rounds; ours
//! counts waiting for the threads that load, the peer's views are drawn before.

#[path = "../../skysense/src/allocator.rs"]
mod allocator;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/sizes.rs"]
mod sizes;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skysense_contract::{Dtype, Modality, Offer, Unit};
use skysense_model::{SkySenseConfig, preset};
use skysense_train::pretrain::{HeldPlaces, Measures, Place, PretrainConfig, Prototypes, pretrain};
use skysense_train::{Augmentation, Hooks, SampleSeries};

use allocator::Keeping;
use peer::threads;
use sizes::S2;

const ROUNDS: usize = 2;
/// Steps that are timed, after those that warm up.
const STEPS: usize = 7;
const WARM: usize = 2;

/// Places of a step, dates of Sentinel-2 and Sentinel-1, side of a view.
#[derive(Clone, Copy)]
struct Case {
    batch: usize,
    dates: [usize; 2],
    size: usize,
}

const BASE: Case = Case { batch: 8, dates: [4, 2], size: 16 };

fn cases() -> [Case; 7] {
    [
        BASE,
        Case { batch: 4, ..BASE },
        Case { batch: 16, ..BASE },
        Case { dates: [2, 1], ..BASE },
        Case { dates: [8, 4], ..BASE },
        Case { size: 8, ..BASE },
        Case { size: 32, ..BASE },
    ]
}

/// Places of which every pixel of every date counts.
fn places(case: Case) -> HeldPlaces {
    let area = case.size * case.size;
    let noise = |i: usize| ((i * 7919 + i * i % 8191) % 4001) as f32;
    let series = |dates: usize, bands: usize, seed: usize, scale: f32| SampleSeries {
        pixels: (0..dates * bands * area).map(|at| noise(at + seed) * scale).collect(),
        valid: vec![1; dates * area],
        datetimes: (0..dates as i64).map(|date| date * 20 * 86_400_000).collect(),
    };
    let place = |index: usize| Place {
        name: format!("place {index}"),
        series: BTreeMap::from([
            (Modality::S2, series(case.dates[0], S2.len(), index * 101, 1.0)),
            (Modality::S1, series(case.dates[1], 2, index * 57, -0.005)),
        ]),
        centre: [10.0 + 20.0 * (index % 3) as f64, 48.0],
    };
    let offer = |bands: &[&str], unit, dtype, dates| {
        let bands = bands.iter().map(ToString::to_string).collect();
        Offer { bands, unit, dtype, dates, size: case.size, scale: 1 }
    };
    let offers = BTreeMap::from([
        (Modality::S2, offer(&S2, Unit::ReflectanceE4, Dtype::I16, case.dates[0])),
        (Modality::S1, offer(&["VV", "VH"], Unit::Decibel, Dtype::F32, case.dates[1])),
    ]);
    HeldPlaces::new((0..2 * case.batch).map(place).collect(), offers, case.size)
}

fn config(case: Case) -> PretrainConfig {
    let mut config = PretrainConfig::new("bench");
    (config.recipe.steps, config.recipe.batch) = (WARM + STEPS, case.batch);
    config.recipe.augmentation = Augmentation { turns: true, dates: 1.0, modality_dropout: 0.0 };
    config
}

#[derive(Default)]
struct Heard(Vec<Measures>);

impl Hooks for Heard {
    fn measured(&mut self, measures: &Measures) {
        self.0.push(measures.clone());
    }
}

/// Median milliseconds of a step, and of waiting in it.
fn ours(case: Case) -> [f64; 2] {
    let (places, config) = (places(case), config(case));
    // As where training runs.
    let _keeping = Keeping::new();
    let mut heard = Heard::default();
    pretrain(&places, &config, &mut heard).expect("places that can be learned from");
    let median = |value: &dyn Fn(&Measures) -> f64| {
        let mut values: Vec<f64> = heard.0[WARM..].iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let seconds = |of: &Measures| of.values["step_seconds"];
    [median(&|of| 1e3 * seconds(of)), median(&|of| 1e3 * seconds(of) * of.values["waiting"])]
}

/// What the peer is to build.
fn asked(preset: &SkySenseConfig, case: Case) -> Value {
    let config = config(case);
    let Prototypes { count, update, .. } = config.prototypes.expect("settings with prototypes");
    let objects = config.levels.objects;
    json!({
        "s2": sizes::series(&preset.s2, case.size), "s1": sizes::series(&preset.s1, case.size),
        "fusion": sizes::fusion(preset),
        "heads": config.heads, "alignment_outputs": config.alignment.outputs, "batch": case.batch, "dates": case.dates,
        "pixels": config.crops.pixels.unwrap_or(usize::MAX).min(case.size * case.size),
        "clusters": objects.clusters, "rounds": objects.rounds, "epsilon": objects.sinkhorn.epsilon,
        "iterations": objects.sinkhorn.iterations, "regions": 4096, "prototypes": count,
        "update": update.momentum, "runs": STEPS,
    })
}

fn main() {
    // As many as PyTorch is given.
    rayon::ThreadPoolBuilder::new().num_threads(threads()).build_global().expect("the first threads");
    let python = peer::python();
    let tiny = preset("tiny").expect("a preset");
    let mut all = [0.0; 2];
    for case in cases() {
        let (mut our, mut their) = ([f64::MAX; 2], f64::MAX);
        for _ in 0..ROUNDS {
            let found = ours(case);
            if found[0] < our[0] {
                our = found;
            }
            if let Some(python) = &python {
                let answer = peer::run(python, "pretrain.py", &asked(&tiny, case));
                their = their.min(answer["step_ms"].as_f64().expect("milliseconds"));
            }
        }
        let peer = python.as_ref().map(|_| json!({"pytorch_ms": their, "ratio": their / our[0]}));
        println!(
            "{}",
            json!({
                "bench": "infer/pretrain", "preset": "tiny", "threads": threads(), "batch": case.batch,
                "dates": case.dates, "size": case.size, "step_ms": our[0], "waiting_ms": our[1],
                "places_per_second": 1e3 * case.batch as f64 / our[0], "peer": peer,
            })
        );
        all = [all[0] + our[0], all[1] + their];
    }
    if python.is_some() {
        println!("{}", json!({"bench": "infer/pretrain", "threads": threads(), "step_ratio": all[1] / all[0]}));
    }
}
