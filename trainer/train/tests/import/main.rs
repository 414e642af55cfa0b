//! Published weights become a package that the product can use.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod alone;
mod geo_context;
#[path = "../../../model/tests/support/pth.rs"]
mod pth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skysense_contract::{Calendar, Class, MlmContext, Modality, Module, Offer, Package, Unit};
use skysense_model::checkpoint::{WeightFile, parameters};
use skysense_model::preset;
use skysense_train::{
    FinetuneConfig, ImportConfig, ImportFiles, NoHooks, Sample, SampleSeries, ShapeSettings, Start, TrainError, export,
    finetune, import, planned_contract,
};

use burn::tensor::Device;

/// A combined file of the tiny preset, without parameters whose names hold one of `without`.
fn file(folder: &Path, without: &[&str]) -> PathBuf {
    let model = preset("tiny").unwrap().init(&Device::default()).unwrap();
    let shapes: Vec<_> = parameters(&model, "")
        .into_iter()
        .filter(|(name, _)| !without.iter().any(|part| name.contains(part)))
        .collect();
    let path = folder.join("tiny.pth");
    pth::write(&path, &["state_dict"], &shapes, &mut |index| {
        let count: usize = shapes[index].1.iter().product();
        (0..count).map(|place| 0.05 * ((place * 31 + index * 17) % 41) as f32 / 41.0 - 0.02).collect()
    });
    path
}

fn asked(file: PathBuf) -> ImportConfig {
    ImportConfig {
        files: ImportFiles { full: Some(file), ..ImportFiles::default() },
        shapes: ShapeSettings { window: Some(4), ..ShapeSettings::default() },
        ..ImportConfig::default()
    }
}

#[test]
fn a_combined_file_becomes_a_sound_package() {
    let folder = tempfile::tempdir().unwrap();
    let config = asked(file(folder.path(), &[]));
    let made = import(&config, &folder.path().join("model")).unwrap();
    let package = Package::open(folder.path().join("model")).unwrap();
    package.verify().unwrap();
    let contract = package.contract();
    assert_eq!((contract.preset.as_str(), contract.name.as_str()), ("tiny", "model"));
    assert_eq!(contract.calendar, Calendar::S2Only);
    assert_eq!(contract.modalities[&Modality::S2].bands[0], "B02");
    assert_eq!(contract.modalities.len(), 3);
    assert!(made.report.complete());
    // No path of the machine goes into a package.
    let text = std::fs::read_to_string(folder.path().join("model/model.yaml")).unwrap();
    assert!(!text.contains(&folder.path().display().to_string()), "{text}");
    // Graphs and weights in small pieces hold the same, and the same bytes when made again.
    let small = ImportConfig { graph_limit: 10_000, shard_limit: 100_000, ..config };
    let pieces = import(&small, &folder.path().join("pieces")).unwrap().package;
    pieces.verify().unwrap();
    assert!(pieces.contract().weights_shards.len() > 3);
    assert!(pieces.contract().graphs.values().all(|graph| graph.data.is_some()));
    assert!(
        pieces.graph(Module::Hr).unwrap().metadata().unwrap().len()
            < package.graph(Module::Hr).unwrap().metadata().unwrap().len()
    );
    let values = |package: &Package| -> Vec<(String, Vec<f32>)> {
        let file = WeightFile::open(&package.weights(), None).unwrap();
        let mut all: Vec<_> = file.tensors().map(|(key, stored)| (key.to_string(), stored.floats().unwrap())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    assert_eq!(values(&package), values(&pieces));
    let shard = pieces.weights_of("fusion.cls_token").unwrap();
    assert!(WeightFile::open(&shard, None).unwrap().tensors().any(|(key, _)| key == "fusion.cls_token"));
    assert_eq!(std::fs::read(package.probe()).unwrap(), std::fs::read(pieces.probe()).unwrap());
}

#[test]
fn what_lacks_is_refused_or_drawn_from_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let config = asked(file(folder.path(), &["head_s1", "backbone_s2.layers.1.ln1.bias"]));
    let out = folder.path().join("model");
    let error = import(&config, &out).unwrap_err();
    assert!(matches!(error, TrainError::Incomplete { .. }), "{error}");
    let text = error.to_string();
    for part in ["no weights of head_s1", "missing backbone_s2.layers.1.ln1.bias of shape [128]", "--allow-missing"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!out.exists(), "nothing is written before it is known to be whole");
    // A fusion that lacks is made too.
    let config = asked(file(folder.path(), &["fusion", "head_s1", "backbone_s2.layers.1.ln1.bias"]));
    let config = ImportConfig { allow_missing: true, ..config };
    let first = import(&config, &out).unwrap().package;
    first.verify().unwrap();
    let untrained = first.contract().notes["untrained"].as_array().unwrap();
    assert!(untrained.iter().any(|name| name == "fusion.cls_token"));
    let again = import(&ImportConfig { name: Some("model".into()), ..config.clone() }, &folder.path().join("again"))
        .unwrap()
        .package;
    assert_eq!(first.contract(), again.contract());
    let other = import(&ImportConfig { seed: 1, ..config }, &folder.path().join("other")).unwrap().package;
    assert_ne!(first.contract().weights_sha256, other.contract().weights_sha256);
}

#[test]
fn a_chip_that_the_model_cannot_read_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = asked(file(folder.path(), &[]));
    for chip_size in [0, 1, 6, 100_000] {
        let out = folder.path().join("model");
        let error = import(&ImportConfig { chip_size, ..config.clone() }, &out).unwrap_err().to_string();
        assert!(error.contains("chip") || error.contains("window"), "{chip_size}: {error}");
        assert!(!out.exists());
    }
}

