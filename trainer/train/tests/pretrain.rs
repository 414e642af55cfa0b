//! Pretraining on small synthetic places: every loss goes down, a run that was killed goes on to the same bits, terms can
//! be left out, what cannot be read is left out and named, and the package is one that others start from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/fields.rs"]
mod fields;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fields::{weights, with};
use skysense_contract::{Contract, Division, Dtype, GeoContext, MlmContext, Modality, Offer, Package, Unit};
use skysense_train::pretrain::{
    Assumed, HeadSizes, HeldPlaces, Measures, Place, Places, PretrainConfig, Pretrained, PrototypeUpdate, Prototypes,
    Side, Targets, Validation, export_pretrained, planned_pretrained, pretrain, pretrain_cost,
};
use skysense_train::{
    Checkpointing, DistillConfig, Hooks, NoHooks, Progress, SampleSeries, Start, TrainError, check_weights, distill,
    finetune,
};

const SIZE: usize = 16;

/// Fields in halves and stripes, whose crops differ in level, in season and in backscatter.
fn place(index: usize) -> Place {
    let crop = |at: usize| match index % 4 {
        0 => at % SIZE / 8,
        1 => at / SIZE / 8 + 1,
        2 => (at % SIZE / 4 + at / SIZE / 8) % 3,
        _ => (at % SIZE + at / SIZE) / 11,
    };
    let noise = |i: usize| ((i * 7919 + i * i % 8191) % 401) as f32 - 200.0;
    let area = SIZE * SIZE;
    let (mut optical, mut radar) = (Vec::new(), Vec::new());
    for date in 0..3 {
        for band in 0..2 {
            for at in 0..area {
                let season = if crop(at) == date { 2500.0 } else { 800.0 };
                let level = if band == 0 { 700.0 + 600.0 * crop(at) as f32 } else { season };
                optical.push((level + noise(index * 9973 + date * 577 + band * 7 + at)).round());
            }
        }
    }
    for date in 0..2 {
        radar.extend((0..area).map(|at| crop(at) as f32 * 3.0 - 18.0 + noise(index * 31 + date * 7 + at) / 200.0));
    }
    let days = |days: &[i64]| days.iter().map(|day| day * 86_400_000).collect::<Vec<i64>>();
    let mut series = BTreeMap::from([
        (Modality::S2, SampleSeries { pixels: optical, valid: vec![1; 3 * area], datetimes: days(&[100, 180, 260]) }),
        (Modality::S1, SampleSeries { pixels: radar, valid: vec![1; 2 * area], datetimes: days(&[90, 200]) }),
    ]);
    // Some places lack radar, some see one optical date in part alone.
    if index % 5 == 4 {
        drop(series.remove(&Modality::S1));
    }
    if index % 3 == 2 {
        series.get_mut(&Modality::S2).unwrap().valid[..area / 3].fill(0);
    }
    Place { name: format!("place {index}"), series, centre: [10.0 + 20.0 * (index % 3) as f64, 48.0] }
}

fn offers() -> BTreeMap<Modality, Offer> {
    let offer = |bands: &[&str], unit, dtype, dates| {
        let bands = bands.iter().map(ToString::to_string).collect();
        Offer { bands, unit, dtype, dates, size: SIZE, scale: 1 }
    };
    BTreeMap::from([
        (Modality::S2, offer(&["B04", "B08"], Unit::ReflectanceE4, Dtype::I16, 3)),
        (Modality::S1, offer(&["VV"], Unit::Decibel, Dtype::F32, 2)),
    ])
}

fn places(count: usize) -> HeldPlaces {
    HeldPlaces::new((0..count).map(place).collect(), offers(), SIZE)
}

