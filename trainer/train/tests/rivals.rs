//! A contest of all rivals on fields, and on fields whose class is a season.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;

use std::cell::Cell;

use fields::{config, offers, samples, seasons};
use skysense_contract::MlmContext;
use skysense_train::rivals::{Outcome, Rival, RivalsConfig, contest};
use skysense_train::{Augmentation, NoHooks, Sample, Start, TrainError, export, finetune};

fn run(samples: &[Sample], config: &RivalsConfig, classes: usize) -> Result<Outcome, TrainError> {
    let classes = fields::config(1).classes[..classes].to_vec();
    contest(samples, &offers(), (&classes, &[0]), config, &|_, _, _| true)
}

fn conditions(rivals: Vec<(&str, Rival)>) -> RivalsConfig {
    RivalsConfig {
        rivals: rivals.into_iter().map(|(name, rival)| (name.to_owned(), rival)).collect(),
        seeds: vec![1],
        shares: vec![1.0],
        steps: 60,
        block: 16,
        // A date tells a class here: none is left out.
        augmentation: Augmentation { dates: 1.0, ..Augmentation::default() },
        ..RivalsConfig::default()
    }
}

#[test]
fn all_learn_fields_on_regions_not_seen() {
    let rivals = vec![
        ("model", Rival::Model(vec![Start::Preset("tiny".into())])),
        ("unet", Rival::Unet),
        ("unet3d", Rival::Unet3d),
        ("tsvit", Rival::Tsvit),
        ("forest", Rival::Forest(20)),
        ("logistic", Rival::Logistic),
    ];
    let found = run(&samples(10), &conditions(rivals), 3).unwrap();
    for entry in &found.entries {
        let scores = &entry.shares[0].scores[0];
        // A third of the pixels is right by chance.
        assert!(scores.pixels >= 4 * 256 && scores.overall_accuracy > 0.8, "{}", found.table());
        assert!(entry.parameters > 5 && entry.chip_ms > 0.0, "{}", found.table());
        assert_eq!(entry.step_ms.is_some(), !["forest", "logistic"].contains(&entry.name.as_str()));
    }
    assert_eq!(found.table().lines().filter(|line| line.starts_with("| ")).count(), 2 + 6);
}

#[test]
fn numbers_over_all_dates_do_not_tell_a_season_and_a_network_that_sees_dates_learns_it() {
    let rivals = vec![("unet", Rival::Unet), ("forest", Rival::Forest(20)), ("logistic", Rival::Logistic)];
    let found = run(&seasons(10), &conditions(rivals), 3).unwrap();
    let scores = |entry: usize| &found.entries[entry].shares[0].scores[0];
    assert!(scores(0).overall_accuracy > 0.85, "{}", found.table());
    assert!(scores(1).kappa < 0.3 && scores(2).kappa < 0.3, "{}", found.table());
}

#[test]
fn a_trained_start_is_ahead_after_one_step_and_all_is_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("model");
    let trained = finetune(&samples(6), &offers(), &config(40), &mut NoHooks).unwrap();
    export(&trained, &package, &MlmContext::default()).unwrap();
    let rivals =
        vec![("pretrained", Rival::packages([package])), ("scratch", Rival::Model(vec![Start::Preset("tiny".into())]))];
    let conditions = RivalsConfig { steps: 1, shares: vec![0.1, 1.0], ..conditions(rivals) };
    let found = run(&samples(10), &conditions, 3).unwrap();
    for share in 0..2 {
        let accuracy = |entry: usize| found.entries[entry].shares[share].scores[0].overall_accuracy;
        assert!(accuracy(0) > accuracy(1) + 0.1, "{}", found.table());
    }
    let again = run(&samples(10), &conditions, 3).unwrap();
    for (one, other) in found.entries.iter().zip(&again.entries) {
        assert_eq!(one.shares, other.shares, "{}", one.name);
    }
}

#[test]
fn what_cannot_be_compared_is_told_and_a_contest_can_be_ended() {
    let forest = || vec![("forest", Rival::Forest(2))];
    let fault = |config: RivalsConfig| run(&samples(3), &config, 3).unwrap_err().to_string();
    assert!(fault(RivalsConfig { shares: vec![0.0], ..conditions(forest()) }).contains("shares is 0"));
    assert!(fault(RivalsConfig { seeds: vec![], ..conditions(forest()) }).contains("one or more of each"));
    assert!(fault(RivalsConfig { block: 1000, ..conditions(forest()) }).contains("1 of 1000 × 1000"));
    let two = Rival::packages(["a".into(), "b".into()]);
    assert!(fault(conditions(vec![("two", two)])).contains("2 for two"));
    let asked = Cell::new(0);
    let conditions = conditions(vec![("unet", Rival::Unet)]);
    let classes = config(1).classes;
    let ended = contest(&samples(3), &offers(), (&classes, &[0]), &conditions, &|_, _, _| {
        asked.set(asked.get() + 1);
        asked.get() < 4
    });
    assert!(matches!(ended, Err(TrainError::Cancelled { step: 2 })), "{ended:?}");
}
