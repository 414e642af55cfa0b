//! Distillation on a small synthetic problem: a student learns its teacher's features, repeats, goes on after a kill, and
//! becomes a package that fine-tuning starts from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fields::{SIZE, Stop, config, offers, samples, weights, with};
use skysense_contract::{Dtype, MlmContext, Modality, Offer, Package, Unit, sha256_file};
use skysense_train::{
    Checkpointing, DistillConfig, Distilled, NoHooks, Sample, SampleSeries, Start, TrainError, TrainingPrecision,
    distill, export, export_student, finetune, planned_student,
};

/// A radar series beside the optical one: a level for each crop, and noise.
fn with_radar(mut samples: Vec<Sample>) -> Vec<Sample> {
    for (index, sample) in samples.iter_mut().enumerate() {
        let level = |place: usize| f32::from(sample.labels.classes()[place % (SIZE * SIZE)]) * 3.0 - 18.0;
        let noise = |place: usize| ((place * 31 + index * 17) % 7) as f32 * 0.2;
        let pixels = (0..2 * SIZE * SIZE).map(|place| level(place) + noise(place)).collect();
        let series = SampleSeries { pixels, valid: vec![1; 2 * SIZE * SIZE], datetimes: vec![0, 86_400_000 * 200] };
        sample.series.insert(Modality::S1, series);
    }
    samples
}

fn with_radar_offered() -> BTreeMap<Modality, Offer> {
    let offer =
        Offer { bands: vec!["VV".into()], unit: Unit::Decibel, dtype: Dtype::F32, dates: 2, size: SIZE, scale: 1 };
    let mut offers = offers();
    offers.insert(Modality::S1, offer);
    offers
}

/// A teacher of preset `small`, wider and deeper than the students, that looked at its fields for a few steps.
fn teacher() -> &'static Path {
    static TEACHER: OnceLock<PathBuf> = OnceLock::new();
    TEACHER.get_or_init(|| {
        let folder = scratch("teacher");
        let config = with(config(6), |c| {
            (c.recipe.start, c.licence) = (Start::Preset("small".into()), "CC-BY-4.0".into());
        });
        let trained = finetune(&with_radar(samples(3)), &with_radar_offered(), &config, &mut NoHooks).unwrap();
        export(&trained, &folder, &MlmContext::default()).unwrap();
        folder
    })
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("distill").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

fn lesson(steps: usize) -> DistillConfig {
    let mut config = DistillConfig::new("student", teacher());
    (config.recipe.steps, config.recipe.batch, config.recipe.block, config.recipe.every, config.recipe.validation) =
        (steps, 3, 8, 2, 0.2);
    config
}

fn taught(config: &DistillConfig) -> Distilled {
    distill(&samples(4), &offers(), config, &mut NoHooks).unwrap()
}

#[test]
fn parts_of_a_step_teach_alike() {
    // With radar and without in one batch: some parts lack the modality of a level.
    let mut mixed = with_radar(samples(4));
    mixed[1].series.remove(&Modality::S1);
    let run = |parts| {
        let config = with(lesson(6), |c| c.recipe.parts = parts);
        distill(&mixed, &with_radar_offered(), &config, &mut NoHooks).unwrap().losses
    };
    let whole = run(1);
    for parts in [2, 3] {
        let losses = run(parts);
        assert!((losses[0] - whole[0]).abs() <= 1e-5 * whole[0], "{losses:?} against {whole:?}");
        assert!(whole.iter().zip(&losses).all(|(a, b)| (a - b).abs() <= 1e-3 * a), "{losses:?} against {whole:?}");
    }
}

#[test]
fn a_student_learns_what_the_teacher_gives_where_it_was_not_taught() {
    let student = taught(&lesson(80));
    let levels: Vec<&str> = student.held_out.keys().map(String::as_str).collect();
    assert_eq!(levels, ["fused", "s2"], "{:?}", student.held_out);
    for (level, after) in &student.held_out {
        let before = &student.before[level];
        assert_eq!(before.positions, after.positions);
        assert!(after.positions > 0 && before.standardised < 0.2, "{level}: {before:?}");
        assert!(after.standardised > before.standardised + 0.4, "{level}: {before:?} became {after:?}");
        assert!(after.cosine > after.constant, "{level}: no better than a constant: {after:?}");
    }
    let (first, last) = (student.losses[0], student.losses[79]);
    assert!(last < first * 0.6, "loss went from {first} to {last}");
}