fn config(steps: usize) -> PretrainConfig {
    let mut config = PretrainConfig::new("synthetic");
    (config.recipe.steps, config.recipe.batch, config.recipe.every) = (steps, 4, 3);
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

/// Keeps what it hears, and stops before a step.
#[derive(Default)]
struct Heard {
    measures: Vec<Measures>,
    skipped: Vec<(String, String)>,
    before: usize,
    stop: Option<usize>,
    step: usize,
}

impl Hooks for Heard {
    fn progress(&mut self, progress: &Progress) {
        self.step = progress.step;
    }

    fn measured(&mut self, measures: &Measures) {
        self.measures.push(measures.clone());
    }

    fn skipped(&mut self, place: &str, why: &str) {
        self.skipped.push((place.into(), why.into()));
    }

    fn skipped_before(&mut self, places: usize) {
        self.before = places;
    }

    fn cancelled(&self) -> bool {
        self.stop == Some(self.step)
    }
}

fn trained(config: &PretrainConfig) -> (Pretrained, Heard) {
    let mut heard = Heard::default();
    let trained = pretrain(&places(8), config, &mut heard).unwrap();
    (trained, heard)
}

fn written(trained: &Pretrained, folder: &Path) -> Package {
    export_pretrained(trained, folder, &MlmContext::default()).unwrap()
}

#[test]
fn every_loss_goes_down_and_the_teacher_does_not_collapse() {
    let steps = 120;
    let (trained, heard) = trained(&config(steps));
    assert_eq!((trained.steps, heard.measures.len()), (steps, steps));
    let mean = |name: &str, of: std::ops::Range<usize>| {
        let values: Vec<f64> = heard.measures[of].iter().filter_map(|one| one.values.get(name).copied()).collect();
        assert!(!values.is_empty(), "{name} was never told");
        values.iter().sum::<f64>() / values.len() as f64
    };
    let mut losses = vec!["loss".to_owned(), "loss.alignment".to_owned()];
    for level in ["pixel", "object", "image"] {
        losses.extend(["s2", "s1", "fused"].map(|stream| format!("loss.{level}.{stream}")));
    }
    for name in &losses {
        let (first, last) = (mean(name, 0..8), mean(name, steps - 16..steps));
        assert!(last < first * 0.98, "{name} went from {first} to {last}");
    }
    let (entropy, spread) = (mean("teacher_entropy", steps - 8..steps), mean("teacher_spread", steps - 8..steps));
    assert!(entropy > 0.0 && entropy < 0.98, "targets say something: entropy {entropy}");
    assert!(spread > 0.3, "and not all the same: spread {spread}");
    assert_eq!(trained.regions, 2, "10 and 30 degrees east lie in one, 50 in another");
}

#[test]
fn a_run_that_stopped_goes_on_to_the_same_losses_and_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, heard) = trained(&config(6));
    let one_thread = with(config(6), |c| (c.loaders, c.ahead) = (1, 1));
    let (again, _) = trained(&one_thread);
    assert_eq!(again.losses, whole.losses, "threads that load do not change what is loaded");
    let first = written(&whole, &folder.path().join("whole"));
    assert!(weights(&first) == weights(&written(&again, &folder.path().join("again"))));
    let other = trained(&with(config(6), |c| c.recipe.seed = 1)).0;
    assert_ne!(other.losses, whole.losses, "another seed");

    let kept = with(config(6), |c| c.recipe.checkpoint = Some(folder.path().join("checkpoints")));
    let mut stop = Heard { stop: Some(4), ..Heard::default() };
    let stopped = pretrain(&places(8), &kept, &mut stop).unwrap_err();
    assert!(matches!(stopped, TrainError::Cancelled { step: 4 }), "{stopped}");
    let (resumed, later) = trained(&kept);
    assert_eq!(resumed.losses, whole.losses);
    assert!(weights(&first) == weights(&written(&resumed, &folder.path().join("resumed"))), "other weights");
    let values = |heard: &Heard| -> Vec<BTreeMap<String, f64>> {
        let timeless = |name: &str| !["waiting", "step_seconds", "places_per_second"].contains(&name);
        let of = |one: &Measures| one.values.clone().into_iter().filter(|(name, _)| timeless(name)).collect();
        heard.measures[heard.measures.len() - 2..].iter().map(of).collect()
    };
    assert_eq!(values(&later), values(&heard), "all that is told of the last two steps");
    let refused = pretrain(&places(7), &kept, &mut NoHooks).unwrap_err().to_string();
    assert!(refused.contains("other settings or samples"), "{refused}");
}

/// Environment of the child that is killed: the folder of its checkpoints.
const CHILD: &str = "SKYSENSE_PRETRAIN_CHILD";

