//! The loop on a small synthetic problem: it learns, repeats, goes on after a kill, and exports.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;

use fields::{Stop, config, offers, samples, weights, with};
use skysense_contract::{MlmContext, Package};
use skysense_train::{
    Checkpointing, Compute, FinetuneConfig, Lora, NoHooks, Sample, Start, TrainError, TrainingPrecision, export,
    finetune,
};

#[test]
fn it_learns_what_can_be_learned() {
    let trained = finetune(&samples(6), &offers(), &config(60), &mut NoHooks).unwrap();
    let (first, last) = (trained.losses[0], trained.losses[59]);
    assert!(last < first / 3.0, "loss went from {first} to {last}");
    assert!(trained.training.main() > Some(0.9), "{:?}", trained.training);
    let scores = trained.validation.unwrap();
    let validation = scores.classes().unwrap();
    assert!(validation.overall_accuracy > 0.8 && validation.pixels > 0, "{validation:?}");
}

#[test]
fn sixteen_bits_learn_what_single_precision_learns() {
    let run = |precision| {
        let config = with(config(60), |c| (c.compute.precision, c.recipe.learning_rate) = (precision, 1e-3));
        finetune(&samples(6), &offers(), &config, &mut NoHooks)
    };
    let single = run(TrainingPrecision::F32).unwrap();
    for precision in [TrainingPrecision::Bf16, TrainingPrecision::F16] {
        let mixed = run(precision).unwrap();
        // The first steps start from the same weights, so they differ by rounding; then paths part, not what they reach.
        for (step, (a, b)) in single.losses[..3].iter().zip(&mixed.losses).enumerate() {
            assert!((a - b).abs() < 0.03, "{precision:?}, step {step}: {b}, in single precision {a}");
        }
        assert!(mixed.losses != single.losses, "{precision:?} was not used");
        let mean = |losses: &[f32]| losses[50..].iter().sum::<f32>() / 10.0;
        let (a, b) = (mean(&single.losses), mean(&mixed.losses));
        assert!((a - b).abs() < 0.05, "{precision:?}: the last ten losses are {b}, in single precision {a}");
        assert!(mixed.training.main() > Some(0.9), "{precision:?}: {:?}", mixed.training);
    }
}

#[test]
fn blocks_that_are_computed_again_train_alike() {
    for precision in [TrainingPrecision::F32, TrainingPrecision::F16] {
        let run = |checkpointing| {
            let config =
                with(config(8), |c| (c.compute.checkpointing, c.compute.precision) = (checkpointing, precision));
            finetune(&samples(3), &offers(), &config, &mut NoHooks).unwrap()
        };
        let (kept, again) = (run(Checkpointing::Off), run(Checkpointing::Blocks));
        let tolerance = if precision == TrainingPrecision::F32 { 1e-3 } else { 3e-2 };
        for (step, (a, b)) in kept.losses.iter().zip(&again.losses).enumerate() {
            assert!((a - b).abs() <= tolerance * a, "{precision:?}, step {step}: {b}, without {a}");
        }
        assert_eq!(kept.losses[0], again.losses[0], "{precision:?}: the forward pass is the same");
    }
}

