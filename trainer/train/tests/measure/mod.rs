//! Peak memory of a pass, measured in a process of its own beside its prediction.
//!
//! A child is this very program with [`CHILD`] set: it makes the model, takes the pass, and prints how far its resident
//! memory rose above where it stood before the model was made. Linux alone tells that (`/proc/self/status`).

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use burn::tensor::{Device, Distribution, Int, Tensor};
use skysense_contract::{Class, Dtype, Modality, Offer, Unit};
use skysense_model::cost::{Chip, memory};
use skysense_model::{Inputs, SegmentationHeadConfig, Series, SkySenseConfig, preset};
use skysense_train::{
    Checkpointing, FinetuneConfig, Hooks, Progress, Sample, SampleSeries, Start, TrainingPrecision, finetune,
};

/// Holds the case of a child.
pub(crate) const CHILD: &str = "SKYSENSE_MEASURE_CHILD";

/// What comes before the number that a child prints.
const MARK: &str = "bytes above the start: ";

/// Classes of the head, and its hidden channels as training makes them.
const CLASSES: usize = 5;
const HIDDEN: usize = 64;

/// A pass of a preset over a batch, with 4 dates of Sentinel-2 and 2 of Sentinel-1 on 16 px.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) preset: &'static str,
    pub(crate) batch: usize,
    /// How it trains; `None` for a forward pass alone.
    pub(crate) training: Option<memory::Mode>,
}

/// Training with these settings.
pub(crate) const fn trains(precision: TrainingPrecision, checkpointing: Checkpointing) -> Option<memory::Mode> {
    // As many parts as a recipe has that does not say.
    Some(memory::Mode { precision, checkpointing, parts: 2 })
}

pub(crate) const CHIP: Chip = Chip { size: 16, dates_s2: 4, dates_s1: 2 };

impl Case {
    fn name(self) -> String {
        format!("{} {} {:?}", self.preset, self.batch, self.training)
    }

    fn config(self) -> SkySenseConfig {
        preset(self.preset).expect("a preset of the table")
    }

    /// Predicted bytes.
    pub(crate) fn predicted(self) -> u64 {
        let config = self.config();
        let head = SegmentationHeadConfig { channels: config.channels(), hidden: HIDDEN, classes: CLASSES };
        match self.training {
            Some(mode) => memory::training(mode, &config, &head, CHIP, self.batch as u64).total(),
            None => memory::inference(&config, &head, CHIP, self.batch as u64).total(),
        }
    }

    /// Bytes that a child rose by, and seconds of all cores in a step that is not the first; `arguments` lead a test binary to the
    /// test that calls [`if_child`].
    pub(crate) fn measured(self, arguments: &[&str]) -> (u64, f64) {
        let program = std::env::current_exe().expect("a path of this program");
        let mut child = Command::new(program);
        // One heap: glibc makes one for each thread, and what lies free in one is no use to another.
        child.args(arguments).env(CHILD, self.name()).env("MALLOC_ARENA_MAX", "1").stderr(Stdio::inherit());
        let output = child.output().expect("this program starts again");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{self:?}: {text}");
        let line = text.lines().find_map(|line| line.split_once(MARK)).expect("a child prints its number");
        let (bytes, seconds) = line.1.trim().split_once(' ').expect("two numbers");
        (bytes.parse().expect("a number of bytes"), seconds.parse().expect("seconds"))
    }
}

/// Whether memory can be measured here.
pub(crate) fn possible() -> bool {
    cfg!(target_os = "linux")
}

/// In a child, takes its pass and says so.
pub(crate) fn if_child(cases: &[Case]) -> bool {
    let Ok(name) = std::env::var(CHILD) else { return false };
    let case = cases.iter().find(|case| case.name() == name).expect("a case of the table");
    let samples = if case.training.is_some() { samples(case.batch) } else { Vec::new() };
    let before = status("VmRSS:");
    let seconds = match case.training {
        Some(mode) => train(*case, mode, &samples),
        None => infer(*case),
    };
    println!("{MARK}{} {seconds}", status("VmHWM:").saturating_sub(before));
    true
}

/// Seconds that all threads of this process were given: other work on the machine does not count.
fn cores() -> f64 {
    /// Of the kernel's interface to programs, whatever it counts in itself.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = text.rsplit(')').next().expect("the name of the program ends in a bracket");
    // User and system time are fields 14 and 15; the first one after the name is 3.
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().expect("ticks"));
    ticks.sum::<f64>() / TICKS
}

