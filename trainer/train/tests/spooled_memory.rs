//! Peak memory of training does not grow with the number of chips that wait in a file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/status.rs"]
mod status;

use std::collections::BTreeMap;
use std::process::Command;

use skysense_contract::{Class, Dtype, Modality, Offer, Unit};
use skysense_train::{
    FinetuneConfig, NoHooks, Sample, SampleSeries, SpooledSamples, Start, TrainError, Trained, finetune,
};

/// Sides of a chip on the 10 m grid and in its own pixels, and bands.
const SIZE: usize = 8;
const SIDE: usize = 32 * SIZE;
const BANDS: usize = 3;

/// Bytes of a chip's pixels, as they are fed.
const CHIP: u64 = (4 * BANDS * SIDE * SIDE) as u64;

/// Chips of the two runs that are compared.
const FEW: usize = 8;
const MANY: usize = 8 * FEW;

fn sample(index: usize) -> Sample {
    let series = SampleSeries {
        pixels: (0..BANDS * SIDE * SIDE).map(|place| ((place + 31 * index) * 7919 % 251) as f32).collect(),
        valid: vec![1; SIDE * SIDE],
        datetimes: vec![0],
    };
    Sample {
        series: BTreeMap::from([(Modality::Hr, series)]),
        labels: (0..SIZE * SIZE).map(|place| 1 + (place % 2) as u8).collect::<Vec<u8>>().into(),
        origin: [(SIZE * index) as i64, 0],
        ..Sample::default()
    }
}

fn train(count: usize, spool: bool) -> Result<Trained, TrainError> {
    let bands = ["red", "green", "blue"].map(String::from).to_vec();
    let offer = Offer { bands, unit: Unit::Byte, dtype: Dtype::U8, dates: 1, size: SIDE, scale: 32 };
    let offers = BTreeMap::from([(Modality::Hr, offer)]);
    let class = |value: u8| Class { value, name: value.to_string(), color: "00ff00".into() };
    let mut config = FinetuneConfig::new("measured", (1..=2).map(class).collect());
    config.recipe.start = Start::Preset("tiny".into());
    (config.recipe.steps, config.recipe.batch, config.recipe.block) = (2, 2, SIZE);
    if spool {
        let folder = tempfile::tempdir().unwrap();
        let mut samples = SpooledSamples::new(folder.path())?;
        (0..count).try_for_each(|index| samples.push(sample(index)))?;
        finetune(&samples, &offers, &config, &mut NoHooks)
    } else {
        finetune(&(0..count).map(sample).collect::<Vec<_>>(), &offers, &config, &mut NoHooks)
    }
}

/// Peak memory of a process that trains.
fn peak(count: usize, spool: bool) -> u64 {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program);
    child.args(["--exact", "the_child", "--ignored", "--nocapture"]).env("CHIPS", count.to_string());
    // One heap, for what lies free in one is no use to another; and one thread, so that the peak is the same at each run.
    child.env("SPOOL", if spool { "1" } else { "0" }).envs([("MALLOC_ARENA_MAX", "1"), ("RAYON_NUM_THREADS", "1")]);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.split_once("peak: ")).expect("the child tells its peak");
    line.1.trim().parse().unwrap()
}

/// Chips that are held show that a peak is seen at all: they are there as they came and as they are fed.
#[test]
fn eight_times_as_many_chips_take_no_more_memory() {
    if status::own_peak().is_none() {
        eprintln!("NOT MEASURED: peak memory is read from /proc, which is not here");
        return;
    }
    let more = CHIP * (MANY - FEW) as u64;
    let (few, many, held) = (peak(FEW, true), peak(MANY, true), peak(MANY, false));
    let mib = |bytes: u64| bytes >> 20;
    println!("{FEW} chips {} MiB, {MANY} chips {} MiB, held {} MiB", mib(few), mib(many), mib(held));
    let (grown, grown_held) = (many.saturating_sub(few), held.saturating_sub(few));
    assert!(grown < more / 10, "{} MiB more, with pixels of {} MiB more", mib(grown), mib(more));
    assert!(grown_held > more, "{} MiB more where chips are held: is it measured?", mib(grown_held));
}

#[test]
#[ignore = "the process whose memory is measured"]
fn the_child() {
    let Ok(count) = std::env::var("CHIPS") else { return };
    let trained = train(count.parse().unwrap(), std::env::var("SPOOL").unwrap() == "1").unwrap();
    assert_eq!(trained.losses.len(), 2);
    println!("peak: {}", status::own_peak().unwrap());
}