#[test]
fn parts_of_a_step_train_alike_and_the_number_of_threads_changes_no_bit() {
    // In 16 bits two ways part soon: rounding is large beside the losses that are left.
    let cases = [(TrainingPrecision::F32, 1e-5, 1e-3, 8), (TrainingPrecision::F16, 1e-3, 3e-2, 3)];
    for (precision, first, tolerance, steps) in cases {
        let run = |parts, threads| {
            let config = FinetuneConfig { compute: Compute { precision, ..Compute::default() }, ..config(8) };
            let config = with(config, |c| c.recipe.parts = parts);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| finetune(&samples(4), &offers(), &config, &mut NoHooks)).unwrap().losses
        };
        // Three samples in parts of two and one, of one each, and in fewer than there are parts.
        let whole = run(1, 2);
        for parts in [2, 3, 8] {
            let losses = run(parts, 2);
            assert!((losses[0] - whole[0]).abs() <= first * whole[0], "{losses:?} against {whole:?}");
            for (step, (a, b)) in whole.iter().zip(&losses).take(steps).enumerate() {
                assert!((a - b).abs() <= tolerance * a, "{precision:?}, {parts} parts, step {step}: {b} against {a}");
            }
            assert_eq!(losses, run(parts, 1), "{precision:?}, {parts} parts on one thread");
            assert_eq!(losses, run(parts, 3), "{precision:?}, {parts} parts on three threads");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_package_and_a_killed_run_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (samples, context) = (samples(3), MlmContext::default());
    let whole = finetune(&samples, &offers(), &config(8), &mut NoHooks).unwrap();
    let whole = export(&whole, &at("whole"), &context).unwrap();
    let again = finetune(&samples, &offers(), &config(8), &mut NoHooks).unwrap();
    let again = export(&again, &at("again"), &context).unwrap();
    for file in std::fs::read_dir(whole.folder()).unwrap() {
        let name = file.unwrap().file_name();
        let read = |package: &Package| std::fs::read(package.folder().join(&name)).unwrap();
        assert!(read(&whole) == read(&again), "{name:?} differs");
    }
    let other = finetune(&samples, &offers(), &with(config(8), |c| c.recipe.seed = 1), &mut NoHooks).unwrap();
    assert!(weights(&export(&other, &at("other"), &context).unwrap()) != weights(&whole), "another seed");

    let checkpointed = with(config(8), |c| c.recipe.checkpoint = Some(at("checkpoints")));
    let stopped = finetune(&samples, &offers(), &checkpointed, &mut Stop { at: 5, step: 0 });
    assert!(matches!(stopped.unwrap_err(), TrainError::Cancelled { step: 5 }));
    let resumed = finetune(&samples, &offers(), &checkpointed, &mut NoHooks).unwrap();
    assert_eq!(resumed.losses.len(), 8);
    assert!(weights(&export(&resumed, &at("resumed"), &context).unwrap()) == weights(&whole), "resumed");
    let elsewhere = with(checkpointed, |c| c.recipe.learning_rate = 1e-4);
    let refused = finetune(&samples, &offers(), &elsewhere, &mut NoHooks).unwrap_err().to_string();
    assert!(refused.contains("other settings or samples"), "{refused}");

    let exists = export(&resumed, &at("resumed"), &context).unwrap_err().to_string();
    assert!(exists.contains("exists"), "{exists}");
}

#[test]
fn a_package_can_be_trained_further_and_a_frozen_encoder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let context = MlmContext::default();
    let first = finetune(&samples(3), &offers(), &config(3), &mut NoHooks).unwrap();
    let first = export(&first, &at("first"), &context).unwrap();
    first.verify().unwrap();
    let start = Start::Package(first.folder().to_path_buf());
    let config = with(config(3), |c| (c.recipe.start, c.frozen) = (start, true));
    let second = finetune(&samples(3), &offers(), &config, &mut NoHooks).unwrap();
    let second = export(&second, &at("second"), &context).unwrap();
    let tensors = |package: &Package| weights(package);
    let (a, b) = (tensors(&first), tensors(&second));
    let (a, b) =
        (safetensors::SafeTensors::deserialize(&a).unwrap(), safetensors::SafeTensors::deserialize(&b).unwrap());
    let mut changed: Vec<String> = Vec::new();
    for (name, view) in a.iter() {
        if view.data() != b.tensor(name).unwrap().data() {
            changed.push(name.to_string());
        }
    }
    assert!(!changed.is_empty() && changed.iter().all(|name| name.starts_with("head.")), "{changed:?}");
}

/// Rows of a matrix that are no sums of others, up to rounding.
fn rank(mut rows: Vec<Vec<f64>>) -> usize {
    let largest = |rows: &[Vec<f64>]| rows.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
    let (whole, mut found) = (largest(&rows), 0);
    while largest(&rows) > 1e-4 * whole && whole > 0.0 {
        let width = rows[0].len();
        let at = (0..rows.len() * width)
            .max_by(|a, b| rows[a / width][a % width].abs().total_cmp(&rows[b / width][b % width].abs()));
        let (row, column) = at.map(|at| (at / width, at % width)).unwrap();
        let pivot = rows.swap_remove(row);
        for other in &mut rows {
            let share = other[column] / pivot[column];
            other.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= share * pivot);
        }
        found += 1;
    }
    found
}

