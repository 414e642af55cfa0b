//! What a probe says of features: of a pixel's own values, of random weights, and of a trained model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;

use std::collections::BTreeMap;

use fields::{SIZE, config, offers, samples, seasons};
use skysense_contract::{MlmContext, Modality};
use skysense_train::probe::{Probe, ProbeConfig, Rival, compare};
use skysense_train::{NoHooks, Sample, Start, export, finetune};

const SEEDS: [u64; 2] = [1, 2];

fn probe(samples: Vec<Sample>, side: usize) -> Probe {
    let mut offers = offers();
    offers.get_mut(&Modality::S2).unwrap().size = side;
    let settings = ProbeConfig { block: 8, ..ProbeConfig::default() };
    Probe::new(samples, offers, (config(1).classes, vec![0]), settings).unwrap()
}

/// The four quarters of each sample: other chips of the same ground.
fn quarters(samples: &[Sample]) -> Vec<Sample> {
    let half = SIZE / 2;
    let cut = |sample: &Sample, left: usize, top: usize| {
        let inside = |at: &usize| {
            let (x, y) = (at % SIZE, at / SIZE % SIZE);
            (left..left + half).contains(&x) && (top..top + half).contains(&y)
        };
        let mut series = sample.series[&Modality::S2].clone();
        series.pixels = (0..series.pixels.len()).filter(inside).map(|at| series.pixels[at]).collect();
        series.valid = (0..series.valid.len()).filter(inside).map(|at| series.valid[at]).collect();
        Sample {
            series: BTreeMap::from([(Modality::S2, series)]),
            labels: (0..SIZE * SIZE).filter(inside).map(|at| sample.labels.classes()[at]).collect::<Vec<u8>>().into(),
            origin: [sample.origin[0] + left as i64, sample.origin[1] + top as i64],
            centre: sample.centre,
            ..Sample::default()
        }
    };
    let places = [(0, 0), (half, 0), (0, half), (half, half)];
    samples.iter().flat_map(|sample| places.map(|(left, top)| cut(sample, left, top))).collect()
}

#[test]
fn a_trained_model_is_told_from_random_weights_on_regions_not_seen_and_chips_of_another_size() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("model");
    let trained = finetune(&seasons(6), &offers(), &config(60), &mut NoHooks).unwrap();
    export(&trained, &package, &MlmContext::default()).unwrap();
    let rivals = [
        ("trained".to_owned(), Rival::Packages(vec![package.clone()])),
        ("random".to_owned(), Rival::Random(Start::Package(package.clone()))),
        ("statistics".to_owned(), Rival::Statistics),
    ];
    for (samples, side) in [(seasons(6), SIZE), (quarters(&seasons(6)), SIZE / 2)] {
        let probe = probe(samples, side);
        let found = compare(&probe, &rivals, &SEEDS, |_, _| true).unwrap();
        for rival in &found.entries[1..] {
            let nearest = found.entries[0].over(rival, |scores| scores.nearest.overall_accuracy);
            assert_eq!(nearest.better, SEEDS.len(), "{}", found.table());
        }
        assert!(found.entries[2].scores.iter().all(|scores| scores.linear.kappa < 0.3), "{}", found.table());
        assert_ne!(found.entries[1].scores[0], found.entries[1].scores[1], "other weights, other regions");
        assert_eq!(found, compare(&probe, &rivals, &SEEDS, |_, _| true).unwrap());
        let table = found.table();
        assert!(table.contains("trained over random") && table.contains("better 2 of 2"), "{table}");
    }
}

#[test]
fn pixels_under_two_chips_count_once_and_all_are_of_the_most_asked_for() {
    let twice: Vec<Sample> = samples(3).into_iter().chain(samples(3)).collect();
    assert_eq!(probe(twice, SIZE).pixels(), 3 * SIZE * SIZE);
    let settings = ProbeConfig { block: 8, pixels: 100, ..ProbeConfig::default() };
    let few = Probe::new(samples(3), offers(), (config(1).classes, Vec::new()), settings).unwrap();
    assert!((80..=100).contains(&few.pixels()), "{}", few.pixels());
    assert_eq!(few.statistics().count(), few.pixels());
}

#[test]
fn what_cannot_be_probed_is_told() {
    let whole = ProbeConfig { block: 1000, ..ProbeConfig::default() };
    let fault = Probe::new(samples(2), offers(), (config(1).classes, Vec::new()), whole).unwrap_err().to_string();
    assert!(fault.contains("3 classes in 1 regions of 1000"), "{fault}");
    let probe = probe(samples(2), SIZE);
    let three = Rival::Packages(vec!["a".into(), "b".into(), "c".into()]);
    let fault = compare(&probe, &[("m".into(), three)], &SEEDS, |_, _| true).unwrap_err().to_string();
    assert!(fault.contains("3 packages") && fault.contains("2 seeds"), "{fault}");
    let stopped = compare(&probe, &[("s".into(), Rival::Statistics)], &SEEDS, |_, seed| seed == 1).unwrap_err();
    assert!(stopped.to_string().contains("cancelled"), "{stopped}");
    let unknown = Rival::Random(Start::Preset("giant".into()));
    let fault = compare(&probe, &[("r".into(), unknown)], &SEEDS, |_, _| true).unwrap_err().to_string();
    assert!(fault.contains("giant"), "{fault}");
}
