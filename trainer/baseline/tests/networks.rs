//! What every network holds to: shapes, gradients, dates that are not there, and that it learns.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use skysense_baseline::{BaselineError, NetworkConfig, Series, TsvitConfig, Unet3dConfig, UnetConfig};

const SIDE: usize = 8;
const BANDS: usize = 3;
const CLASSES: usize = 3;

/// Narrow ones, for moments.
fn configs(side: usize) -> [NetworkConfig; 3] {
    [
        NetworkConfig::Unet(UnetConfig { bands: BANDS, classes: CLASSES, width: 8, levels: 3 }),
        NetworkConfig::Unet3d(Unet3dConfig { bands: BANDS, classes: CLASSES, width: 8 }),
        NetworkConfig::Tsvit(TsvitConfig {
            channels: 32,
            heads: 4,
            temporal: 2,
            spatial: 1,
            ..TsvitConfig::published(BANDS, CLASSES, side)
        }),
    ]
}

fn noise(at: usize) -> f32 {
    let mixed = (at as u64 ^ 0x5DEE_CE66).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed >> 40) % 2001) as f32 / 1000.0 - 1.0
}

/// A batch of noise with `dates` that are there and `padding` of other values that are not.
fn series(batch: usize, dates: usize, padding: (usize, f32), side: usize, device: &Device) -> Series {
    let (time, area) = (dates + padding.0, BANDS * side * side);
    let value = |at: usize| {
        let (sample, date) = (at / area / time, at / area % time);
        if date < dates { noise((sample * dates + date) * area + at % area) } else { padding.1 }
    };
    let pixels: Vec<f32> = (0..batch * time * area).map(value).collect();
    let days: Vec<i64> = (0..batch * time).map(|at| (at % time * 60) as i64).collect();
    let present: Vec<bool> = (0..batch * time).map(|at| at % time < dates).collect();
    let pixels = Tensor::from_data(TensorData::new(pixels, [batch, time, BANDS, side, side]), device);
    let days = Tensor::<2, Int>::from_data(TensorData::new(days, [batch, time]), device);
    Series::new(pixels, days, Tensor::<2, Bool>::from_data(TensorData::new(present, [batch, time]), device)).unwrap()
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn logits_have_the_sides_of_the_images_whatever_they_divide_by() {
    let device = Device::flex();
    for side in [SIDE, 7, 9] {
        for config in configs(side) {
            for dates in [1, 3, 4] {
                let network = config.init(&device).unwrap();
                let logits = network.forward(&series(2, dates, (0, 0.0), side, &device)).unwrap();
                assert_eq!(logits.dims(), [2, CLASSES, side, side], "{}", config.name());
                assert!(values(logits).iter().all(|value| value.is_finite()));
            }
        }
    }
}

#[test]
fn a_date_that_is_not_there_changes_nothing() {
    let device = Device::flex();
    for config in configs(SIDE) {
        let network = config.init(&device).unwrap();
        for dates in [1, 2, 3, 4] {
            let given = |padding| values(network.forward(&series(2, dates, padding, SIDE, &device)).unwrap());
            let alone = given((0, 0.0));
            for padding in [(1, 50.0), (3, -1e6), (6, f32::NAN)] {
                let apart = alone.iter().zip(given(padding)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(apart < 1e-4, "{}, {dates} dates and {padding:?}: {apart}", config.name());
            }
        }
        // One that is there does.
        let given = |dates| values(network.forward(&series(1, dates, (0, 0.0), SIDE, &device)).unwrap());
        let apart = given(2).iter().zip(given(3)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart > 1e-3, "{}: {apart}", config.name());
    }
}

/// Parameters that a gradient does not reach.
struct Unreached<'a>(&'a GradientsParams, Vec<Vec<usize>>);

impl ModuleVisitor for Unreached<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let reached = self.0.get::<D>(param.id).is_some_and(|gradient| {
            let values: Vec<f32> = gradient.into_data().iter::<f32>().collect();
            values.iter().all(|value| value.is_finite()) && values.iter().any(|value| *value != 0.0)
        });
        if !reached {
            self.1.push(param.val().dims().to_vec());
        }
    }
}

#[test]
fn gradients_reach_all_parameters() {
    let device = Device::flex().autodiff();
    for config in configs(SIDE) {
        let network = config.init(&device).unwrap();
        let logits = network.forward(&series(2, 3, (1, f32::NAN), SIDE, &device)).unwrap();
        // Weighted, for logits that are moved all alike would move no loss.
        let weights: Vec<f32> = (0..2 * CLASSES * SIDE * SIDE).map(noise).collect();
        let weights = Tensor::<4>::from_data(TensorData::new(weights, [2, CLASSES, SIDE, SIDE]), &device);
        let gradients = GradientsParams::from_grads((logits * weights).sum().backward(), &network);
        let mut unreached = Unreached(&gradients, Vec::new());
        network.visit(&mut unreached);
        assert!(unreached.1.is_empty(), "{}: {:?}", config.name(), unreached.1);
    }
}