#[test]
fn a_run_that_was_killed_goes_on_to_the_same_bits() {
    let steps = 40;
    let of = |folder: PathBuf| with(config(steps), |c| (c.recipe.checkpoint, c.recipe.every) = (Some(folder), 2));
    if let Some(folder) = std::env::var_os(CHILD) {
        drop(pretrain(&places(8), &of(folder.into()), &mut NoHooks));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    let this = "a_run_that_was_killed_goes_on_to_the_same_bits";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let mut child = child.args(["--exact", this]).env(CHILD, &checkpoints).spawn().unwrap();
    let started = Instant::now();
    let there = || {
        std::fs::read_dir(&checkpoints)
            .is_ok_and(|mut entries| entries.any(|e| e.unwrap().path().extension().is_none()))
    };
    while !there() && started.elapsed() < Duration::from_secs(300) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    let _ended = child.wait().unwrap();
    let (whole, _) = trained(&config(steps));
    let mut heard = Heard::default();
    let resumed = pretrain(&places(8), &of(checkpoints), &mut heard).unwrap();
    assert!(heard.measures.len() < steps, "it began anew");
    assert_eq!(resumed.losses, whole.losses);
    let [a, b] = [("whole", &whole), ("resumed", &resumed)].map(|(name, of)| written(of, &folder.path().join(name)));
    assert!(weights(&a) == weights(&b), "other weights");
}

#[test]
fn terms_that_are_left_out_are_not_there_and_others_are() {
    let names = |config: &PretrainConfig| -> Vec<String> {
        let (_, heard) = trained(config);
        let names = heard.measures[0].values.keys();
        names.filter(|name| name.starts_with("loss.") && name.matches('.').count() == 2).cloned().collect()
    };
    let only = |levels: [f64; 3], streams: [f64; 2], alignment: f64| {
        with(config(1), |c| {
            (c.levels.pixel, c.levels.object, c.levels.image) = levels.into();
            (c.streams.modalities, c.streams.fused) = streams.into();
            c.alignment.weight = alignment;
            c.prototypes = None;
        })
    };
    assert_eq!(names(&only([0.0, 0.0, 1.0], [0.0, 1.0], 0.0)), ["loss.image.fused"]);
    assert_eq!(names(&only([1.0, 1.0, 0.0], [1.0, 0.0], 0.0)).len(), 4);
    let (_, alone) = trained(&only([0.0; 3], [1.0, 1.0], 1.0));
    let values = &alone.measures[0].values;
    assert_eq!(values["loss"], values["loss.alignment"] * 2.0, "two ordered pairs and nothing else");
}

#[test]
fn parts_and_rounds_of_a_step_add_up_to_it() {
    for targets in [Targets::Centred, Targets::Balanced { iterations: 3 }] {
        // Without what parts do not share: which modalities a view lacks is drawn for each view, and is the same in all.
        let of = |parts, accumulate| {
            with(config(3), |c| (c.recipe.parts, c.accumulate, c.targets) = (parts, accumulate, targets))
        };
        let (whole, a) = trained(&of(1, 1));
        let norm = |heard: &Heard| heard.measures[0].values["gradient_norm"];
        let alignment = |heard: &Heard| heard.measures[0].values["loss.alignment"];
        for (parts, accumulate) in [(2, 1), (3, 1), (1, 4), (2, 2)] {
            let (parted, b) = trained(&of(parts, accumulate));
            let told = format!("{parts} parts in {accumulate} rounds, {targets:?}");
            assert!((alignment(&a) - alignment(&b)).abs() < 1e-5, "{told}: the alignment is of the whole step");
            for (whole, parted) in whole.losses.iter().zip(&parted.losses) {
                assert!((whole - parted).abs() < 1e-4 * whole.abs(), "{told}: {whole} became {parted}");
            }
            assert!((norm(&a) - norm(&b)).abs() < 1e-4 * norm(&a), "{told}: {} became {}", norm(&a), norm(&b));
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let run = |threads: usize, targets: Targets| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let config = with(config(3), |c| (c.recipe.parts, c.targets) = (3, targets));
        let (trained, _) = pool.install(|| self::trained(&config));
        let package = written(&trained, &folder.path().join(format!("{threads}-{}", targets == Targets::Centred)));
        (trained.losses.clone(), weights(&package))
    };
    for targets in [Targets::Centred, Targets::Balanced { iterations: 3 }] {
        let first = run(4, targets);
        for threads in [1, 2, 3] {
            assert!(first == run(threads, targets), "{threads} threads, {targets:?}");
        }
    }
}

#[test]
fn balanced_targets_spread_over_the_outputs() {
    let spread = |targets| {
        let (_, heard) = trained(&with(config(2), |c| (c.targets, c.levels.pixel) = (targets, 1.0)));
        heard.measures[0].values["teacher_spread.s2"]
    };
    let (before, after) = (spread(Targets::Centred), spread(Targets::Balanced { iterations: 50 }));
    assert!(after > 0.99 && after > before, "{before} became {after}");
}

#[test]
fn places_that_validate_are_measured_and_nothing_is_learned_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(config(5), |c| c.validation = Validation { every: 3, places: 3 });
    let (plain, _) = trained(&config);
    let others = HeldPlaces::new((20..24).map(place).collect(), offers(), SIZE);
    let mut heard = Heard::default();
    let validated = pretrain(&places(8).validated_by(others), &config, &mut heard).unwrap();
    let steps = |name: &str| -> Vec<usize> {
        heard.measures.iter().filter(|one| one.values.contains_key(name)).map(|one| one.step).collect()
    };
    for name in ["validation.loss", "validation.loss.pixel", "validation.loss.alignment"] {
        assert_eq!(steps(name), [1, 3, 5], "{name}");
        assert!(heard.measures[0].values[name] > 0.0);
    }
    assert_eq!(validated.losses, plain.losses);
    let [a, b] =
        [("plain", &plain), ("validated", &validated)].map(|(name, of)| written(of, &folder.path().join(name)));
    assert!(weights(&a) == weights(&b), "what is measured changes no weight");
}

/// Places of which some cannot be read.
struct Broken(HeldPlaces, Vec<usize>);

impl Places for Broken {
    fn offers(&self) -> &BTreeMap<Modality, Offer> {
        self.0.offers()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn count(&self) -> usize {
        self.0.count()
    }

    fn checksum(&self) -> &str {
        self.0.checksum()
    }

    fn read(&self, index: usize) -> Result<Place, TrainError> {
        if self.1.contains(&index) {
            return Err(TrainError::Sample { sample: index, fault: "shard-7.arrow: checksum".into() });
        }
        self.0.read(index)
    }
}

#[test]
fn a_place_that_cannot_be_read_is_left_out_counted_and_named() {
    let mut heard = Heard::default();
    let trained = pretrain(&Broken(places(8), vec![2, 5]), &config(4), &mut heard).unwrap();
    assert_eq!(trained.losses.len(), 4);
    // Two epochs of two steps: each of the two twice.
    assert_eq!(heard.skipped.len(), 4);
    assert!(heard.skipped.iter().all(|(_, why)| why.contains("shard-7.arrow")), "{:?}", heard.skipped);
    assert!(heard.skipped.iter().any(|(place, _)| place == "5"));
    assert_eq!(heard.measures[3].values["skipped"], 4.0);
    assert_eq!(trained.skipped, 4);
    let none = pretrain(&Broken(places(4), vec![0, 1, 2, 3]), &config(4), &mut NoHooks).unwrap_err().to_string();
    assert!(none.contains("shard-7.arrow"), "{none}");
}

#[test]
fn places_left_out_before_a_kill_are_counted_by_the_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(config(6), |c| c.recipe.checkpoint = Some(folder.path().join("checkpoints")));
    let broken = || Broken(places(8), vec![2, 5]);
    let mut stop = Heard { stop: Some(3), ..Heard::default() };
    drop(pretrain(&broken(), &config, &mut stop).unwrap_err());
    let before = stop.skipped.len();
    assert!(before >= 2, "an epoch and a half: {before}");
    let mut heard = Heard::default();
    let resumed = pretrain(&broken(), &config, &mut heard).unwrap();
    assert_eq!((heard.before, heard.skipped.len() + before), (before, 6), "three epochs, two places each");
    assert_eq!((resumed.skipped, heard.measures[2].values["skipped"]), (6, 6.0));
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_its_batch_saved_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(config(20), |c| {
        (c.recipe.learning_rate, c.recipe.warm_up, c.recipe.augmentation.modality_dropout) = (1e30, 0.0, 0.0);
        c.recipe.checkpoint = Some(folder.path().to_path_buf());
    });
    let error = pretrain(&places(4), &config, &mut NoHooks).unwrap_err();
    let TrainError::DivergedOn { step, ref places, .. } = error else { panic!("{error}") };
    assert_eq!(places.matches("place ").count(), 4, "{places}");
    let path = folder.path().join(format!("diverged-step-{step}.safetensors"));
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("0.0.s2").unwrap().shape()[1..], [2, 12, 12]);
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let names = metadata.metadata().as_ref().unwrap();
    assert!(names["place.0"].starts_with("place ") && names["step"] == step.to_string());
}

