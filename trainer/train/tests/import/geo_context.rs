//! Prototypes by region: from a file into a package, out of it again, and into training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use skysense_contract::{Class, Division, GeoContext, MlmContext, Modality, Module, Offer, Package};
use skysense_model::checkpoint::{WeightFile, parameters};
use skysense_model::{GeoContextConfig, preset};
use skysense_train::{
    FilesConfig, FinetuneConfig, ImportConfig, NoHooks, Regions, Sample, SampleSeries, Start, export, export_files,
    finetune, import, planned_contract,
};

use super::{asked, file, pth};

/// A file of prototypes of so many regions, with a width of their own or without.
fn prototypes(folder: &Path, regions: usize, width: Option<usize>) -> PathBuf {
    let channels = preset("tiny").unwrap().fusion.channels;
    let made = GeoContextConfig { regions, prototypes: 5, channels, width }.init(&Device::default());
    let shapes = parameters(&made, "");
    let path = folder.join("prototypes.pth");
    pth::write(&path, &[], &shapes, &mut |index| {
        let count: usize = shapes[index].1.iter().product();
        (0..count).map(|place| ((place * 37 + index * 11) % 83) as f32 / 83.0 - 0.5).collect()
    });
    path
}

fn with(folder: &Path, prototypes: PathBuf, regions: Option<Regions>) -> ImportConfig {
    let mut config = asked(file(folder, &[]));
    (config.files.geo_context, config.regions) = (Some(prototypes), regions);
    config
}

fn all(division: Division) -> Option<Regions> {
    Some(Regions { division, cells: Vec::new() })
}

fn tensors(package: &Package) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = WeightFile::open(&package.weights(), None).unwrap();
    file.tensors().map(|(key, at)| (key.to_owned(), (at.shape().to_vec(), at.floats().unwrap()))).collect()
}

#[test]
fn prototypes_of_both_readings_come_in_and_go_out() {
    for (name, width, regions) in [
        ("plain", None, all(Division::EqualArea(16))),
        (
            "projected",
            Some(24),
            Some(Regions { division: Division::WebMercator(4), cells: (0..32).step_by(2).collect() }),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = with(folder.path(), prototypes(folder.path(), 16, width), regions.clone());
        let package = import(&config, &folder.path().join(name)).unwrap().package;
        package.verify().unwrap();
        let contract = package.contract();
        let Regions { division, cells } = regions.clone().unwrap();
        let stated = GeoContext { division, cells, prototypes: 5, width };
        assert_eq!(contract.geo_context.as_ref(), Some(&stated), "{name}");
        assert_eq!(contract.channels, 2 * preset("tiny").unwrap().fusion.channels);
        assert!(contract.graphs.contains_key(&Module::GeoContext));
        let check = skysense_train::check_weights(&package).unwrap();
        assert!(check.problems.is_empty(), "{name}: {:?}", check.problems);
        // Large tables lie beside their graph.
        let small = ImportConfig { graph_limit: 100, ..config.clone() };
        let beside = import(&small, &folder.path().join("beside")).unwrap().package;
        assert!(beside.contract().graphs[&Module::GeoContext].data.is_some());
        // Out, and in again: the same tensors.
        let out = folder.path().join("files");
        let modules = vec![Module::GeoContext];
        let written = export_files(&package, &FilesConfig { modules, ..FilesConfig::default() }, &out).unwrap();
        assert_eq!(written.weights["geo_context"].tensors, if width.is_some() { 3 } else { 1 });
        assert!(out.join("geo_context.onnx").is_file());
        let text = std::fs::read_to_string(out.join(written.regions.unwrap())).unwrap();
        let again: Regions = serde_json::from_str(&text).unwrap();
        assert_eq!(Some(&again), regions.as_ref());
        let config = with(folder.path(), out.join("geo_context.safetensors"), Some(again));
        let second = import(&config, &folder.path().join("second")).unwrap().package;
        assert_eq!(tensors(&package), tensors(&second), "{name}");
    }
}

#[test]
fn prototypes_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let told = |config: &ImportConfig| import(config, &folder.path().join("model")).unwrap_err().to_string();
    let table = prototypes(folder.path(), 16, None);
    let error = told(&with(folder.path(), table.clone(), None));
    assert!(error.contains("regions is lacking") && error.contains("16 regions"), "{error}");
    let error = told(&with(folder.path(), table.clone(), all(Division::WebMercator(6))));
    assert!(error.contains("web_mercator:6 with 4096 regions") && error.contains("16, as many"), "{error}");
    let mut config = with(folder.path(), table, all(Division::EqualArea(16)));
    config.files.geo_context = None;
    assert!(told(&config).contains("the files hold no prototypes"));
    // As wide as they like, but not without projections.
    let narrow = GeoContextConfig { regions: 4, prototypes: 2, channels: 8, width: None }.init(&Device::default());
    let path = folder.path().join("narrow.pth");
    pth::write(&path, &[], &parameters(&narrow, ""), &mut |_| vec![0.0; 64]);
    let error = told(&with(folder.path(), path, all(Division::EqualArea(4))));
    assert!(error.contains("8 channels without projections") && error.contains("64"), "{error}");
    assert!(!folder.path().join("model").exists());
}

