//! Models of every kind of input through ONNX Runtime, against Burn and against themselves.
//!
//! Needs ONNX Runtime where the search looks (`./x` puts it into the cache folder).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod common;

use std::collections::BTreeMap;

use common::{CLASSES, Chip, DATES, SIZE, Tiny, hold, options};
use skysense_contract::{BandRule, Dtype, Modality, Offer, Package, Unit};
use skysense_infer::{ChipInput, Device, InferError, Maps, Model, Options, Pixels, ProbeRule, Series};

struct Case {
    _folder: tempfile::TempDir,
    options: Options,
    package: Package,
    tiny: Tiny,
    chip: Chip,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let (tiny, chip) = (Tiny::new(1), Chip::new(1, [DATES, 2]));
    let package = Package::open(tiny.write(&folder.path().join("model"), &chip, 0.0)).unwrap();
    Case { options: options(&folder.path().join("cache")), _folder: folder, package, tiny, chip }
}

impl Case {
    fn open(&self) -> Model {
        Model::load(self.package.clone(), self.options.clone()).unwrap()
    }
}

#[test]
fn the_whole_model_agrees_with_burn() {
    let case = case();
    let model = case.open();
    let features = model.features(&[case.chip.all()]).unwrap();
    hold("features", &features.values, &case.tiny.features(&case.chip).into_data().try_to_vec::<f32>().unwrap());
    let probabilities = model.predict(&[case.chip.all()]).unwrap();
    let logits = case.tiny.logits(&case.chip);
    let area = SIZE * SIZE;
    for place in 0..area {
        let exp: Vec<f32> = (0..CLASSES).map(|class| logits[class * area + place].exp()).collect();
        for class in 0..CLASSES {
            let expected = exp[class] / exp.iter().sum::<f32>();
            assert!((probabilities.values[class * area + place] - expected).abs() < 1e-4);
        }
    }
    assert!(probabilities.valid.iter().all(|valid| *valid == 1));
    let report = Model::verify(&case.package, &case.options).unwrap();
    assert_eq!(report.values, CLASSES * area);
}

