//! Confidence intervals against SciPy, and whether they hold what they say.

use skysense_metric::{Blocks, Bootstrap, Confusion, Regression};

use super::{cases, floats, same, wholes};

#[test]
fn the_same_ends_up_to_chance() {
    for (at, case) in cases("bootstrap.json", 6).iter().enumerate() {
        let blocks: Vec<Confusion> = wholes(&case["right"])
            .iter()
            .zip(wholes(&case["size"]))
            .map(|(right, size)| {
                let mut block = Confusion::new(2);
                (0..size).for_each(|pixel| block.add(0, usize::from(pixel >= *right)));
                block
            })
            .collect();
        let bootstrap = Bootstrap { replicates: 20_000, ..Bootstrap::default() };
        let found = bootstrap.interval(&blocks, Confusion::overall_accuracy).unwrap().unwrap();
        same(Some(found.estimate), &case["estimate"], &format!("case {at}"));
        let expected = floats(&case["interval"]);
        // Both are drawn by chance: ends of so many replicates are sharp to some hundredths of the width.
        let width = expected[1] - expected[0];
        let apart = [(found.lower - expected[0]) / width, (found.upper - expected[1]) / width];
        assert!(apart.iter().all(|apart| apart.abs() < 0.03), "case {at}: {found:?}, expected {expected:?}");
    }
}

/// Numbers that look normal, the same on every machine.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    move || (0..12).map(|_| uniform()).sum::<f64>() - 6.0
}

/// Errors of a map in which neighbours err together: a part of each error is shared by a block of 100 pixels.
fn map(seed: u64, side: f64) -> Blocks<Regression> {
    let mut number = numbers(seed);
    let mut blocks = Blocks::new(side, Regression::default()).unwrap();
    for place in 0..60 {
        let shared = number();
        for pixel in 0..100 {
            let error = shared + 0.5 * number();
            let at = [f64::from(place) * 10.0 + f64::from(pixel % 10) + 0.5, f64::from(pixel / 10) + 0.5];
            blocks.at(at).unwrap().add(&[0.0], &[error]).unwrap();
        }
    }
    blocks
}

#[test]
fn whole_blocks_hold_the_truth_as_often_as_they_say_and_single_pixels_do_not() {
    let bias = |sum: &Regression| sum.scores().map(|scores| scores.bias);
    let maps = 150;
    let held = |side: f64, replicates: usize, maps: u64| {
        let held = (0..maps).filter(|seed| {
            let bootstrap = Bootstrap { replicates, seed: *seed, ..Bootstrap::default() };
            let interval = map(*seed, side).interval(bootstrap, bias).unwrap().unwrap();
            interval.lower <= 0.0 && 0.0 <= interval.upper
        });
        held.count() as f64 / maps as f64
    };
    let whole = held(10.0, 300, maps);
    assert!((0.89..=0.985).contains(&whole), "95 % intervals hold the truth in {whole} of the maps");
    let pixels = held(1.0, 60, 40);
    assert!(pixels < 0.5, "intervals of single pixels hold the truth in {pixels} of the maps");
}

/// Two models of the same places: their difference is sharper than either of them.
#[test]
fn models_are_compared_on_the_same_draws() {
    let mut number = numbers(5);
    let blocks: Vec<(Regression, Regression)> = (0..40)
        .map(|_| {
            let place = 3.0 * number();
            let mut pair = (Regression::default(), Regression::default());
            pair.0.add(&[0.0], &[place + 0.1 * number()]).unwrap();
            pair.1.add(&[0.0], &[place + 0.5 + 0.1 * number()]).unwrap();
            pair
        })
        .collect();
    let bias = |sum: &Regression| sum.scores().map(|scores| scores.bias);
    let bootstrap = Bootstrap::default();
    let one = bootstrap.interval(&blocks, |pair| bias(&pair.0)).unwrap().unwrap();
    let apart = bootstrap.interval(&blocks, |pair| Some(bias(&pair.1)? - bias(&pair.0)?)).unwrap().unwrap();
    assert!(apart.lower > 0.4 && apart.upper < 0.6, "{apart:?}");
    assert!(one.upper - one.lower > 1.0, "{one:?}");
}