#[test]
fn the_same_seed_gives_the_same_package_and_so_do_a_killed_run_and_one_that_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |student: &Distilled, name: &str| {
        export_student(student, &folder.path().join(name), &MlmContext::default()).unwrap()
    };
    let whole = write(&taught(&lesson(5)), "whole");
    let again = write(&taught(&lesson(5)), "again");
    for file in std::fs::read_dir(whole.folder()).unwrap() {
        let name = file.unwrap().file_name();
        let read = |package: &Package| std::fs::read(package.folder().join(&name)).unwrap();
        assert!(read(&whole) == read(&again), "{name:?} differs");
    }
    let other = taught(&with(lesson(5), |c| c.recipe.seed = 1));
    assert!(weights(&write(&other, "other")) != weights(&whole), "another seed");

    let checkpointed = with(lesson(5), |c| c.recipe.checkpoint = Some(folder.path().join("checkpoints")));
    let stopped = distill(&samples(4), &offers(), &checkpointed, &mut Stop { at: 3, step: 0 });
    assert!(matches!(stopped.unwrap_err(), TrainError::Cancelled { step: 3 }));
    // Nothing held: the teacher is asked anew at every step, and answers the same.
    let resumed = taught(&DistillConfig { hold: 0, ..checkpointed.clone() });
    assert_eq!(resumed.losses.len(), 5);
    assert!(weights(&write(&resumed, "resumed")) == weights(&whole), "resumed");
    let elsewhere = DistillConfig { encoders: 0.0, ..checkpointed };
    let refused = distill(&samples(4), &offers(), &elsewhere, &mut NoHooks).unwrap_err().to_string();
    assert!(refused.contains("other settings or samples"), "{refused}");
}

#[test]
fn blocks_give_the_same_student_and_16_bits_nearly() {
    let losses = |precision, checkpointing| {
        taught(&with(lesson(4), |c| (c.compute.precision, c.compute.checkpointing) = (precision, checkpointing))).losses
    };
    let plain = losses(TrainingPrecision::F32, Checkpointing::Off);
    for (precision, checkpointing, bound) in [
        (TrainingPrecision::F32, Checkpointing::Blocks, 1e-3),
        (TrainingPrecision::Bf16, Checkpointing::Blocks, 0.1),
        // Its first steps may be left out while the scale of the loss comes down.
        (TrainingPrecision::F16, Checkpointing::Off, 0.3),
    ] {
        let found = losses(precision, checkpointing);
        if precision != TrainingPrecision::F32 {
            assert_ne!(found, plain, "{precision:?} is computed in another way");
        }
        for (found, plain) in found.iter().zip(&plain) {
            assert!(
                (found - plain).abs() < bound * plain,
                "{precision:?} {checkpointing:?}: {found}, expected {plain}"
            );
        }
    }
}

