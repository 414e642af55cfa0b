//! The wgpu device against the CPU: forward of each module, and training. Run by `.ci/gpu` on a graphics driver on the CPU;
//! `SKYSENSE_GPU=wgpu` takes a graphics card instead.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Int, Tensor};
use skysense_contract::{Class, Dtype, MlmContext, Modality, Offer, Unit};
use skysense_model::{GeoContextConfig, SegmentationHeadConfig, SkySenseConfig, Tokens, preset};
use skysense_train::{
    Augmentation, Checkpointing, FinetuneConfig, Hooks, NoHooks, Progress, Sample, SampleSeries, TrainError,
    TrainingDevice, TrainingPrecision, export, finetune,
};

fn device() -> TrainingDevice {
    std::env::var("SKYSENSE_GPU").as_deref().unwrap_or("wgpu:software").parse().unwrap()
}

fn gpu() -> Device {
    device().open(TrainingPrecision::F32).unwrap()
}

/// Parameters are drawn when first used, so a copy would draw others.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val());
    }
}

fn drawn<M: Module>(module: M) -> M {
    module.visit(&mut Draw);
    module
}

fn draw<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Default, &Device::flex())
}

/// Fails where what a device gives is further from the CPU's than rounding of long sums explains.
fn alike<const D: usize>(what: &str, cpu: Tensor<D>, gpu: Tensor<D>) {
    let (cpu, gpu) = (cpu.into_data().try_to_vec::<f32>().unwrap(), gpu.into_data().try_to_vec::<f32>().unwrap());
    assert_eq!(cpu.len(), gpu.len(), "{what}");
    let size = cpu.iter().fold(0.0_f32, |size, value| size.max(value.abs()));
    let apart = cpu.iter().zip(&gpu).fold(0.0_f32, |apart, (a, b)| apart.max((a - b).abs()));
    eprintln!("{what}: largest value {size}, largest difference {apart:e}");
    assert!(size > 0.0 && apart <= 2e-4 * size, "{what}: {apart} at values up to {size}");
}

fn tiny() -> SkySenseConfig {
    preset("tiny").unwrap()
}

#[test]
fn encoders_and_up_heads_give_what_the_cpu_gives() {
    let gpu = gpu();
    let model = drawn(tiny().init(&Device::flex()).unwrap());
    let there = model.clone().to_device(&gpu);
    let pixels = draw([1, 3, 256, 256]);
    let run = |model: &skysense_model::SkySense, pixels| {
        model.encoders.backbone_hr.as_ref().unwrap().forward(pixels).pop().unwrap()
    };
    alike("hr", run(&model, pixels.clone()), run(&there, pixels.to_device(&gpu)));
    for (name, bands) in [("s2", 10), ("s1", 2)] {
        let pixels = draw([3, bands, 8, 8]);
        let run = |model: &skysense_model::SkySense, pixels| {
            let encoders = &model.encoders;
            let (backbone, head) = match name {
                "s2" => (&encoders.backbone_s2, &encoders.head_s2),
                _ => (&encoders.backbone_s1, &encoders.head_s1),
            };
            let features = backbone.as_ref().unwrap().forward(pixels);
            (features.clone(), head.as_ref().unwrap().forward(features))
        };
        let (features, raised) = run(&model, pixels.clone());
        let (features_there, raised_there) = run(&there, pixels.to_device(&gpu));
        alike(name, features, features_there);
        alike(&format!("head_{name}"), raised, raised_there);
    }
}

#[test]
fn fusion_prototypes_and_head_give_what_the_cpu_gives() {
    let (gpu, cpu) = (gpu(), Device::flex());
    let config = tiny().fusion;
    let fusion = drawn(config.init(&cpu));
    let features = draw([2, 3, config.channels_in, 4, 4]);
    let run = |fusion: &skysense_model::Fusion, features: Tensor<5>| {
        let device = features.device();
        fusion.forward(Tokens {
            features,
            day: Tensor::<2, Int>::from_data([[0, 10, 100], [5, 50, 300]], &device),
            calendar: Tensor::<2>::from_data([[0.0, 1.0, 1.0]; 2], &device),
            present: Some(Tensor::from_data([[true, true, false], [true, true, true]], &device)),
        })
    };
    let fused = run(&fusion, features.clone());
    alike("fusion", fused.clone(), run(&fusion.to_device(&gpu), features.to_device(&gpu)));
    let context =
        drawn(GeoContextConfig { regions: 4, prototypes: 6, channels: config.channels, width: Some(24) }.init(&cpu));
    let region = |device: &Device| Tensor::<1, Int>::from_data([3, 1], device);
    let here = context.forward(fused.clone(), region(&cpu));
    alike("geo_context", here, context.to_device(&gpu).forward(fused.clone().to_device(&gpu), region(&gpu)));
    let head = drawn(SegmentationHeadConfig { channels: config.channels, hidden: 64, classes: 5 }.init(&cpu));
    let here = head.forward(fused.clone());
    alike("segmentation_head", here, head.to_device(&gpu).forward(fused.to_device(&gpu)));
}