/// Values of a weight of a package, by input of the patch embedding.
fn inputs_of(package: &Package, module: &str) -> Vec<Vec<f32>> {
    let file = WeightFile::open(&package.weights(), None).unwrap();
    let key = format!("{module}.patch_embed.projection.weight");
    let stored = file.tensors().find(|(name, _)| *name == key).unwrap().1.clone();
    let (values, &[_, inputs, height, width]) = (stored.floats().unwrap(), stored.shape()) else { panic!("{key}") };
    let area = height * width;
    (0..inputs)
        .map(|input| values.chunks_exact(area).skip(input).step_by(inputs).flatten().copied().collect())
        .collect()
}

/// The conversions of the official code and of converters of the published weights.
#[test]
fn encoders_take_other_bands_by_the_official_rules() {
    let folder = tempfile::tempdir().unwrap();
    let config = asked(file(folder.path(), &[]));
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (nir, four) = (names(&["red", "green", "blue", "nir"]), names(&["B02", "B03", "B04", "B08"]));
    let bands = BTreeMap::from([(Modality::Hr, nir.clone()), (Modality::S2, four.clone())]);
    let plain = import(&config, &folder.path().join("plain")).unwrap().package;
    let made = import(&ImportConfig { bands: bands.clone(), ..config.clone() }, &folder.path().join("few")).unwrap();
    let package = &made.package;
    package.verify().unwrap();
    let contract = package.contract();
    assert_eq!((&contract.modalities[&Modality::Hr].bands, &contract.modalities[&Modality::S2].bands), (&nir, &four));
    let hr = &contract.modalities[&Modality::Hr];
    assert_eq!((hr.mean[3], hr.std[3]), (hr.mean[0], hr.std[0]));
    let s2 = &contract.modalities[&Modality::S2];
    assert_eq!(s2.mean[3], 2517.76053101, "B08 is the seventh of the published bands");
    // Weights: B02, B03, B04, B08 times 10/4; red, green, blue as they are, and red again.
    let (before, after) = (inputs_of(&plain, "backbone_s2"), inputs_of(package, "backbone_s2"));
    let scaled = |input: usize| before[input].iter().map(|value| 2.5 * value).collect::<Vec<_>>();
    assert_eq!(after, [0, 1, 2, 6].map(scaled));
    let (before, after) = (inputs_of(&plain, "backbone_hr"), inputs_of(package, "backbone_hr"));
    assert_eq!(after, [0, 1, 2, 0].map(|input| before[input].clone()));
    // It stands in the package, and in the report.
    let notes = &contract.notes["conversions"];
    assert!(notes["s2"].as_str().unwrap().contains("times 10/4") && notes["hr"].as_str().unwrap().contains("red"));
    assert!(contract.notes["normalisation"].as_str().unwrap().contains("nir"));
    let counted: u64 = made.report.modules.iter().map(|module| module.parameters).sum();
    let stored: usize = {
        let file = WeightFile::open(&package.weights(), None).unwrap();
        file.tensors().map(|(_, stored)| stored.count()).sum()
    };
    assert_eq!(counted as usize, stored);
    assert!(!plain.contract().notes.contains_key("conversions"));
}