#[test]
fn adapters_move_attention_by_their_rank_and_leave_a_package_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let context = MlmContext::default();
    let first = finetune(&samples(3), &offers(), &config(3), &mut NoHooks).unwrap();
    let first = export(&first, &at("first"), &context).unwrap();
    let start = Start::Package(first.folder().to_path_buf());
    let adapted = |steps| {
        with(config(steps), |c| {
            (c.recipe.start, c.lora) = (start.clone(), Some(Lora { rank: 2, alpha: 4.0 }));
            c.recipe.validation = 0.0;
        })
    };
    let trained = finetune(&samples(3), &offers(), &adapted(8), &mut NoHooks).unwrap();
    assert!(trained.losses[7] < trained.losses[0], "{:?}", trained.losses);
    let whole = export(&trained, &at("whole"), &context).unwrap();
    whole.verify().unwrap();
    let (a, b) = (weights(&first), weights(&whole));
    let [a, b] = [&a, &b].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    assert_eq!(a.len(), b.len());
    let mut moved = 0;
    for (name, view) in a.iter() {
        let other = b.tensor(name).unwrap();
        assert_eq!(view.shape(), other.shape());
        if view.data() == other.data() || name.starts_with("head.") {
            continue;
        }
        let of_attention = ["attn.in_proj_weight", "attn.out_proj.weight"];
        assert!(of_attention.iter().any(|end| name.ends_with(end)), "{name} moved");
        let floats = |bytes: &[u8]| -> Vec<f64> {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()).into()).collect()
        };
        let (before, after) = (floats(view.data()), floats(other.data()));
        let apart: Vec<f64> = before.iter().zip(&after).map(|(a, b)| b - a).collect();
        let rows = apart.chunks(view.shape()[1]).map(<[f64]>::to_vec).collect();
        assert_eq!(rank(rows), 2, "{name}");
        moved += 1;
    }
    assert!(moved >= 4, "{moved}");

    // Killed on the way, it comes to the same weights; computed again block by block, to nearly the same.
    let checkpointed = with(adapted(8), |c| c.recipe.checkpoint = Some(at("checkpoints")));
    let stopped = finetune(&samples(3), &offers(), &checkpointed, &mut Stop { at: 5, step: 0 });
    assert!(matches!(stopped.unwrap_err(), TrainError::Cancelled { step: 5 }));
    let resumed = finetune(&samples(3), &offers(), &checkpointed, &mut NoHooks).unwrap();
    assert!(weights(&export(&resumed, &at("resumed"), &context).unwrap()) == weights(&whole), "resumed");
    let again = with(adapted(8), |c| c.compute.checkpointing = Checkpointing::Blocks);
    let again = finetune(&samples(3), &offers(), &again, &mut NoHooks).unwrap();
    for (step, (a, b)) in trained.losses.iter().zip(&again.losses).enumerate() {
        assert!((a - b).abs() <= 1e-3 * a, "step {step}: {b}, without {a}");
    }
}

#[test]
fn a_time_budget_lowers_the_steps() {
    let budget = with(config(1000), |c| c.recipe.seconds = Some(1e-3));
    let trained = finetune(&samples(2), &offers(), &budget, &mut NoHooks).unwrap();
    assert_eq!((trained.steps, trained.losses.len()), (5, 5), "the first fit comes after five steps");
}

#[test]
fn what_cannot_be_trained_is_said() {
    let fault = |samples: &[Sample], config: &FinetuneConfig| {
        finetune(samples, &offers(), config, &mut NoHooks).unwrap_err().to_string()
    };
    let mut blank = samples(1);
    blank[0].labels = vec![0; fields::SIZE * fields::SIZE].into();
    assert!(fault(&blank, &config(1)).contains("no sample has a labelled valid pixel"));
    let unknown = with(config(1), |c| c.recipe.start = Start::Preset("huge".into()));
    assert!(fault(&samples(1), &unknown).contains("no preset is named \"huge\""));
    let mut wrong = samples(1);
    wrong[0].labels = vec![77; fields::SIZE * fields::SIZE].into();
    assert!(fault(&wrong, &config(1)).contains("sample 0: label 77"));
}