const SIZE: usize = 8;

fn samples() -> Vec<Sample> {
    let sample = |index: usize| {
        let class = |place: usize| (place % SIZE / 4 + index) % 2;
        let pixels =
            (0..2 * 2 * SIZE * SIZE).map(|at| 500.0 + 900.0 * class(at % 64) as f32 + (at * 7919 % 101) as f32);
        let series = SampleSeries {
            pixels: pixels.map(f32::round).collect(),
            valid: vec![1; 2 * SIZE * SIZE],
            datetimes: vec![100 * 86_400_000, 200 * 86_400_000],
        };
        let labels = (0..SIZE * SIZE).map(|place| class(place) as u8 + 1).collect::<Vec<u8>>().into();
        Sample {
            series: BTreeMap::from([(Modality::S2, series)]),
            labels,
            origin: [(SIZE * index) as i64, 0],
            ..Sample::default()
        }
    };
    (0..2).map(sample).collect()
}

fn offers() -> BTreeMap<Modality, Offer> {
    let bands = vec!["B04".to_string(), "B08".to_string()];
    BTreeMap::from([(
        Modality::S2,
        Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 2, size: SIZE, scale: 1 },
    )])
}

fn config(device: TrainingDevice) -> FinetuneConfig {
    let class = |value: u8| Class { value, name: format!("crop {value}"), color: "00ff00".into() };
    let mut config = FinetuneConfig::new("gpu", (1..=2).map(class).collect());
    (config.recipe.steps, config.recipe.batch, config.recipe.validation, config.compute.device) = (4, 2, 0.0, device);
    config.recipe.augmentation = Augmentation { dates: 1.0, modality_dropout: 0.0, ..Augmentation::default() };
    config
}

#[test]
fn training_goes_the_same_way() {
    let run = |device, checkpointing| {
        let mut config = config(device);
        config.compute.checkpointing = checkpointing;
        finetune(&samples(), &offers(), &config, &mut NoHooks).unwrap()
    };
    let cpu = run(TrainingDevice::cpu(), Checkpointing::Off);
    assert!(cpu.losses[3] < cpu.losses[0], "{:?}", cpu.losses);
    for checkpointing in [Checkpointing::Off, Checkpointing::Blocks] {
        let gpu = run(device(), checkpointing);
        eprintln!("losses {:?}, on the CPU {:?}", gpu.losses, cpu.losses);
        for (step, (a, b)) in cpu.losses.iter().zip(&gpu.losses).enumerate() {
            // The first is a forward pass alone; after that, AdamW makes large steps of gradients near zero.
            let tolerance = if step == 0 { 1e-4 } else { 2e-2 };
            assert!((a - b).abs() <= tolerance * a, "{checkpointing:?}, step {step}: {b}, on the CPU {a}");
        }
    }
}

struct Stop(usize);

impl Hooks for Stop {
    fn progress(&mut self, progress: &Progress) {
        self.0 = progress.step;
    }

    fn cancelled(&self) -> bool {
        self.0 == 2
    }
}

#[test]
fn a_killed_run_goes_on_and_its_package_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let config = {
        let mut config = config(device());
        config.recipe.checkpoint = Some(folder.path().join("checkpoints"));
        config
    };
    let stopped = finetune(&samples(), &offers(), &config, &mut Stop(0)).unwrap_err();
    assert!(matches!(stopped, TrainError::Cancelled { step: 2 }), "{stopped}");
    let trained = finetune(&samples(), &offers(), &config, &mut NoHooks).unwrap();
    assert_eq!(trained.losses.len(), 4);
    export(&trained, &folder.path().join("model"), &MlmContext::default()).unwrap().verify().unwrap();
}

#[test]
fn a_device_or_precision_that_is_not_there_is_an_error() {
    let absent: TrainingDevice = "wgpu:99".parse().unwrap();
    let error = finetune(&samples(), &offers(), &config(absent), &mut NoHooks).unwrap_err().to_string();
    assert!(error.contains("wgpu:99") && error.contains("not there"), "{error}");
    for precision in [TrainingPrecision::Bf16, TrainingPrecision::F16] {
        match device().available(precision) {
            Err(error) => assert!(error.to_string().contains(precision.name()), "{error}"),
            Ok(()) => {
                let mut config = config(device());
                config.compute.precision = precision;
                let losses = finetune(&samples(), &offers(), &config, &mut NoHooks).unwrap().losses;
                eprintln!("{precision:?}: {losses:?}");
                assert!(losses[3] < losses[0], "{precision:?}: {losses:?}");
            }
        }
    }
}