#[test]
fn bits_depend_neither_on_batch_nor_on_threads() {
    let case = case();
    let owned: Vec<Chip> = (0..7).map(|seed| Chip::new(seed, [1 + seed % DATES, seed % 3])).collect();
    let chips: Vec<ChipInput> = owned
        .iter()
        .enumerate()
        .map(|(index, chip)| match index % 3 {
            0 => ChipInput::default().with_s2(chip.s2_series()),
            1 => chip.all(),
            _ => ChipInput::default().with_s1(chip.s1_series()).with_s2(chip.s2_series()),
        })
        .collect();
    let run = |batch, threads| -> Maps {
        let options = Options { batch, threads, ..case.options.clone() };
        Model::load(case.package.clone(), options).unwrap().features(&chips).unwrap()
    };
    let bits = |maps: &Maps| maps.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let one = run(1, 1);
    for (batch, threads) in [(7, 1), (1, 2), (7, 2), (3, 4)] {
        assert_eq!(bits(&run(batch, threads)), bits(&one), "batch {batch}, threads {threads}");
    }
    let model = case.open();
    for (index, chip) in chips.iter().enumerate() {
        let alone = model.features(std::slice::from_ref(chip)).unwrap();
        assert_eq!(bits(&alone), one.chip(index).iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn any_subset_of_modalities_and_dates_runs_and_matters() {
    let case = case();
    let model = case.open();
    let chip = &case.chip;
    let area = 10 * SIZE * SIZE;
    let first = Series { pixels: Pixels::I16(&chip.s2[..area]), valid: None, datetimes: &chip.times[0][..1] };
    let none = ChipInput::default();
    let subsets = [
        none.with_hr(chip.hr_series()),
        none.with_s2(chip.s2_series()),
        none.with_s1(chip.s1_series()),
        none.with_s2(first),
        chip.all(),
    ];
    let maps = model.features(&subsets).unwrap();
    for a in 0..subsets.len() {
        assert!(maps.chip(a).iter().all(|value| value.is_finite()));
        for b in 0..a {
            assert_ne!(maps.chip(a), maps.chip(b), "subsets {a} and {b}");
        }
    }
    // A date that is wholly invalid is as if it were not there, and a chip without any is said to be invalid.
    let mut valid = vec![0_u8; DATES * SIZE * SIZE];
    valid[..SIZE * SIZE].fill(1);
    let masked = Series { valid: Some(&valid), ..chip.s2_series() };
    let empty = Series { valid: Some(&vec![0; DATES * SIZE * SIZE]), ..chip.s2_series() };
    let again = model.features(&[none.with_s2(masked), none.with_s2(empty), none]).unwrap();
    assert_eq!(again.chip(0), maps.chip(3));
    for index in [1, 2] {
        assert!(again.chip_valid(index).iter().all(|valid| *valid == 0));
        assert!(again.chip(index).iter().all(|value| *value == 0.0));
    }
}

#[test]
fn padding_to_the_plan_changes_no_bit() {
    let case = case();
    let short = Chip::new(5, [2, 0]);
    let chips = [ChipInput::default().with_s2(short.s2_series())];
    let planned = |dates: usize| {
        let dates = BTreeMap::from([(Modality::Hr, 0), (Modality::S2, dates), (Modality::S1, 0)]);
        let options = Options { dates, ..case.options.clone() };
        Model::load(case.package.clone(), options).unwrap().features(&chips).unwrap()
    };
    assert_eq!(planned(2), planned(4));
}

#[test]
fn missing_bands_are_left_out_by_the_rule_of_the_official_code() {
    let case = case();
    let bands: Vec<String> = ["B02", "B03", "B04", "B08"].map(String::from).to_vec();
    let offer = Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 1, size: SIZE, scale: 1 };
    let offers = BTreeMap::from([(Modality::S2, offer)]);
    let binding = case.package.contract().bind(&offers, BandRule::Subset).unwrap();
    let options = Options { binding: Some(binding), ..case.options.clone() };
    let model = Model::load(case.package.clone(), options).unwrap();
    assert_eq!(model.record().left_out[&Modality::S2].len(), 6);

    // The same by hand: absent bands at their mean (zero after normalisation), the others C/k times as far from it.
    let area = SIZE * SIZE;
    let four = &case.chip.s2[..4 * area];
    let series = Series { pixels: Pixels::I16(four), valid: None, datetimes: &[0] };
    let found = model.features(&[ChipInput::default().with_s2(series)]).unwrap();
    let normalisation = skysense_model::Normalisation::s2();
    let mut normalised = vec![0.0_f32; 10 * area];
    for (source, band) in [0, 1, 2, 6].into_iter().enumerate() {
        for place in 0..area {
            let pixel = f64::from(four[source * area + place]);
            let value = (pixel - normalisation.mean[band]) / normalisation.std[band] * 10.0 / 4.0;
            normalised[band * area + place] = value as f32;
        }
    }
    let device = burn::tensor::Device::flex();
    let data = burn::tensor::TensorData::new(normalised, [1, 1, 10, SIZE, SIZE]);
    let series = skysense_model::Series {
        pixels: burn::tensor::Tensor::from_data(data, &device),
        day: burn::tensor::Tensor::zeros([1, 1], &device),
        present: None,
    };
    let inputs = skysense_model::Inputs { s2: Some(series), ..Default::default() };
    let expected = case.tiny.encoder.forward(inputs).unwrap().into_data().try_to_vec::<f32>().unwrap();
    hold("four of ten bands", &found.values, &expected);
}

#[test]
fn a_probe_that_does_not_match_is_named_and_one_that_does_is_remembered() {
    let case = case();
    let folder = tempfile::tempdir().unwrap();
    let wrong = case.tiny.write(&folder.path().join("model"), &case.chip, 0.5);
    let error = Model::open(&wrong, options(folder.path())).unwrap_err();
    let InferError::Probe { difference, .. } = error else { panic!("{error}") };
    assert!((difference - 0.5).abs() < 1e-3, "{difference}");

    let cache = folder.path().join("cache");
    let once = Options { cache: Some(cache.clone()), ..case.options.clone() };
    Model::load(case.package.clone(), once.clone()).unwrap();
    let markers = || std::fs::read_dir(cache.join("probes")).unwrap().count();
    assert_eq!(markers(), 1);
    let model = Model::load(case.package.clone(), Options { probe: ProbeRule::Once, ..once }).unwrap();
    assert_eq!(markers(), 1);
    assert_eq!(model.record().optimisation, "extended");
}

#[test]
fn a_device_that_is_not_there_is_an_error_and_auto_says_what_it_took() {
    let case = case();
    let has_cuda = skysense_infer::runtime_info(None).unwrap().devices.contains(&"cuda".to_string());
    let cuda = Model::load(case.package.clone(), Options { device: Device::Cuda(99), ..case.options.clone() });
    assert!(matches!(cuda.unwrap_err(), InferError::Device { .. }), "there are not a hundred GPUs");
    if !has_cuda {
        let auto = Model::load(case.package.clone(), Options { device: Device::Auto, ..case.options.clone() });
        assert_eq!(auto.unwrap().record().device, "cpu");
    }
}

#[test]
fn chips_that_do_not_fit_are_named() {
    let case = case();
    let model = case.open();
    let good = ChipInput::default().with_s2(case.chip.s2_series());
    let short = Series { pixels: Pixels::I16(&case.chip.s2[1..]), ..case.chip.s2_series() };
    let error = model.features(&[good, good.with_s2(short)]).unwrap_err().to_string();
    assert!(error.contains("chip 1 of the batch, s2"), "{error}");
}

/// One encoder alone gives what it gives in the whole model, before the fusion.
#[test]
fn an_encoder_alone_gives_its_own_features() {
    let case = case();
    let chip = Chip::new(1, [1, 1]);
    let open = |encoder| Model::load(case.package.clone(), Options { encoder, ..case.options.clone() }).unwrap();
    let tokens = case.tiny.encoder.tokens(&chip.inputs()).unwrap().features;
    let [_, _, channels, ..] = tokens.dims();
    for (place, modality) in Modality::ALL.into_iter().enumerate() {
        let features = open(Some(modality)).features(&[chip.all()]).unwrap();
        assert_eq!((features.chips, features.channels), (1, channels));
        let own = tokens.clone().narrow(1, place, 1).into_data().try_to_vec::<f32>().unwrap();
        hold(&format!("{modality} alone"), &features.values, &own);
    }
    let two = Chip::new(1, [2, 1]);
    let error = open(Some(Modality::S2)).features(&[two.all()]).unwrap_err().to_string();
    assert!(error.contains("at most 1"), "{error}");
    // Chips without it give nothing, and say so.
    let other = ChipInput::default().with_s1(chip.s1_series());
    let nothing = open(Some(Modality::S2)).features(&[other]).unwrap();
    assert!(nothing.values.iter().all(|value| *value == 0.0) && nothing.valid.iter().all(|valid| *valid == 0));
}

/// Packages before channels of encoders were written down tell them by their fusion.
#[test]
fn a_contract_without_channels_of_encoders_is_read() {
    let case = case();
    let path = case.package.folder().join(skysense_contract::CONTRACT_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("encoders:\n").unwrap();
    let after: Vec<&str> = rest.lines().skip_while(|line| line.starts_with(' ')).collect();
    std::fs::write(&path, format!("{before}{}\n", after.join("\n"))).unwrap();
    let package = Package::open(case.package.folder()).unwrap();
    assert!(package.contract().encoders.is_empty());
    let before = case.open().features(&[case.chip.all()]).unwrap();
    let model = Model::load(package.clone(), case.options.clone()).unwrap();
    assert_eq!(model.features(&[case.chip.all()]).unwrap(), before);
    let check = Model::check(&package, &case.options).unwrap();
    assert!(check.problems.is_empty() && check.probe.is_some(), "{:?}", check.problems);
    assert_eq!(check.modules, package.contract().graphs.keys().copied().collect::<Vec<_>>());
}