/// A file whose encoders were trained with four bands keeps its weights, and must have its bands named.
#[test]
fn files_of_four_bands_keep_their_own_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mut sizes = preset("tiny").unwrap();
    sizes.hr.as_mut().unwrap().bands = 4;
    sizes.s2.as_mut().unwrap().0.bands = 4;
    let shapes = parameters(&sizes.init(&Device::default()).unwrap(), "");
    let path = folder.path().join("four.pth");
    pth::write(&path, &[], &shapes, &mut |index| {
        let count: usize = shapes[index].1.iter().product();
        (0..count).map(|place| 0.05 * ((place * 31 + index * 17) % 41) as f32 / 41.0 - 0.02).collect()
    });
    let config = asked(path.clone());
    let error = import(&config, &folder.path().join("model")).unwrap_err().to_string();
    assert!(error.contains("takes 4 bands") && error.contains("--hr-bands"), "{error}");
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let hr = (Modality::Hr, names(&["red", "green", "blue", "nir"]));
    let wrong = BTreeMap::from([hr.clone(), (Modality::S2, names(&["B02", "B03", "B04"]))]);
    let error = import(&ImportConfig { bands: wrong, ..config.clone() }, &folder.path().join("model")).unwrap_err();
    assert!(error.to_string().contains("s2_bands is B02,B03,B04, expected 4 bands"), "{error}");
    let bands = BTreeMap::from([hr, (Modality::S2, names(&["B02", "B03", "B04", "B08"]))]);
    let package = import(&ImportConfig { bands, ..config }, &folder.path().join("model")).unwrap().package;
    assert!(!package.contract().notes.contains_key("conversions"));
    let index = shapes.iter().position(|(name, _)| name == "backbone_s2.patch_embed.projection.weight").unwrap();
    let first = 0.05 * ((index * 17) % 41) as f32 / 41.0 - 0.02;
    assert_eq!(inputs_of(&package, "backbone_s2")[0][0], first);
}