#[test]
fn small_views_train_too() {
    let config = with(config(2), |c| (c.crops.locals, c.crops.local_size) = (2, 8));
    let (trained, heard) = trained(&config);
    assert!(trained.losses.iter().all(|loss| loss.is_finite()));
    assert!(heard.measures[1].values.contains_key("loss.pixel.s1"));
}

#[test]
fn the_package_gives_features_teaches_and_is_started_from() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(3);
    let planned = planned_pretrained(&offers(), SIZE, &config).unwrap();
    let (trained, _) = trained(&config);
    let package = written(&trained, &folder.path().join("model"));
    package.verify().unwrap();
    assert_eq!(check_weights(&package).unwrap().problems, Vec::<String>::new());
    let contract = package.contract();
    assert_eq!((contract.channels, regions(contract), contract.chip_size), (128, Some(64), 12));
    assert_eq!((planned.channels, regions(&planned), planned.chip_size), (128, Some(64), 12));
    assert_eq!(contract.notes["pretrained"]["places"], 8);
    assert!(contract.head.is_none());

    let student = pretrain(&places(8), &with(config.clone(), |c| c.export = Side::Student), &mut NoHooks).unwrap();
    let student = written(&student, &folder.path().join("student"));
    assert!(weights(&student) != weights(&package), "the student is not the teacher");

    // Labels for what comes after: the same fields, cut to the size of the chips.
    let (samples, offers) = labelled();
    let of_package = with(fields::config(2), |c| c.recipe.start = Start::Package(package.folder().to_path_buf()));
    let fine = finetune(&samples, &offers, &of_package, &mut NoHooks).unwrap();
    let fine = skysense_train::export(&fine, &folder.path().join("fine"), &MlmContext::default()).unwrap();
    assert_eq!((fine.contract().channels, regions(fine.contract())), (128, Some(64)));
    let without = with(of_package, |c| c.prototypes = false);
    let without = finetune(&samples, &offers, &without, &mut NoHooks).unwrap();
    let without = skysense_train::export(&without, &folder.path().join("without"), &MlmContext::default()).unwrap();
    assert_eq!((without.contract().channels, regions(without.contract())), (64, None));
    assert_eq!(check_weights(&fine).unwrap().problems, Vec::<String>::new());
    let lesson = with(DistillConfig::new("pupil", package.folder()), |c| {
        (c.recipe.steps, c.recipe.batch, c.recipe.block) = (2, 2, 4);
    });
    assert_eq!(distill(&samples, &offers, &lesson, &mut NoHooks).unwrap().losses.len(), 2);

    // And pretraining goes on from it, prototypes and all.
    let on = with(config, |c| (c.recipe.start, c.recipe.steps) = (Start::Package(package.folder().to_path_buf()), 1));
    let on = pretrain(&places(8), &on, &mut NoHooks).unwrap();
    let scratch = self::trained(&self::config(1)).0;
    assert_ne!(on.losses, scratch.losses);
}