/// Quarters of an image whose class is the date on which the first band is high; in each sample dates come with other days,
/// and the other bands are noise. Numbers of a pixel without their dates do not tell it.
fn seasons(batch: usize, from: usize, device: &Device) -> (Series, Vec<i64>) {
    let (mut pixels, mut classes) = (Vec::new(), Vec::new());
    let class = |sample: usize, place: usize| {
        let (row, column) = (place / SIDE / 4, place % SIDE / 4);
        (sample * 7 + row * 5 + column * (1 + sample % 2)) % CLASSES
    };
    for sample in from..from + batch {
        for at in 0..CLASSES * BANDS * SIDE * SIDE {
            let (date, band, place) = (at / (BANDS * SIDE * SIDE), at / (SIDE * SIDE) % BANDS, at % (SIDE * SIDE));
            let high = band == 0 && class(sample, place) == date;
            pixels.push(if high { 1.5 } else { 0.0 } + 0.5 * noise(sample * 100_003 + at));
        }
        classes.extend((0..SIDE * SIDE).map(|place| class(sample, place) as i64));
    }
    let days: Vec<i64> = (0..batch * CLASSES).map(|at| (20 + 120 * (at % CLASSES)) as i64).collect();
    let pixels = Tensor::from_data(TensorData::new(pixels, [batch, CLASSES, BANDS, SIDE, SIDE]), device);
    let days = Tensor::<2, Int>::from_data(TensorData::new(days, [batch, CLASSES]), device);
    let present = Tensor::<2, Int>::ones([batch, CLASSES], device).bool();
    (Series::new(pixels, days, present).unwrap(), classes)
}

#[test]
fn each_learns_when_a_band_is_high() {
    let device = Device::flex().autodiff();
    for config in configs(SIDE) {
        device.seed(5);
        let mut network = config.init(&device).unwrap();
        let mut optimiser = ModuleOptimizer::from(AdamWConfig::new().build());
        // More steps than are needed: first weights depend on what other tests drew from the device before.
        for step in 0..200 {
            let (series, classes) = seasons(8, step * 8 % 48, &device);
            let truth = Tensor::<3, Int>::from_data(TensorData::new(classes, [8, SIDE, SIDE]), &device);
            let told = log_softmax(network.forward(&series).unwrap(), 1).gather(1, truth.unsqueeze_dim::<4>(1));
            let gradients = GradientsParams::from_grads(told.mean().neg().backward(), &network);
            network = optimiser.step(3e-3, network, gradients);
        }
        let (series, classes) = seasons(16, 1000, &device);
        let given = network.forward(&series).unwrap().argmax(1).into_data();
        let right = given.iter::<i64>().zip(&classes).filter(|(a, b)| a == *b).count();
        let share = right as f64 / classes.len() as f64;
        assert!(share > 0.9, "{}: {share} of pixels not learned from", config.name());
    }
}

#[test]
fn sizes_and_shapes_that_make_no_network_are_told() {
    let device = Device::flex();
    let told = |config: NetworkConfig| config.init(&device).unwrap_err().to_string();
    let unet = UnetConfig::small(BANDS, CLASSES);
    assert_eq!(
        told(NetworkConfig::Unet(UnetConfig { width: 0, ..unet.clone() })),
        "U-Net: width is 0, expected 1 or more"
    );
    assert!(told(NetworkConfig::Unet(UnetConfig { levels: 30, ..unet })).contains("levels is 30"));
    assert!(told(NetworkConfig::Unet3d(Unet3dConfig { bands: 1, classes: 1, width: 1 })).contains("width is 1"));
    let tsvit = TsvitConfig::small(BANDS, CLASSES, SIDE);
    assert!(told(NetworkConfig::Tsvit(TsvitConfig { heads: 3, ..tsvit.clone() })).contains("128 for 3 heads"));
    let other = tsvit.init(&device).unwrap().forward(&series(1, 2, (0, 0.0), 10, &device));
    assert!(matches!(other, Err(BaselineError::Shape { .. })));
    let (pixels, days) = (Tensor::zeros([1, 2, 1, 4, 4], &device), Tensor::zeros([1, 3], &device));
    let fault = Series::new(pixels, days, Tensor::<2, Int>::ones([1, 2], &device).bool()).unwrap_err().to_string();
    assert_eq!(fault, "days: found [1, 3], expected [1, 2]");
}