#[test]
fn a_student_names_its_teacher_and_fine_tuning_starts_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let student = taught(&lesson(4));
    let package = export_student(&student, &folder.path().join("student"), &MlmContext::default()).unwrap();
    package.verify().unwrap();
    let contract = package.contract();
    assert!(contract.head.is_none());
    assert_eq!((contract.preset.as_str(), contract.licence.as_str()), ("tiny", "CC-BY-4.0"), "the teacher's licence");
    let note = &contract.notes["distilled"];
    let sum = sha256_file(&Package::open(teacher()).unwrap().weights()).unwrap();
    assert_eq!((note["teacher"].as_str(), note["teacher_weights_sha256"].as_str()), (Some("synthetic"), Some(&*sum)));
    assert_eq!(note["held_out"]["fused"]["cosine"], student.held_out["fused"].cosine);
    let text = std::fs::read_to_string(package.folder().join("model.yaml")).unwrap();
    assert!(!text.contains(&*teacher().to_string_lossy()), "where the teacher lay is nobody's business");
    let names = weights(&package);
    let names = safetensors::SafeTensors::deserialize(&names).unwrap();
    let theirs = names.names().into_iter().filter(|name| name.starts_with("projections") || name.starts_with("head."));
    assert_eq!(theirs.count(), 0, "neither projections nor a head are the student's");

    let start = Start::Package(package.folder().to_path_buf());
    let frozen = with(config(2), |c| (c.recipe.start, c.frozen) = (start, true));
    let tuned = finetune(&samples(4), &offers(), &frozen, &mut NoHooks).unwrap();
    let tuned = export(&tuned, &folder.path().join("tuned"), &MlmContext::default()).unwrap();
    let tuned = weights(&tuned);
    let tuned = safetensors::SafeTensors::deserialize(&tuned).unwrap();
    for (name, view) in names.iter() {
        assert!(tuned.tensor(name).unwrap().data() == view.data(), "{name} is not the student's");
    }
}

#[test]
fn a_student_may_see_less_than_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let config = DistillConfig { modalities: Some(vec![Modality::S1]), ..lesson(40) };
    let student = distill(&with_radar(samples(4)), &with_radar_offered(), &config, &mut NoHooks).unwrap();
    let levels: Vec<&str> = student.held_out.keys().map(String::as_str).collect();
    assert_eq!(levels, ["fused", "s1"]);
    let (before, after) = (student.before["fused"], student.held_out["fused"]);
    assert!(after.standardised > before.standardised + 0.2, "{before:?} became {after:?}");
    let package = export_student(&student, &folder.path().join("radar"), &MlmContext::default()).unwrap();
    assert_eq!(package.contract().modalities.keys().copied().collect::<Vec<_>>(), [Modality::S1]);
}

#[test]
fn what_does_not_fit_is_named() {
    let told = |offers: &BTreeMap<Modality, Offer>, config: &DistillConfig| {
        planned_student(offers, config).unwrap_err().to_string()
    };
    let change = |change: &dyn Fn(&mut Offer)| {
        let mut offers = offers();
        change(offers.get_mut(&Modality::S2).unwrap());
        offers
    };
    let lacking = told(&change(&|offer| drop(offer.bands.remove(1))), &lesson(1));
    assert!(lacking.contains("model synthetic") && lacking.contains("s2 lacks band B08"), "{lacking}");
    let wide = told(&change(&|offer| offer.size = 32), &lesson(1));
    assert!(wide.contains("32 pixels wide"), "{wide}");
    let mut offers_hr = offers();
    let hr =
        Offer { bands: vec!["red".into()], unit: Unit::Byte, dtype: Dtype::U8, dates: 1, size: 32 * SIZE, scale: 32 };
    offers_hr.insert(Modality::Hr, hr);
    let unknown = told(&offers_hr, &lesson(1));
    assert!(unknown.contains("it takes no hr, only s2, s1"), "{unknown}");
    let unseen = told(&offers(), &DistillConfig { modalities: Some(vec![Modality::S1]), ..lesson(1) });
    assert!(unseen.contains("modalities is s1") && unseen.contains("what the chips have: s2"), "{unseen}");
    let missing = told(&offers(), &DistillConfig { teacher: "no/teacher".into(), ..lesson(1) });
    assert!(missing.contains("no/teacher/model.yaml"), "{missing}");
    let preset = told(&offers(), &with(lesson(1), |c| c.recipe.start = Start::Preset("huge".into())));
    assert!(preset.contains("no preset is named \"huge\""), "{preset}");
    let negative = told(&offers(), &DistillConfig { encoders: -1.0, ..lesson(1) });
    assert!(negative.contains("encoders is -1"), "{negative}");

    let mut blank = samples(2);
    for series in blank.iter_mut().flat_map(|sample| sample.series.values_mut()) {
        series.valid.fill(0);
    }
    let nothing = distill(&blank, &offers(), &lesson(1), &mut NoHooks).unwrap_err();
    assert!(matches!(nothing, TrainError::NoPixels { samples: 2, .. }), "{nothing}");
}
