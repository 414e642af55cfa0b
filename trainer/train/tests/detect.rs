//! Detectors on chips with rectangles: they learn where these are, repeat, and go on after a kill.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/rectangles.rs"]
mod rectangles;

use rectangles::{config, offers, samples};
use skysense_contract::{MlmContext, Package};
use skysense_train::{
    DetectConfig, Hooks, NoHooks, Progress, Start, TrainError, check_weights, export_detector, planned_detector,
    train_detector,
};

struct Stop(usize, usize);

impl Hooks for Stop {
    fn progress(&mut self, progress: &Progress) {
        self.1 = progress.step;
    }

    fn cancelled(&self) -> bool {
        self.1 >= self.0
    }
}

fn weights(package: &Package) -> Vec<u8> {
    std::fs::read(package.weights()).unwrap()
}

#[test]
fn upright_and_rotated_objects_are_found() {
    for (rotated, steps) in [(false, 60), (true, 90)] {
        let trained = train_detector(&samples(16, rotated), &offers(), &config(steps, rotated), &mut NoHooks).unwrap();
        let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
        let (first, last) = (mean(&trained.losses[..5]), mean(&trained.losses[steps - 5..]));
        assert!(last < first / 2.0, "rotated {rotated}: the loss went from {first} to {last}");
        eprintln!(
            "rotated {rotated}: {first} to {last}, {:?} {:?}, {} s",
            trained.training, trained.validation, trained.seconds
        );
        let (training, validation) = (&trained.training, trained.validation.as_ref().unwrap());
        assert!(training.map50.unwrap() > 0.8, "rotated {rotated}: {training:?}");
        assert!(validation.map50.unwrap() > 0.6, "rotated {rotated}: {validation:?}");
        assert!(validation.images >= 2 && validation.objects == 3 * validation.images, "{validation:?}");
        assert!(trained.training.dota_area.unwrap() > 0.8, "{training:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_package_and_a_killed_run_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (samples, context) = (samples(6, true), MlmContext::default());
    let whole = train_detector(&samples, &offers(), &config(6, true), &mut NoHooks).unwrap();
    let whole = export_detector(&whole, &at("whole"), &context).unwrap();
    whole.verify().unwrap();
    let check = check_weights(&whole).unwrap();
    assert!(check.problems.is_empty(), "{check:?}");
    let planned = planned_detector(&offers(), &config(6, true)).unwrap();
    assert_eq!((&planned.head, planned.channels), (&whole.contract().head, whole.contract().channels));
    // On another number of threads: the bytes do not depend on it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = pool.install(|| train_detector(&samples, &offers(), &config(6, true), &mut NoHooks)).unwrap();
    let again = export_detector(&again, &at("again"), &context).unwrap();
    for file in std::fs::read_dir(whole.folder()).unwrap() {
        let name = file.unwrap().file_name();
        let read = |package: &Package| std::fs::read(package.folder().join(&name)).unwrap();
        assert!(read(&whole) == read(&again), "{name:?} differs");
    }
    let mut checkpointed = config(6, true);
    checkpointed.recipe.checkpoint = Some(at("checkpoints"));
    let stopped = train_detector(&samples, &offers(), &checkpointed, &mut Stop(3, 0));
    assert!(matches!(stopped.unwrap_err(), TrainError::Cancelled { step: 3 }));
    let resumed = train_detector(&samples, &offers(), &checkpointed, &mut NoHooks).unwrap();
    assert_eq!(resumed.losses.len(), 6);
    assert!(weights(&export_detector(&resumed, &at("resumed"), &context).unwrap()) == weights(&whole), "resumed");

    // A detector goes on from its own package, here with an encoder that stays.
    let mut further: DetectConfig = config(2, true);
    (further.recipe.start, further.frozen) = (Start::Package(whole.folder().to_path_buf()), true);
    let further = train_detector(&samples, &offers(), &further, &mut NoHooks).unwrap();
    let further = export_detector(&further, &at("further"), &context).unwrap();
    let (a, b) = (weights(&whole), weights(&further));
    let (a, b) =
        (safetensors::SafeTensors::deserialize(&a).unwrap(), safetensors::SafeTensors::deserialize(&b).unwrap());
    let changed: Vec<&str> =
        a.iter().filter(|(name, view)| view.data() != b.tensor(name).unwrap().data()).map(|(name, _)| name).collect();
    assert!(!changed.is_empty() && changed.iter().all(|name| !name.starts_with("backbone_hr.")), "{changed:?}");
}

#[test]
fn what_cannot_be_trained_is_said() {
    let fault = |samples: &[skysense_train::DetectionSample]| {
        train_detector(samples, &offers(), &config(1, false), &mut NoHooks).unwrap_err().to_string()
    };
    let mut empty = samples(2, false);
    empty.iter_mut().for_each(|sample| sample.objects.clear());
    assert!(fault(&empty).contains("none that trains has an object"));
    let mut wrong = samples(2, false);
    wrong[0].objects[0].class = 9;
    assert!(fault(&wrong).contains("sample 0: an object has the class 9"));
    let mut other = offers();
    let s2 = other.remove(&skysense_contract::Modality::Hr).unwrap();
    other.insert(skysense_contract::Modality::S2, skysense_contract::Offer { size: 4, ..s2 });
    let error = planned_detector(&other, &config(1, false)).unwrap_err().to_string();
    assert!(error.contains("high-resolution"), "{error}");
}