/// A line of `/proc/self/status`, in bytes.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kibibytes") * 1024
}

/// Gives the seconds that the cores spend on a forward pass.
fn infer(case: Case) -> f64 {
    let device = Device::flex();
    let config = case.config();
    let head = SegmentationHeadConfig { channels: config.channels(), hidden: HIDDEN, classes: CLASSES };
    let model = config.init(&device).expect("a preset fits together");
    let head = head.init(&device);
    let batch = case.batch;
    let series = |bands: usize, dates: usize| Series {
        pixels: Tensor::random([batch, dates, bands, CHIP.size, CHIP.size], Distribution::Default, &device),
        day: Tensor::<2, Int>::zeros([batch, dates], &device),
        present: None,
    };
    let side = 32 * CHIP.size;
    let inputs = Inputs {
        hr: Some(Tensor::random([batch, 3, side, side], Distribution::Default, &device)),
        s2: Some(series(10, CHIP.dates_s2)),
        s1: Some(series(2, CHIP.dates_s1)),
        ..Inputs::default()
    };
    let before = cores();
    let logits = head.forward(model.forward(inputs).expect("a chip that the model reads"));
    assert!(logits.sum().into_scalar::<f32>().is_finite());
    cores() - before
}

/// Seconds of all cores at the end of each step.
#[derive(Default)]
struct Steps(Vec<f64>);

impl Hooks for Steps {
    fn progress(&mut self, _: &Progress) {
        self.0.push(cores());
    }
}

/// Gives the seconds that the cores spend on a step that is not the first.
fn train(case: Case, mode: memory::Mode, samples: &[Sample]) -> f64 {
    let offer = |bands: &[&str], unit, dtype, dates, size| Offer {
        bands: bands.iter().map(ToString::to_string).collect(),
        unit,
        dtype,
        dates,
        size,
        scale: size / CHIP.size,
    };
    let s2 = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];
    let offers = BTreeMap::from([
        (Modality::Hr, offer(&["red", "green", "blue"], Unit::Byte, Dtype::U8, 1, 32 * CHIP.size)),
        (Modality::S2, offer(&s2, Unit::ReflectanceE4, Dtype::I16, CHIP.dates_s2, CHIP.size)),
        (Modality::S1, offer(&["VV", "VH"], Unit::Decibel, Dtype::F32, CHIP.dates_s1, CHIP.size)),
    ]);
    let class = |value: usize| Class { value: value as u8, name: value.to_string(), color: "00ff00".into() };
    let mut config = FinetuneConfig::new("measured", (1..=CLASSES).map(class).collect());
    config.recipe.start = Start::Preset(case.preset.into());
    (config.recipe.steps, config.recipe.batch, config.recipe.validation) = (3, case.batch, 0.0);
    // Every step sees every date and modality.
    (config.recipe.augmentation.dates, config.recipe.augmentation.modality_dropout) = (1.0, 0.0);
    (config.compute.precision, config.compute.checkpointing) = (mode.precision, mode.checkpointing);
    let mut steps = Steps::default();
    finetune(samples, &offers, &config, &mut steps).expect("it trains");
    let [first, .., last] = steps.0[..] else { panic!("several steps") };
    (last - first) / (steps.0.len() - 1) as f64
}

fn samples(count: usize) -> Vec<Sample> {
    let series = |bands: usize, dates: usize, side: usize| SampleSeries {
        pixels: (0..bands * dates * side * side).map(|place| (place * 7919 % 251) as f32).collect(),
        valid: vec![1; dates * side * side],
        datetimes: (0..dates as i64).map(|date| (100 + 20 * date) * 86_400_000).collect(),
    };
    let sample = |index: usize| Sample {
        series: BTreeMap::from([
            (Modality::Hr, series(3, 1, 32 * CHIP.size)),
            (Modality::S2, series(10, CHIP.dates_s2, CHIP.size)),
            (Modality::S1, series(2, CHIP.dates_s1, CHIP.size)),
        ]),
        labels: (0..CHIP.size * CHIP.size).map(|place| (place % CLASSES) as u8 + 1).collect::<Vec<u8>>().into(),
        origin: [(CHIP.size * index) as i64, 0],
        ..Sample::default()
    };
    (0..count).map(sample).collect()
}
