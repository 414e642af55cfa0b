//! Packages against each other, side by side: a model and what was made of it, such as a teacher and its student.
//!
//! `cargo bench --workspace --bench packages -- FOLDER FOLDER …` prints a JSON object for each package: bytes, and
//! milliseconds of a chip through encoders and fusion with ONNX Runtime. A chip has random pixels and as many dates as
//! `--dates N` says, at most what each model takes; all packages see the same chips if they take the same bands. The packages
//! take turns; each time is the median of its runs in the best of the rounds.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where something is wrong")]

#[path = "support/mod.rs"]
mod support;

use serde_json::json;
use skysense_contract::{Contract, Dtype, Modality, Package};
use skysense_infer::{ChipInput, Model, Options, Pixels, Series};

use support::median;

const THREADS: usize = 2;
const ROUNDS: usize = 5;
const RUNS: usize = 5;
const CHIPS: usize = 8;

/// Pixels of a modality in the type that its model takes.
enum Owned {
    U8(Vec<u8>),
    I16(Vec<i16>),
    F32(Vec<f32>),
}

/// One modality of a chip.
struct Images {
    modality: Modality,
    pixels: Owned,
    valid: Vec<u8>,
    datetimes: Vec<i64>,
}

fn images(contract: &Contract, dates: usize) -> Vec<Images> {
    let one = |(modality, input): (&Modality, &skysense_contract::Input)| {
        let time = if *modality == Modality::Hr { 1 } else { dates.min(input.dates) };
        let area = (contract.chip_size * input.scale).pow(2);
        let noise = |at: usize| ((at * 7919 + at * at % 8191) % 4001) as f32;
        let count = time * input.bands.len() * area;
        let pixels = match input.dtype {
            Dtype::U8 => Owned::U8((0..count).map(|at| (noise(at) / 16.0) as u8).collect()),
            Dtype::I16 => Owned::I16((0..count).map(|at| noise(at) as i16).collect()),
            Dtype::F32 => Owned::F32((0..count).map(|at| noise(at) / 200.0 - 20.0).collect()),
        };
        let datetimes = (0..time).map(|date| date as i64 * 20 * 86_400_000).collect();
        Images { modality: *modality, pixels, valid: vec![1; time * area], datetimes }
    };
    contract.modalities.iter().map(one).collect()
}

fn chip(images: &[Images]) -> ChipInput<'_> {
    images.iter().fold(ChipInput::default(), |chip, images| {
        let pixels = match &images.pixels {
            Owned::U8(values) => Pixels::U8(values),
            Owned::I16(values) => Pixels::I16(values),
            Owned::F32(values) => Pixels::F32(values),
        };
        let series = Series { pixels, valid: Some(&images.valid), datetimes: &images.datetimes };
        match images.modality {
            Modality::Hr => chip.with_hr(series),
            Modality::S2 => chip.with_s2(series),
            Modality::S1 => chip.with_s1(series),
        }
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    let (mut dates, mut folders) = (8, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--dates" => dates = arguments.next().and_then(|text| text.parse().ok()).expect("a number of dates"),
            folder => folders.push(folder.to_owned()),
        }
    }
    // Without a folder there is nothing to compare: `cargo bench` runs every benchmark.
    let mut contenders: Vec<(Package, Model, Vec<Images>, f64)> = folders
        .iter()
        .map(|folder| {
            let package = Package::open(folder).unwrap();
            let images = images(package.contract(), dates);
            let options = Options { threads: THREADS, batch: CHIPS, ..Options::default() };
            (package.clone(), Model::load(package, options).unwrap(), images, f64::MAX)
        })
        .collect();
    for _ in 0..ROUNDS {
        for (_, model, images, best) in &mut contenders {
            let chips: Vec<ChipInput<'_>> = (0..CHIPS).map(|_| chip(images)).collect();
            let took = median(RUNS, || {
                model.features(&chips).unwrap();
            });
            *best = best.min(took / CHIPS as f64);
        }
    }
    let first = contenders.first().map_or(1.0, |(.., milliseconds)| *milliseconds);
    for (folder, (package, .., milliseconds)) in folders.iter().zip(&contenders) {
        let contract = package.contract();
        let graphs: u64 = contract.graphs.values().map(|graph| graph.size).sum();
        let weights = std::fs::metadata(package.weights()).unwrap().len();
        println!(
            "{}",
            json!({
                "bench": "infer/packages", "package": folder, "name": contract.name, "preset": contract.preset,
                "threads": THREADS, "dates": dates, "graph_bytes": graphs, "package_bytes": graphs + weights,
                "chip_ms": milliseconds, "chips_per_second": 1e3 / milliseconds, "speed": first / milliseconds,
            })
        );
    }
}