/// Fine-tuning uses the prototypes of the package, or leaves them out; they stay as they are, their projections learn.
#[test]
fn training_goes_on_with_prototypes_or_without() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(folder.path(), prototypes(folder.path(), 16, Some(24)), all(Division::EqualArea(16)));
    let package = import(&config, &folder.path().join("model")).unwrap().package;
    let input = &package.contract().modalities[&Modality::S2];
    let offer =
        Offer { bands: input.bands.clone(), unit: input.unit, dtype: input.dtype, dates: 1, size: 16, scale: 1 };
    let offers = BTreeMap::from([(Modality::S2, offer)]);
    let sample = |centre: Option<[f64; 2]>| {
        let pixels = (0..10 * 256).map(|place| (800 + place * 37 % 2000) as f32).collect();
        let series = SampleSeries { pixels, valid: vec![1; 256], datetimes: vec![86_400_000] };
        let labels = (0..256).map(|place| 1 + (place / 128) as u8).collect::<Vec<u8>>().into();
        Sample { series: BTreeMap::from([(Modality::S2, series)]), labels, centre, ..Sample::default() }
    };
    let class = |value: u8| Class { value, name: format!("class {value}"), color: "00ff00".into() };
    let mut tuning = FinetuneConfig::new("tuned", vec![class(1), class(2)]);
    (tuning.recipe.steps, tuning.recipe.batch, tuning.recipe.block) = (2, 1, 8);
    tuning.recipe.start = Start::Package(package.folder().to_path_buf());
    let run = |config: &FinetuneConfig, sample: Sample, name: &str| {
        let trained = finetune(&[sample], &offers, config, &mut NoHooks)?;
        export(&trained, &folder.path().join(name), &MlmContext::default())
    };
    let error = run(&tuning, sample(None), "nowhere").unwrap_err().to_string();
    assert!(error.contains("no longitude and latitude"), "{error}");
    let with = run(&tuning, sample(Some([14.6, 48.2])), "with").unwrap();
    assert_eq!(with.contract().geo_context, package.contract().geo_context);
    assert_eq!(planned_contract(&offers, &tuning).unwrap().channels, with.contract().channels);
    let (before, after) = (tensors(&package), tensors(&with));
    let key = |name: &str| format!("geo_context.{name}");
    assert_eq!(before[&key("prototypes")], after[&key("prototypes")], "prototypes have no gradient");
    for name in ["query.weight", "context.weight"] {
        assert_ne!(before[&key(name)], after[&key(name)], "{name}");
    }
    tuning.prototypes = false;
    let without = run(&tuning, sample(None), "without").unwrap();
    assert_eq!((&without.contract().geo_context, without.contract().channels), (&None, 64));
    assert!(tensors(&without).keys().all(|name| !name.starts_with("geo_context")));
    assert!(skysense_train::check_weights(&without).unwrap().problems.is_empty());
}
