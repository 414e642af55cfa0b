//! Real processes that pretrain as one, against one with the whole batch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use burn::optim::ModuleOptimizer;
use skysense_collective::{Alone, Group};
use skysense_contract::{Division, Dtype, Modality, Offer, Unit};

use super::{HeadSizes, HeldPlaces, Place, PretrainConfig, PrototypeUpdate, Prototypes, Ready, Targets, pretrain};
use crate::SampleSeries;
use crate::loss_scale::LossScale;
use crate::steps::Learner;
use crate::together::processes::{Descent, Found, STEPS, Told, apart, compare, together, weights};

const SIZE: usize = 16;

/// Fields whose crops differ in level, season and backscatter; some places lack radar, some see a date in part alone.
fn places() -> HeldPlaces {
    let noise = |i: usize| ((i * 7919 + i * i % 8191) % 401) as f32 - 200.0;
    let area = SIZE * SIZE;
    let place = |index: usize| {
        let crop = |at: usize| (at % SIZE / 8 + at / SIZE / 8 + index) % 3;
        let optical = |at: usize| {
            let (date, band, pixel) = (at / (2 * area), at / area % 2, at % area);
            let season = if crop(pixel) == date { 2500.0 } else { 800.0 };
            let level = if band == 0 { 700.0 + 600.0 * crop(pixel) as f32 } else { season };
            (level + noise(index * 9973 + at)).round()
        };
        let radar = |at: usize| crop(at % area) as f32 * 3.0 - 18.0 + noise(index * 31 + at) / 200.0;
        let series = |pixels: Vec<f32>, days: &[i64]| SampleSeries {
            pixels,
            valid: vec![1; days.len() * area],
            datetimes: days.iter().map(|day| day * 86_400_000).collect(),
        };
        let mut all = BTreeMap::from([
            (Modality::S2, series((0..6 * area).map(optical).collect(), &[100, 180, 260])),
            (Modality::S1, series((0..2 * area).map(radar).collect(), &[90, 200])),
        ]);
        if index % 4 == 3 {
            drop(all.remove(&Modality::S1));
        }
        if index % 3 == 2 {
            all.get_mut(&Modality::S2).unwrap().valid[..area / 3].fill(0);
        }
        Place { name: format!("place {index}"), series: all, centre: [10.0 + 20.0 * (index % 3) as f64, 48.0] }
    };
    let offer = |bands: &[&str], unit, dtype, dates| {
        let bands = bands.iter().map(ToString::to_string).collect();
        Offer { bands, unit, dtype, dates, size: SIZE, scale: 1 }
    };
    let offers = BTreeMap::from([
        (Modality::S2, offer(&["B04", "B08"], Unit::ReflectanceE4, Dtype::I16, 3)),
        (Modality::S1, offer(&["VV"], Unit::Decibel, Dtype::F32, 2)),
    ]);
    HeldPlaces::new((0..6).map(place).collect(), offers, SIZE)
}

fn config() -> PretrainConfig {
    let mut config = PretrainConfig::new("synthetic");
    (config.recipe.steps, config.recipe.batch, config.recipe.every) = (STEPS, 4, 3);
    config.heads = HeadSizes { hidden: 48, layers: 2, bottleneck: 24, outputs: 64 };
    config.crops.pixels = Some(24);
    config.crops.size = Some(12);
    config.prototypes = Some(Prototypes {
        division: Division::EqualArea(64),
        count: 4,
        width: None,
        update: PrototypeUpdate::default(),
    });
    config
}

/// Steps of gradient descent on the places.
pub(crate) fn descend(group: Arc<dyn Group>, targets: Targets) -> Found {
    let (places, config) = (places(), PretrainConfig { targets, ..config() });
    let ready = Ready::new(&places, &config, group).unwrap();
    let found = ready.run(|run| {
        let mut network = run.network()?;
        let first = Arc::new(Mutex::new(Vec::new()));
        let most = weights(&network.student).1;
        let mut optimiser = ModuleOptimizer::from(Descent { first: first.clone(), most });
        let (mut scale, mut losses, mut gradients) = (LossScale::default(), Vec::new(), Vec::new());
        for step in 0..STEPS {
            let loss;
            (network, loss) = run.step(network, &mut optimiser, &mut scale, (step, 0.02))?;
            losses.push(loss);
            if step == 0 {
                gradients = std::mem::take(&mut *first.lock().unwrap());
            }
        }
        // Student, teacher, centres and visits.
        Ok(Found { gradients, losses, weights: weights(&network).0, outputs: Vec::new() })
    });
    found.unwrap()
}

/// The whole of pretraining, from the checkpoints of a folder if it has any.
pub(crate) fn train(group: Arc<dyn Group>, checkpoints: Option<PathBuf>) -> Result<Found, String> {
    let mut config = config();
    config.recipe.checkpoint = checkpoints;
    let told = &mut Told { group, stop: None, step: 0 };
    let trained = pretrain(&places(), &config, told).map_err(|error| error.to_string())?;
    let weights = weights(&trained.encoder).0;
    Ok(Found { gradients: Vec::new(), losses: trained.losses, weights, outputs: Vec::new() })
}

#[test]
fn processes_that_share_places_descend_as_one_with_all_of_them() {
    for (targets, task) in
        [(Targets::Centred, "descend on places"), (Targets::Balanced { iterations: 3 }, "descend on balanced places")]
    {
        let one = descend(Arc::new(Alone), targets);
        for size in [2, 4] {
            compare(&one, &together(size, &[("TOGETHER_TASK", task)]), size);
        }
    }
}

#[test]
fn processes_that_share_places_pretrain_as_one_and_go_on_to_the_same_bits() {
    let one = train(Arc::new(Alone), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().display().to_string();
    let told = [("TOGETHER_TASK", "pretrain"), ("TOGETHER_CHECKPOINTS", checkpoints.as_str())];
    let whole = together(2, &told);
    let losses = apart(&one.losses, &whole.losses);
    println!("2 processes, AdamW: losses {losses:e} apart after {STEPS} steps");
    assert!(losses <= 1e-4, "{:?} against {:?}", one.losses, whole.losses);
    // What a killed run leaves: the checkpoint before the last one.
    let last = folder.path().join(format!("step-{STEPS}"));
    assert!(last.is_dir());
    std::fs::remove_dir_all(last).unwrap();
    assert!(together(2, &told) == whole);
}
