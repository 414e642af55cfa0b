//! Packages in smaller precisions against the f32 package that they were made from: size, time of a chip, and likeness
//! of the features, for models of random weights.
//!
//! `cargo bench --workspace --bench precision -- [tiny|small]` prints a JSON object for each precision. A chip has
//! 16 px of 10 m with one orthophoto of 512 px, four dates of Sentinel-2 and two of Sentinel-1. The packages take turns;
//! each time is the median of its runs in the best of the rounds. Integer products are calibrated on one chip, and the
//! likeness is that of others.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where something is wrong")]

#[allow(dead_code, unreachable_pub, reason = "shared with tests")]
#[path = "../tests/common/mod.rs"]
mod common;
#[allow(unreachable_pub, reason = "shared with tests")]
#[path = "../tests/common/reduce.rs"]
mod reduce;

#[path = "support/mod.rs"]
mod support;

use common::{Chip, DATES, SIZE, Tiny};
use serde_json::json;
use skysense_contract::Package;
use skysense_infer::{ChipInput, Maps, Model, Options};
use skysense_train::Precision;

use support::median;

const THREADS: usize = 2;
const ROUNDS: usize = 3;
const RUNS: usize = 5;

/// A package with its name, the best of its medians so far, and what it gives.
struct Contender {
    name: &'static str,
    package: Package,
    model: Model,
    milliseconds: f64,
    features: Maps,
}

/// Bytes of graphs, and of graphs and weights.
fn bytes(package: &Package) -> [u64; 2] {
    let graphs = package.contract().graphs.values().map(|graph| graph.size).sum();
    [graphs, graphs + std::fs::metadata(package.weights()).unwrap().len()]
}

/// Mean and least cosine between the features of each pixel.
fn cosines(a: &Maps, b: &Maps) -> [f64; 2] {
    let area = SIZE * SIZE;
    let pixel = |maps: &Maps, at: usize| -> Vec<f64> {
        maps.chip(at / area)[at % area..].iter().step_by(area).map(|value| f64::from(*value)).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let all: Vec<f64> = (0..a.chips * area)
        .map(|at| {
            let (x, y) = (pixel(a, at), pixel(b, at));
            dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()
        })
        .collect();
    [all.iter().sum::<f64>() / all.len() as f64, all.iter().copied().fold(1.0, f64::min)]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = ["tiny", "small"].into_iter().filter(|name| arguments.iter().any(|a| a == name)).collect();
    for preset in if asked.is_empty() { vec!["tiny", "small"] } else { asked } {
        let folder = tempfile::tempdir().unwrap();
        let options =
            Options { cache: Some(folder.path().join("cache")), threads: THREADS, batch: 1, ..Options::default() };
        let probe = Chip::new(1, [DATES, 2]);
        let float = Tiny::of(preset, 1, None).write(&folder.path().join("f32"), &probe, 0.0);
        let float = Package::open(float).unwrap();
        let owned: Vec<Chip> = (2..6).map(|seed| Chip::new(seed, [DATES, 2])).collect();
        let chips: Vec<ChipInput<'_>> = owned.iter().map(Chip::all).collect();
        let small = Precision::ALL
            .map(|precision| (precision.name(), reduce::reduced(&float, precision, folder.path(), &options)));
        let mut contenders: Vec<Contender> = std::iter::once(("f32", float))
            .chain(small)
            .map(|(name, package)| {
                let model = Model::load(package.clone(), options.clone()).unwrap();
                let features = model.features(&chips).unwrap();
                Contender { name, package, model, milliseconds: f64::MAX, features }
            })
            .collect();
        for _ in 0..ROUNDS {
            for contender in &mut contenders {
                let took = median(RUNS, || {
                    contender.model.features(&chips).unwrap();
                });
                contender.milliseconds = contender.milliseconds.min(took / chips.len() as f64);
            }
        }
        let float = &contenders[0];
        let [graphs, all] = bytes(&float.package);
        for contender in &contenders {
            let [its_graphs, its_all] = bytes(&contender.package);
            let [cosine, least] = cosines(&float.features, &contender.features);
            println!(
                "{}",
                json!({
                    "bench": "infer/precision", "preset": preset, "precision": contender.name, "threads": THREADS,
                    "graph_bytes": its_graphs, "graph_share": its_graphs as f64 / graphs as f64,
                    "package_bytes": its_all, "package_share": its_all as f64 / all as f64,
                    "chip_ms": contender.milliseconds, "speed": float.milliseconds / contender.milliseconds,
                    "feature_cosine": cosine, "least_cosine": least,
                })
            );
        }
    }
}
