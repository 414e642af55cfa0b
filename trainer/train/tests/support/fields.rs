//! A small synthetic problem: fields of three crops.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;

use skysense_contract::{Class, Dtype, Modality, Offer, Package, Unit};
use skysense_train::{Augmentation, FinetuneConfig, Hooks, Progress, Sample, SampleSeries};

/// Side of a chip.
pub(crate) const SIZE: usize = 16;

/// Fields whose classes differ in the level of the first band and in the date on which the second is high, with noise
/// and clouds on one date.
pub(crate) fn samples(count: usize) -> Vec<Sample> {
    let noise = |i: usize| ((i * 7919 + i * i % 8191) % 401) as f32 - 200.0;
    let sample = |index: usize| {
        let class = |place: usize| (place % SIZE / 8 + place / SIZE / 8 + index) % 3;
        let dates = [100_i64, 180, 260];
        let (mut pixels, mut valid) = (Vec::new(), Vec::new());
        for (date, _) in dates.iter().enumerate() {
            for band in 0..2 {
                for place in 0..SIZE * SIZE {
                    let season = if class(place) == date { 2500.0 } else { 800.0 };
                    let level = if band == 0 { 700.0 + 600.0 * class(place) as f32 } else { season };
                    pixels.push((level + noise(index * 9973 + date * 577 + band * 7 + place)).round());
                }
            }
            valid.extend((0..SIZE * SIZE).map(|place| u8::from(!(date == index % 3 && place < 20))));
        }
        let datetimes = dates.iter().map(|day| day * 86_400_000).collect();
        let series = SampleSeries { pixels, valid, datetimes };
        let labels = (0..SIZE * SIZE).map(|place| class(place) as u8 + 1).collect::<Vec<u8>>().into();
        Sample {
            series: BTreeMap::from([(Modality::S2, series)]),
            labels,
            origin: [(SIZE * index) as i64, 0],
            ..Sample::default()
        }
    };
    (0..count).map(sample).collect()
}

/// What they hold.
pub(crate) fn offers() -> BTreeMap<Modality, Offer> {
    let bands = vec!["B04".to_string(), "B08".to_string()];
    let offer = Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 3, size: SIZE, scale: 1 };
    BTreeMap::from([(Modality::S2, offer)])
}

/// Settings for them.
pub(crate) fn config(steps: usize) -> FinetuneConfig {
    let class = |value: u8| Class { value, name: format!("crop {value}"), color: "00ff00".into() };
    let mut config = FinetuneConfig::new("synthetic", (1..=3).map(class).collect());
    (config.recipe.steps, config.recipe.batch, config.recipe.block, config.recipe.every) = (steps, 3, 8, 3);
    config.recipe.augmentation = Augmentation { dates: 1.0, ..Augmentation::default() };
    config
}

/// Settings with something else.
pub(crate) fn with<C>(mut config: C, change: impl FnOnce(&mut C)) -> C {
    change(&mut config);
    config
}

/// Stops before a step.
pub(crate) struct Stop {
    pub(crate) at: usize,
    pub(crate) step: usize,
}

impl Hooks for Stop {
    fn progress(&mut self, progress: &Progress) {
        self.step = progress.step;
    }

    fn cancelled(&self) -> bool {
        self.step == self.at
    }
}

/// Bytes of a package's weights.
pub(crate) fn weights(package: &Package) -> Vec<u8> {
    std::fs::read(package.weights()).unwrap()
}

/// Fields whose class is the date on which the second band is high, so that numbers over all dates without their order
/// say nothing of it; the first band is noise.
pub(crate) fn seasons(count: usize) -> Vec<Sample> {
    let noise = |i: usize| ((i * 7919 + i * i % 8191) % 401) as f32 - 200.0;
    let mut all = samples(count);
    for (index, sample) in all.iter_mut().enumerate() {
        let series = sample.series.get_mut(&Modality::S2).unwrap();
        series.valid.fill(1);
        for (at, pixel) in series.pixels.iter_mut().enumerate() {
            let (date, band, place) = (at / (2 * SIZE * SIZE), at / (SIZE * SIZE) % 2, at % (SIZE * SIZE));
            let high = band == 1 && usize::from(sample.labels.classes()[place]) == date + 1;
            *pixel = if high { 2500.0 } else { 800.0 } + 3.0 * noise(index * 99_991 + at);
        }
    }
    all
}
