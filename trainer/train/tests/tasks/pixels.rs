//! Maps of an image's own pixels: rectangles a few pixels wide, of which a map that is 32 times coarser shows nothing.

use std::collections::BTreeMap;

use skysense_contract::{Class, HeadKind, MlmContext, Modality, Offer, Package, Task};
use skysense_train::{
    FilesConfig, FinetuneConfig, Labels, NoHooks, Sample, Start, TrainError, check_weights, export, export_files,
    finetune, planned_contract,
};

use crate::fields::with;
use crate::rectangles::{self, SIDE};

/// The chips of rectangles, with a class for each pixel: ground, white, blue.
fn samples(count: usize) -> Vec<Sample> {
    let sample = |(index, sample): (usize, skysense_train::DetectionSample)| {
        let class = |place: usize| {
            let (x, y) = ((place % SIDE) as f32 + 0.5, (place / SIDE) as f32 + 0.5);
            let inside = sample.objects.iter().find(|object| {
                let area = object.area;
                let (sin, cos) = area.angle.sin_cos();
                let (x, y) = (x - area.centre[0], y - area.centre[1]);
                let (along, across) = (x * cos + y * sin, y * cos - x * sin);
                along.abs() < area.size[0] / 2.0 && across.abs() < area.size[1] / 2.0
            });
            inside.map_or(1, |object| object.class as u8 + 2)
        };
        let labels: Vec<u8> = (0..SIDE * SIDE).map(class).collect();
        Sample { labels: labels.into(), origin: [(SIDE * index) as i64, 0], ..sample.image }
    };
    rectangles::samples(count, true).into_iter().enumerate().map(sample).collect()
}

fn offers() -> BTreeMap<Modality, Offer> {
    rectangles::offers().into_iter().map(|(modality, offer)| (modality, Offer { scale: 1, ..offer })).collect()
}

fn config(steps: usize) -> FinetuneConfig {
    let class = |value: u8, name: &str| Class { value, name: name.into(), color: "00ff00".into() };
    let classes = vec![class(1, "ground"), class(2, "white"), class(3, "blue")];
    let mut config = FinetuneConfig::new("pixels", classes);
    config.head = HeadKind::Uper;
    (config.recipe.steps, config.recipe.batch, config.recipe.learning_rate) = (steps, 2, 2e-3);
    config.recipe.validation = 0.25;
    config
}

fn exported(folder: &std::path::Path, samples: &[Sample], config: &FinetuneConfig) -> (Package, f32) {
    let trained = finetune(samples, &offers(), config, &mut NoHooks).unwrap();
    (export(&trained, folder, &MlmContext::default()).unwrap(), trained.losses[0])
}

#[test]
fn classes_are_learned_at_the_pixels_of_the_image_and_go_on_learning() {
    let (samples, config) = (samples(12), config(60));
    let trained = finetune(&samples, &offers(), &config, &mut NoHooks).unwrap();
    let validation = trained.validation.as_ref().unwrap();
    // Rectangles are 16 to 42 px wide: a map of 32 px could not come near this.
    assert!(validation.main() > Some(0.8), "{}", validation.headline());
    let folder = tempfile::tempdir().unwrap();
    let package = export(&trained, &folder.path().join("package"), &MlmContext::default()).unwrap();
    assert_eq!(check_weights(&package).unwrap().problems, Vec::<String>::new());
    let contract = package.contract();
    assert!(contract.of_pixels() && contract.faults().is_empty(), "{:?}", contract.faults());
    assert_eq!((contract.chip_size, contract.channels), (SIDE, 64));
    assert_eq!(contract.notes["split"], "blocks of 128 pixels, share 0.25");
    assert_eq!(contract.graphs.keys().map(|module| module.name()).collect::<Vec<_>>(), ["hr", "head"]);
    let planned = planned_contract(&offers(), &config).unwrap();
    assert_eq!(
        (&planned.modalities[&Modality::Hr].bands, planned.channels),
        (&contract.modalities[&Modality::Hr].bands, 64)
    );

    // For other software, with chips of another side.
    let files = |side| {
        let asked = FilesConfig { chip_size: Some(side), ..FilesConfig::default() };
        export_files(&package, &asked, &folder.path().join("files"))
    };
    assert!(files(64).unwrap_err().to_string().contains("smaller than the window"));
    let written = files(256).unwrap();
    let keys: Vec<&str> = written.weights.keys().map(String::as_str).collect();
    assert_eq!((keys, written.graphs.len()), (vec!["backbone_hr", "head", "pyramid"], 2));

    let again = with(config.clone(), |c| {
        (c.recipe.start, c.recipe.steps) = (Start::Package(package.folder().to_path_buf()), 1);
    });
    let (_, loss) = exported(&folder.path().join("again"), &samples, &again);
    assert!(loss < trained.losses[0] / 2.0, "{loss} after {}", trained.losses[0]);
}

#[test]
fn an_encoder_that_learned_on_the_coarse_grid_starts_it() {
    let folder = tempfile::tempdir().unwrap();
    let coarse = rectangles::offers();
    let classed = |sample: Sample| Sample { labels: Labels::Classes([1, 2, 1, 2].repeat(4)), origin: [0, 0], ..sample };
    let labelled: Vec<Sample> = samples(2).into_iter().map(classed).collect();
    let base = with(config(1), |c| (c.head, c.recipe.validation) = (HeadKind::Light, 0.0));
    let base = finetune(&labelled, &coarse, &base, &mut NoHooks).unwrap();
    let package = export(&base, &folder.path().join("coarse"), &MlmContext::default()).unwrap();
    let start = Start::Package(package.folder().to_path_buf());
    let frozen = with(config(1), |c| {
        (c.frozen, c.recipe.start) = (true, start.clone());
    });
    let (pixels, _) = exported(&folder.path().join("pixels"), &samples(4), &frozen);
    let read = |package: &Package| {
        let bytes = std::fs::read(package.weights()).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let of = |name: &str| tensors.tensor(name).unwrap().data().to_vec();
        [of("backbone_hr.patch_embed.projection.weight"), of("backbone_hr.norm3.weight")]
    };
    assert!(read(&package) == read(&pixels), "a frozen encoder stays what the package was");

    // What suits neither is refused while planning.
    let refused = |offers: &BTreeMap<Modality, Offer>, config: &FinetuneConfig| match planned_contract(offers, config) {
        Err(TrainError::Setting { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&offers(), &with(config(1), |c| c.head = HeadKind::Light)), "head");
    let whole = with(config(1), |c| (c.task, c.head) = (Task::Classification, HeadKind::Light));
    assert_eq!(refused(&offers(), &whole), "task");
    let back = with(config(1), |c| c.recipe.start = Start::Package(pixels.folder().to_path_buf()));
    let error = planned_contract(&coarse, &back).unwrap_err().to_string();
    assert!(error.contains("hr_scale: 1"), "{error}");
}
