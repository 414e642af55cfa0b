//! Each task on a small synthetic problem whose truth is known: it learns, its scores say so on blocks that were not
//! learned from, and what it writes is a package that goes on learning.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;
#[path = "tasks/pixels.rs"]
mod pixels;
#[path = "support/rectangles.rs"]
#[allow(dead_code, reason = "objects are learned elsewhere")]
mod rectangles;

use fields::{SIZE, config, offers, samples, with};
use skysense_contract::{Class, HeadKind, MlmContext, Modality, Quantity, Task};
use skysense_train::{
    FinetuneConfig, Labels, NoHooks, Sample, Start, TaskScores, TrainError, Trained, check_weights, export, finetune,
};

/// A package that holds its weights and starts a further training with the same head.
fn goes_on(trained: &Trained, samples: &[Sample], config: &FinetuneConfig) {
    let folder = tempfile::tempdir().unwrap();
    let package = export(trained, &folder.path().join("package"), &MlmContext::default()).unwrap();
    let head = package.contract().head.clone().unwrap();
    assert_eq!((head.task, head.kind), (config.task, config.head));
    assert_eq!(check_weights(&package).unwrap().problems, Vec::<String>::new());
    let again = with(config.clone(), |c| {
        c.recipe.start = Start::Package(package.folder().to_path_buf());
        c.recipe.steps = 1;
    });
    let again = finetune(samples, &offers(), &again, &mut NoHooks).unwrap();
    // It starts where the first one stopped, and not from a fresh head.
    assert!(again.losses[0] < trained.losses[0] / 2.0, "{} after {}", again.losses[0], trained.losses[0]);
}

#[test]
fn uper_learns_classes_of_pixels() {
    let config = with(config(60), |c| c.head = HeadKind::Uper);
    let samples = samples(6);
    let trained = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    let validation = trained.validation.as_ref().unwrap();
    assert!(validation.main() > Some(0.8), "{}", validation.headline());
    goes_on(&trained, &samples, &config);
}

#[test]
fn regression_learns_a_quantity() {
    // As many tonnes as the level of a field says.
    let samples: Vec<Sample> = samples(6)
        .into_iter()
        .map(|sample| {
            let tonnes = |(at, class): (usize, &u8)| match at {
                3 => f32::NAN,
                _ => 40.0 + 15.0 * f32::from(*class),
            };
            let values = sample.labels.classes().iter().enumerate().map(tonnes).collect();
            Sample { labels: Labels::Values(values), ..sample }
        })
        .collect();
    let config = with(config(80), |c| {
        (c.task, c.classes) = (Task::Regression, Vec::new());
        c.quantity = Some(Quantity { name: "yield".into(), unit: "t/ha".into(), ..Quantity::unnamed() });
    });
    let trained = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    let Some(TaskScores::Values(scores)) = &trained.validation else { panic!("scores of a quantity") };
    let errors = scores.errors.unwrap();
    assert!(errors.r2 > Some(0.7) && errors.rmse < 7.0 && errors.mae <= errors.rmse, "{errors:?}");
    assert_eq!(scores.bias_plot.len(), 10);
    let folder = tempfile::tempdir().unwrap();
    let package = export(&trained, &folder.path().join("package"), &MlmContext::default()).unwrap();
    let quantity = package.contract().head.clone().unwrap().quantity.unwrap();
    assert!((60.0..80.0).contains(&quantity.mean) && quantity.std > 5.0 && quantity.unit == "t/ha", "{quantity:?}");
    goes_on(&trained, &samples, &config);
}

/// Chips of one crop each, and of two where `both`.
fn chips(both: bool) -> Vec<Sample> {
    let mut all = samples(24);
    for (index, sample) in all.iter_mut().enumerate() {
        let own = |place: usize| match both && place % SIZE >= SIZE / 2 {
            true => (index / 3 + 1) % 3,
            false => index % 3,
        };
        let series = sample.series.get_mut(&Modality::S2).unwrap();
        for (at, pixel) in series.pixels.iter_mut().enumerate() {
            let (date, band, place) = (at / (2 * SIZE * SIZE), at / (SIZE * SIZE) % 2, at % (SIZE * SIZE));
            let noise = ((at * 7919 + index * 104_729) % 401) as f32 - 200.0;
            let class = own(place);
            let level = 700.0 + 600.0 * class as f32;
            *pixel = if band == 0 {
                level
            } else if class == date {
                2500.0
            } else {
                800.0
            } + noise;
        }
        let mut found: Vec<u8> = (0..SIZE * SIZE).map(|place| own(place) as u8 + 1).collect();
        found.sort_unstable();
        found.dedup();
        sample.labels = Labels::Chip(found);
    }
    all
}