/// Training goes on from a package only with data that it fits: which band, unit, size or modality does not is told.
#[test]
fn data_that_does_not_fit_the_package_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = asked(file(folder.path(), &["backbone_hr", "_s1"]));
    let config = ImportConfig { allow_missing: true, ..config };
    let package = import(&config, &folder.path().join("model")).unwrap().package;
    let input = package.contract().modalities[&Modality::S2].clone();
    let good = Offer { bands: input.bands.clone(), unit: input.unit, dtype: input.dtype, dates: 2, size: 16, scale: 1 };
    let class = |value: u8| Class { value, name: format!("class {value}"), color: "00ff00".into() };
    let mut tuning = FinetuneConfig::new("tuned", vec![class(1), class(2)]);
    tuning.recipe.start = Start::Package(package.folder().to_path_buf());
    let plan = |offers: Vec<(Modality, Offer)>| planned_contract(&offers.into_iter().collect(), &tuning);
    plan(vec![(Modality::S2, good.clone())]).unwrap();
    let s2 = |offer: Offer| vec![(Modality::S2, offer)];
    let few = Offer { bands: good.bands[..9].to_vec(), ..good.clone() };
    let byte = Offer { unit: Unit::Byte, ..good.clone() };
    for (offers, told) in [
        (s2(few), "s2 lacks band B12"),
        (s2(byte), "s2 pixels are in byte, the model takes reflectance_e4"),
        (s2(Offer { size: 32, ..good.clone() }), "s2 chips are 32 pixels wide, the model takes 16"),
        (s2(Offer { dates: 99, ..good.clone() }), "s2 has up to 99 dates a chip, the model takes 20"),
        (vec![(Modality::S2, good.clone()), (Modality::S1, good)], "it takes no s1, only s2"),
    ] {
        let error = plan(offers).unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
}

/// A model of sizes that no preset has can be trained further: its package says what they are.
#[test]
fn an_imported_model_of_its_own_sizes_learns() {
    let folder = tempfile::tempdir().unwrap();
    let mut sizes = preset("tiny").unwrap();
    (sizes.hr, sizes.s1) = (None, None);
    let (vit, up) = sizes.s2.as_mut().unwrap();
    (vit.channels, vit.heads, vit.layers, vit.position_of_class, up.channels_in) = (32, 2, 2, true, 32);
    let shapes = parameters(&sizes.init(&Device::default()).unwrap(), "");
    let path = folder.path().join("own.pth");
    pth::write_legacy(&path, &[], &shapes, &mut |index| {
        let count: usize = shapes[index].1.iter().product();
        (0..count).map(|place| 0.05 * ((place * 31 + index * 17) % 41) as f32 / 41.0 - 0.02).collect()
    });
    let config = ImportConfig { shapes: ShapeSettings { heads: Some(2), ..ShapeSettings::default() }, ..asked(path) };
    let package = import(&config, &folder.path().join("model")).unwrap().package;
    assert_eq!(package.contract().preset, "custom");
    let input = &package.contract().modalities[&Modality::S2];
    let offer =
        Offer { bands: input.bands.clone(), unit: input.unit, dtype: input.dtype, dates: 2, size: 16, scale: 1 };
    let pixels = (0..2 * 10 * 256).map(|place| (800 + place * 37 % 2000) as f32).collect();
    let series = SampleSeries { pixels, valid: vec![1; 512], datetimes: vec![86_400_000; 2] };
    let labels = (0..256).map(|place| 1 + (place / 128) as u8).collect::<Vec<u8>>().into();
    let sample = Sample { series: BTreeMap::from([(Modality::S2, series)]), labels, ..Sample::default() };
    let class = |value: u8| Class { value, name: format!("class {value}"), color: "00ff00".into() };
    let mut tuning = FinetuneConfig::new("tuned", vec![class(1), class(2)]);
    (tuning.recipe.steps, tuning.recipe.batch, tuning.recipe.block, tuning.frozen) = (2, 1, 8, true);
    tuning.recipe.start = Start::Package(package.folder().to_path_buf());
    let trained = finetune(&[sample], &BTreeMap::from([(Modality::S2, offer)]), &tuning, &mut NoHooks).unwrap();
    let tuned = export(&trained, &folder.path().join("tuned"), &MlmContext::default()).unwrap();
    assert_eq!(tuned.contract().architecture, package.contract().architecture);
    let file = |package: &Package| WeightFile::open(&package.weights(), None).unwrap();
    let (before, after) = (file(&package), file(&tuned));
    for (key, stored) in before.tensors() {
        let same = after.tensors().find(|(other, _)| *other == key).unwrap().1;
        assert_eq!(stored.floats().unwrap(), same.floats().unwrap(), "{key} of a frozen encoder");
    }
}
