//! Chips with bright rectangles on a dark, uneven ground, and where they are.

use std::collections::BTreeMap;

use skysense_contract::{Class, Dtype, Modality, Offer, Unit};
use skysense_train::{DetectConfig, DetectionObject, DetectionSample, RotatedBox, Sample, SampleSeries};

/// Side of a chip in pixels.
pub(crate) const SIDE: usize = 128;

/// What the chips hold.
pub(crate) fn offers() -> BTreeMap<Modality, Offer> {
    let bands = ["red", "green", "blue"].map(String::from).to_vec();
    BTreeMap::from([(
        Modality::Hr,
        Offer { bands, unit: Unit::Byte, dtype: Dtype::U8, dates: 1, size: SIDE, scale: 32 },
    )])
}

/// Settings for so many steps on chips of one class that is blue and one that is white.
pub(crate) fn config(steps: usize, rotated: bool) -> DetectConfig {
    let class = |value: u8, name: &str| Class { value, name: name.into(), color: "00ff00".into() };
    let mut config = DetectConfig::new("rectangles", vec![class(1, "white"), class(2, "blue")], rotated);
    config.recipe.steps = steps;
    config.recipe.batch = 4;
    config.recipe.learning_rate = 2e-3;
    config.recipe.validation = 0.25;
    // A block holds one chip of four pixels.
    config.recipe.block = 4;
    config
}

/// So many chips; the same number is the same chip.
pub(crate) fn samples(count: usize, rotated: bool) -> Vec<DetectionSample> {
    (0..count).map(|index| sample(index, rotated)).collect()
}

fn sample(index: usize, rotated: bool) -> DetectionSample {
    let mut state = index as u64 * 7919 + 13;
    let mut draw = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let objects: Vec<DetectionObject> = (0..3)
        .map(|place| {
            let centre = [[34.0, 34.0], [92.0, 40.0], [60.0, 94.0]][place].map(|at: f32| at + 8.0 * (draw() - 0.5));
            let size = [34.0 + 8.0 * draw(), 16.0 + 4.0 * draw()];
            let angle = if rotated { 3.0 * (draw() - 0.5) } else { [0.0, std::f32::consts::FRAC_PI_2][place % 2] };
            let area = RotatedBox { centre, size, angle };
            let area = if rotated { area } else { RotatedBox::upright_around(&area.corners()) };
            DetectionObject { area, class: (index + place) % 2, ignored: false }
        })
        .collect();
    let mut pixels = vec![0.0; 3 * SIDE * SIDE];
    for row in 0..SIDE {
        for column in 0..SIDE {
            let ground = 60.0 + 25.0 * draw() + 20.0 * ((row as f32 / 9.0).sin() * (column as f32 / 13.0).cos());
            let inside = objects.iter().find(|object| {
                let (x, y) = (column as f32 + 0.5 - object.area.centre[0], row as f32 + 0.5 - object.area.centre[1]);
                let (sin, cos) = object.area.angle.sin_cos();
                let (along, across) = (x * cos + y * sin, y * cos - x * sin);
                along.abs() < object.area.size[0] / 2.0 && across.abs() < object.area.size[1] / 2.0
            });
            let color = match inside {
                Some(object) if object.class == 0 => [235.0, 235.0, 230.0],
                Some(_) => [60.0, 90.0, 210.0],
                None => [ground, ground + 10.0, ground - 10.0],
            };
            color
                .iter()
                .enumerate()
                .for_each(|(band, value)| pixels[(band * SIDE + row) * SIDE + column] = value.round());
        }
    }
    let series = SampleSeries { pixels, valid: vec![1; SIDE * SIDE], datetimes: vec![0] };
    let image = Sample {
        series: BTreeMap::from([(Modality::Hr, series)]),
        origin: [4 * (index % 4) as i64, 4 * (index / 4) as i64],
        ..Sample::default()
    };
    DetectionSample { image, objects }
}