#[test]
fn classification_learns_the_class_of_a_chip() {
    let (samples, config) = (chips(false), with(config(60), |c| (c.task, c.recipe.block) = (Task::Classification, 16)));
    let trained = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    let Some(TaskScores::Chips(scores)) = &trained.validation else { panic!("scores of chips") };
    assert!(scores.chips >= 3 && scores.overall_accuracy > Some(0.8), "{scores:?}");
    assert!(scores.mean_average_precision > Some(0.8), "{scores:?}");
    goes_on(&trained, &samples, &config);
}

#[test]
fn multi_label_learns_all_classes_of_a_chip() {
    let (samples, config) = (chips(true), with(config(80), |c| (c.task, c.recipe.block) = (Task::MultiLabel, 16)));
    let trained = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    let Some(TaskScores::Chips(scores)) = &trained.validation else { panic!("scores of chips") };
    assert!(scores.label_accuracy > Some(0.8) && scores.mean_average_precision > Some(0.8), "{scores:?}");
    goes_on(&trained, &samples, &config);
}

#[test]
fn change_is_learned_from_two_times_and_not_from_one() {
    let earlier = samples(6);
    // Later each field of one quarter has the crop of the next.
    let turned = samples(7);
    let class = |value: u8, name: &str| Class { value, name: name.into(), color: "00ff00".into() };
    let pairs: Vec<Sample> = earlier
        .iter()
        .zip(&turned[1..])
        .map(|(before, after)| {
            let mut now = before.clone();
            let changed = |place: usize| place % SIZE < SIZE / 2;
            let (from, to) = (&after.series[&Modality::S2], now.series.get_mut(&Modality::S2).unwrap());
            for (at, pixel) in to.pixels.iter_mut().enumerate().filter(|(at, _)| changed(at % (SIZE * SIZE))) {
                *pixel = from.pixels[at];
            }
            let labels: Vec<u8> = (0..SIZE * SIZE).map(|place| 1 + u8::from(changed(place))).collect();
            Sample { series: now.series, before: before.series.clone(), labels: labels.into(), ..before.clone() }
        })
        .collect();
    let config = with(config(100), |c| {
        (c.task, c.classes) = (Task::Change, vec![class(1, "same"), class(2, "changed")]);
    });
    let trained = finetune(&pairs, &offers(), &config, &mut NoHooks).unwrap();
    let Some(TaskScores::Change(scores)) = &trained.validation else { panic!("scores of change") };
    assert!(scores.f1 > Some(0.8) && scores.iou > Some(0.6), "{scores:?}");
    goes_on(&trained, &pairs, &config);
}

#[test]
fn a_head_that_a_task_does_not_have_is_refused() {
    let config = with(config(1), |c| (c.task, c.head) = (Task::Classification, HeadKind::Uper));
    let error = finetune(&samples(2), &offers(), &config, &mut NoHooks).unwrap_err();
    assert!(matches!(error, TrainError::Setting { setting: "head", .. }), "{error}");
}

#[test]
fn training_ends_where_it_no_longer_helps_and_a_killed_run_ends_there_too() {
    use skysense_train::EarlyStopping;
    let config = with(config(60), |c| c.early_stopping = Some(EarlyStopping { every: 5, patience: 2 }));
    let samples = samples(6);
    let whole = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    assert!(
        whole.steps < 60 && whole.steps.is_multiple_of(5) && whole.losses.len() == whole.steps,
        "{} steps",
        whole.steps
    );
    let folder = tempfile::tempdir().unwrap();
    let config = with(config, |c| c.recipe.checkpoint = Some(folder.path().to_path_buf()));
    let mut stop = fields::Stop { at: 7, step: 0 };
    assert!(matches!(finetune(&samples, &offers(), &config, &mut stop), Err(TrainError::Cancelled { step: 7 })));
    let again = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    assert_eq!((again.steps, again.losses), (whole.steps, whole.losses));
}

#[test]
fn layers_near_the_input_learn_less_with_layer_wise_decay() {
    use skysense_model::checkpoint::WeightFile;
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, decay: f64, steps: usize| {
        let config = with(config(steps), |c| c.layer_decay = decay);
        let trained = finetune(&samples(4), &offers(), &config, &mut NoHooks).unwrap();
        let package = export(&trained, &folder.path().join(name), &MlmContext::default()).unwrap();
        let file = WeightFile::open(&package.weights(), None).unwrap();
        let patch = "backbone_s2.patch_embed.projection.weight";
        let found = file.tensors().find(|(key, _)| *key == patch).map(|(_, at)| at.floats().unwrap());
        found.unwrap_or_else(|| panic!("no {patch}"))
    };
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    // One step is far less than four, so it stands for the start.
    let (start, same, less) = (weights("start", 0.05, 1), weights("same", 1.0, 8), weights("less", 0.3, 8));
    let (moved, moved_less) = (apart(&same, &start), apart(&less, &start));
    assert!(moved_less < moved / 3.0 && moved_less > 0.0, "{moved_less} against {moved}");
}