/// Regions that a contract has prototypes of.
fn regions(contract: &Contract) -> Option<usize> {
    contract.geo_context.as_ref().map(GeoContext::regions)
}

/// Labelled chips of 12 pixels.
fn labelled() -> (Vec<skysense_train::Sample>, BTreeMap<Modality, Offer>) {
    let side = 12;
    let sample = |index: usize| {
        let crop = |at: usize| (at % side / 4 + at / side / 6 + index) % 3;
        let pixels = (0..6 * side * side).map(|at| 700.0 + 600.0 * crop(at % (side * side)) as f32).collect();
        let s2 = SampleSeries { pixels, valid: vec![1; 3 * side * side], datetimes: vec![0, 86_400_000, 172_800_000] };
        let radar = (0..2 * side * side).map(|at| crop(at % (side * side)) as f32 - 15.0).collect();
        let s1 = SampleSeries { pixels: radar, valid: vec![1; 2 * side * side], datetimes: vec![0, 86_400_000] };
        let labels = (0..side * side).map(|at| crop(at) as u8 + 1).collect::<Vec<u8>>().into();
        let series = BTreeMap::from([(Modality::S2, s2), (Modality::S1, s1)]);
        skysense_train::Sample {
            series,
            labels,
            origin: [(side * index) as i64, 0],
            centre: Some([14.6, 48.2]),
            ..Default::default()
        }
    };
    let mut offers = offers();
    offers.values_mut().for_each(|offer| offer.size = side);
    ((0..3).map(sample).collect(), offers)
}

