//! Samples that wait in a file train to the same bits as those that are held.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;
#[path = "support/rectangles.rs"]
mod rectangles;

use std::path::Path;

use fields::{Stop, config, offers, samples, weights, with};
use skysense_contract::{Class, MlmContext, Package, Task};
use skysense_train::{
    EarlyStopping, FinetuneConfig, Labels, NoHooks, Sample, Samples, SpooledDetectionSamples, SpooledSamples,
    TrainError, export, export_detector, finetune, train_detector,
};

fn spooled(samples: &[Sample], folder: &Path) -> SpooledSamples {
    let mut spooled = SpooledSamples::new(folder).unwrap();
    samples.iter().for_each(|sample| spooled.push(sample.clone()).unwrap());
    spooled
}

/// Files of two packages are the same, byte by byte.
fn same(a: &Package, b: &Package) {
    for file in std::fs::read_dir(a.folder()).unwrap() {
        let name = file.unwrap().file_name();
        let read = |package: &Package| std::fs::read(package.folder().join(&name)).unwrap();
        assert!(read(a) == read(b), "{name:?} differs");
    }
}

/// Trains both ways, and tells the packages and scores apart.
fn trained_alike(held: &[Sample], config: &FinetuneConfig) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let spooled = spooled(held, &at("spool"));
    let of_held = finetune(held, &offers(), config, &mut NoHooks).unwrap();
    let of_spooled = finetune(&spooled, &offers(), config, &mut NoHooks).unwrap();
    assert_eq!(of_spooled.losses, of_held.losses);
    let scores = |trained: &skysense_train::Trained| format!("{:?} {:?}", trained.training, trained.validation);
    assert_eq!(scores(&of_spooled), scores(&of_held));
    let context = MlmContext::default();
    let of_held = export(&of_held, &at("held"), &context).unwrap();
    same(&of_held, &export(&of_spooled, &at("spooled"), &context).unwrap());
    drop(spooled);
    assert_eq!(std::fs::read_dir(at("spool")).unwrap().count(), 0, "files stay");
}

#[test]
fn classes_are_learned_to_the_same_bits() {
    let mut samples = samples(5);
    // Not all pixels are whole numbers, and one sample shows nothing at all.
    samples[1].series.values_mut().for_each(|series| series.pixels[3] += 0.25);
    samples[4].series.values_mut().for_each(|series| series.valid.fill(0));
    let stopping = Some(EarlyStopping { every: 2, patience: 9 });
    trained_alike(&samples, &with(config(6), |c| (c.early_stopping, c.calibrate) = (stopping, true)));
}

#[test]
fn numbers_and_change_are_learned_to_the_same_bits() {
    let mut values = samples(4);
    for sample in &mut values {
        sample.labels = Labels::Values(sample.labels.classes().iter().map(|class| f32::from(*class) * 1.5).collect());
    }
    trained_alike(&values, &with(config(3), |c| (c.task, c.classes) = (Task::Regression, Vec::new())));
    let mut pairs = samples(4);
    let earlier = samples(5).split_off(1);
    pairs.iter_mut().zip(earlier).for_each(|(now, then)| now.before = then.series);
    let class = |value: u8| Class { value, name: value.to_string(), color: "00ff00".into() };
    let config = with(config(3), |c| (c.task, c.classes) = (Task::Change, (1..=3).map(class).collect()));
    trained_alike(&pairs, &config);
}

#[test]
fn a_run_that_was_killed_goes_on_whether_samples_are_held_or_spooled() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (held, context) = (samples(3), MlmContext::default());
    let spooled = spooled(&held, &at("spool"));
    let whole = finetune(&held, &offers(), &config(8), &mut NoHooks).unwrap();
    let whole = weights(&export(&whole, &at("whole"), &context).unwrap());
    let checkpointed = |name: &str| with(config(8), |c| c.recipe.checkpoint = Some(at(name)));
    let stop = || Stop { at: 5, step: 0 };
    // From a file to memory, and from memory to a file.
    let first = finetune(&spooled, &offers(), &checkpointed("first"), &mut stop());
    assert!(matches!(first.unwrap_err(), TrainError::Cancelled { step: 5 }));
    let first = finetune(&held, &offers(), &checkpointed("first"), &mut NoHooks).unwrap();
    let second = finetune(&held, &offers(), &checkpointed("second"), &mut stop());
    assert!(matches!(second.unwrap_err(), TrainError::Cancelled { step: 5 }));
    let second = finetune(&spooled, &offers(), &checkpointed("second"), &mut NoHooks).unwrap();
    for (name, resumed) in [("resumed", first), ("again", second)] {
        assert_eq!(resumed.losses.len(), 8);
        assert!(weights(&export(&resumed, &at(name), &context).unwrap()) == whole, "{name}");
    }
    // Other samples are another run.
    let mut other = self::spooled(&held[..2], &at("spool"));
    let mut last = held[2].clone();
    last.series.values_mut().for_each(|series| series.pixels[0] += 1.0);
    other.push(last).unwrap();
    let refused = finetune(&other, &offers(), &checkpointed("first"), &mut NoHooks).unwrap_err().to_string();
    assert!(refused.contains("other settings or samples"), "{refused}");
}

#[test]
fn what_is_wrong_with_a_spooled_sample_is_said_and_a_cancelled_run_ends_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = samples(2);
    wrong[1].labels = vec![77; fields::SIZE * fields::SIZE].into();
    let wrong = spooled(&wrong, folder.path());
    let told = finetune(&wrong, &offers(), &config(1), &mut NoHooks).unwrap_err().to_string();
    assert!(told.contains("sample 1: label 77"), "{told}");
    // Before it looks at that sample.
    let cancelled = finetune(&wrong, &offers(), &config(1), &mut Stop { at: 0, step: 0 }).unwrap_err();
    assert!(matches!(cancelled, TrainError::Cancelled { step: 0 }), "{cancelled}");
    assert_eq!(wrong.count(), 2);
}

#[test]
fn objects_are_learned_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (held, config) = (rectangles::samples(6, true), rectangles::config(3, true));
    let mut spooled = SpooledDetectionSamples::new(&at("spool")).unwrap();
    held.iter().for_each(|sample| spooled.push(sample.clone()).unwrap());
    let of_held = train_detector(&held, &rectangles::offers(), &config, &mut NoHooks).unwrap();
    let of_spooled = train_detector(&spooled, &rectangles::offers(), &config, &mut NoHooks).unwrap();
    assert_eq!(of_spooled.losses, of_held.losses);
    assert_eq!(format!("{:?}", of_spooled.training), format!("{:?}", of_held.training));
    let context = MlmContext::default();
    let of_held = export_detector(&of_held, &at("held"), &context).unwrap();
    same(&of_held, &export_detector(&of_spooled, &at("spooled"), &context).unwrap());
    drop(spooled);
    assert_eq!(std::fs::read_dir(at("spool")).unwrap().count(), 0, "files stay");
}