#[test]
fn the_papers_run_is_counted() {
    let hr = Offer {
        bands: ["red", "green", "blue"].map(String::from).to_vec(),
        unit: Unit::Byte,
        dtype: Dtype::U8,
        dates: 1,
        size: 2048,
        scale: 32,
    };
    let s2 = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"].map(String::from).to_vec();
    let s2 = Offer { bands: s2, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 65, size: 64, scale: 1 };
    let s1 = Offer {
        bands: vec!["VV".into(), "VH".into()],
        unit: Unit::Decibel,
        dtype: Dtype::F32,
        dates: 13,
        size: 64,
        scale: 1,
    };
    let offers = BTreeMap::from([(Modality::Hr, hr), (Modality::S2, s2), (Modality::S1, s1)]);
    let assumed = Assumed { tflops: 120.0, devices: 80 };
    let cost = pretrain_cost(&offers, 64, &PretrainConfig::paper("paper"), assumed).unwrap();
    assert_eq!(cost.samples, 875_000 * 240);
    // 2048² × 3 bytes with a byte of validity each, and the two series.
    assert_eq!(cost.place_bytes, 2048 * 2048 * 4 + 65 * 4096 * 21 + 13 * 4096 * 9);
    assert!(cost.parameters > 2_000_000_000, "{cost:?}");
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6 * expected, "{found}: {expected}");
    near(cost.device_days, cost.flop / 120e12 / 86_400.0);
    near(cost.wall_days, cost.device_days / 80.0);
    near(cost.read_bytes, 210_000_000.0 * cost.place_bytes as f64);
    near(cost.sent_bytes, 2.0 * 79.0 / 80.0 * cost.gradient_bytes as f64 * 875_000.0);
    // Three places a device: what they take is a third of what nine would, and weights stay.
    let fewer = Assumed { tflops: 120.0, devices: 27 };
    let fewer = pretrain_cost(&offers, 64, &PretrainConfig::paper("paper"), fewer).unwrap();
    assert_eq!(fewer.weight_bytes, cost.weight_bytes);
    assert!(fewer.activation_bytes > 2 * cost.activation_bytes && fewer.flop == cost.flop);
    let one = Assumed { tflops: 0.1, devices: 1 };
    let tiny = pretrain_cost(&self::offers(), SIZE, &config(10), one).unwrap();
    let twice = pretrain_cost(&self::offers(), SIZE, &config(20), one).unwrap();
    assert!((twice.flop / tiny.flop - 2.0).abs() < 1e-9 && tiny.sent_bytes == 0.0);
    for wrong in [Assumed { tflops: f64::NAN, ..one }, Assumed { devices: 0, ..one }, Assumed { devices: 5, ..one }] {
        assert!(pretrain_cost(&self::offers(), SIZE, &config(10), wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn blocks_that_are_computed_again_give_the_same_gradients() {
    let of = |checkpointing| trained(&with(config(2), |c| c.compute.checkpointing = checkpointing));
    let ((kept, a), (again, b)) = (of(Checkpointing::Off), of(Checkpointing::Blocks));
    for (kept, again) in kept.losses.iter().zip(&again.losses) {
        assert!((kept - again).abs() < 1e-3 * kept.abs(), "{kept} became {again}");
    }
    let norm = |heard: &Heard| heard.measures[0].values["gradient_norm"];
    assert!((norm(&a) - norm(&b)).abs() < 1e-3 * norm(&a), "{} became {}", norm(&a), norm(&b));
}
