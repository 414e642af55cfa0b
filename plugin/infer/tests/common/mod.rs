//! A tiny model with random weights as a package, and the same model in Burn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::tensor::{Dtype as Stored, TensorView};
use skysense_contract::{
    CONTRACT_VERSION, Calendar, Class, Contract, Division, Dtype, GeoContext, Head, Input, MlmContext, Modality,
    Module, PackageWriter, Probe, Unit,
};
use skysense_infer::{ChipInput, Options, Pixels, Series};
use skysense_model::{
    GeoContextConfig, Head as ModelHead, HeadConfig, Inputs, Normalisation, PixelType, SegmentationHeadConfig,
    SkySense, checkpoint, export_fusion, export_geo_context, export_head, export_hr, export_series, preset,
};

pub const SIZE: usize = 16;
pub const CLASSES: usize = 3;
pub const DATES: usize = 4;

/// The model in Burn.
pub struct Tiny {
    pub encoder: SkySense,
    pub head: ModelHead,
    pub geo_context: Option<GeoContext>,
}

impl Tiny {
    pub fn new(seed: u64) -> Self {
        Self::of("tiny", seed, None)
    }

    /// A model that has prototypes of so many regions, as wide as its features.
    pub fn with_regions(seed: u64, regions: usize) -> Self {
        let division = Division::EqualArea(regions);
        Self::of("tiny", seed, Some(GeoContext { division, cells: Vec::new(), prototypes: 5, width: None }))
    }

    /// A model of a preset.
    pub fn of(name: &str, seed: u64, geo_context: Option<GeoContext>) -> Self {
        let device = Device::flex();
        device.seed(seed);
        let mut config = preset(name).unwrap();
        config.geo_context = geo_context.as_ref().map(|context| GeoContextConfig {
            regions: context.regions(),
            prototypes: context.prototypes,
            channels: config.fusion.channels,
            width: context.width,
        });
        let head =
            HeadConfig::Light(SegmentationHeadConfig { channels: config.channels(), hidden: 32, classes: CLASSES });
        Self { encoder: config.init(&device).unwrap(), head: head.init(&device), geo_context }
    }

    /// Bytes of each module's graph.
    pub fn graphs(&self) -> BTreeMap<Module, Vec<u8>> {
        let encoders = &self.encoder.encoders;
        let hr = export_hr(encoders.backbone_hr.as_ref().unwrap(), &Normalisation::hr(), PixelType::U8, [32 * SIZE; 2]);
        let s2 = export_series(
            encoders.backbone_s2.as_ref().unwrap(),
            encoders.head_s2.as_ref().unwrap(),
            &Normalisation::s2(),
            PixelType::I16,
            [SIZE; 2],
        );
        let s1 = export_series(
            encoders.backbone_s1.as_ref().unwrap(),
            encoders.head_s1.as_ref().unwrap(),
            &Normalisation::s1(),
            PixelType::F32,
            [SIZE; 2],
        );
        let head = export_head(&self.head, self.encoder.config().channels(), [SIZE; 2]);
        let fusion = export_fusion(&self.encoder.fusion, [SIZE; 2]);
        let mut graphs: BTreeMap<Module, Vec<u8>> =
            [(Module::Hr, hr), (Module::S2, s2), (Module::S1, s1), (Module::Fusion, fusion), (Module::Head, head)]
                .into();
        if let Some(context) = &self.encoder.geo_context {
            graphs.insert(Module::GeoContext, export_geo_context(context, [SIZE; 2]));
        }
        graphs
    }

    /// Writes the package; its probe is `chip` with `shift` added to what Burn gives for it.
    pub fn write(&self, folder: &Path, chip: &Chip, shift: f32) -> PathBuf {
        let mut writer = PackageWriter::new(folder).unwrap();
        for (module, graph) in self.graphs() {
            writer.graph(module, &graph, None).unwrap();
        }
        writer.weights(&checkpoint::save(&self.encoder, "").unwrap()).unwrap();
        let output: Vec<f32> = self.logits(chip).iter().map(|value| value + shift).collect();
        writer.probe(&chip.probe(&output), 1e-4, 1e-4).unwrap();
        let config = self.encoder.config();
        let encoders = Modality::ALL.map(|modality| (modality, config.fusion.channels_in)).into();
        let contract = Contract { encoders, geo_context: self.geo_context.clone(), ..contract(config.channels()) };
        writer.finish(contract, &MlmContext::default()).unwrap();
        folder.to_path_buf()
    }

    /// What Burn gives, `[class, height, width]`.
    pub fn logits(&self, chip: &Chip) -> Vec<f32> {
        self.head.forward(self.features(chip)).into_data().try_to_vec().unwrap()
    }

    /// What Burn attaches to fused features `[channel, height, width]` in a region.
    pub fn with_prototypes(&self, fused: &[f32], region: i64) -> Vec<f32> {
        let device = Device::flex();
        let shape = [1, fused.len() / (SIZE * SIZE), SIZE, SIZE];
        let features = Tensor::<4>::from_data(TensorData::new(fused.to_vec(), shape), &device);
        let region = Tensor::<1, Int>::from_data(TensorData::new(vec![region], [1]), &device);
        let context = self.encoder.geo_context.as_ref().expect("made with regions");
        context.forward(features, region).into_data().try_to_vec().unwrap()
    }

    /// What Burn gives, `[1, channel, height, width]`.
    pub fn features(&self, chip: &Chip) -> Tensor<4> {
        self.encoder.forward(chip.inputs()).unwrap()
    }
}

fn contract(channels: usize) -> Contract {
    let input = |bands: &[&str], unit, dtype, normalisation: Normalisation, dates, scale| Input {
        bands: bands.iter().map(ToString::to_string).collect(),
        unit,
        dtype,
        mean: normalisation.mean,
        std: normalisation.std,
        dates,
        scale,
    };
    let s2 = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];
    let class = |value: u8| Class { value, name: format!("class {value}"), color: "808080".into() };
    Contract {
        contract: CONTRACT_VERSION,
        name: "tiny-random".into(),
        preset: "tiny".into(),
        modalities: BTreeMap::from([
            (Modality::Hr, input(&["red", "green", "blue"], Unit::Byte, Dtype::U8, Normalisation::hr(), 1, 32)),
            (Modality::S2, input(&s2, Unit::ReflectanceE4, Dtype::I16, Normalisation::s2(), DATES, 1)),
            (Modality::S1, input(&["VV", "VH"], Unit::Decibel, Dtype::F32, Normalisation::s1(), DATES, 1)),
        ]),
        chip_size: SIZE,
        margin: 2,
        channels,
        encoders: BTreeMap::new(),
        calendar: Calendar::S2Only,
        geo_context: None,
        head: Some(Head::of(skysense_contract::Task::Segmentation, (1..=CLASSES as u8).map(class).collect())),
        graphs: BTreeMap::new(),
        probe: Probe { path: String::new(), sha256: String::new(), absolute: 0.0, relative: 0.0 },
        licence: "Apache-2.0".into(),
        weights_sha256: String::new(),
        weights_shards: Vec::new(),
        architecture: None,
        notes: BTreeMap::new(),
    }
}

/// A chip with made-up pixels.
#[derive(Clone)]
pub struct Chip {
    pub hr: Vec<u8>,
    pub s2: Vec<i16>,
    pub s1: Vec<f32>,
    pub days: [Vec<i64>; 2],
    pub times: [Vec<i64>; 2],
    pub region: Option<i64>,
}

impl Chip {
    /// Pixels that differ with `seed`, and this many dates of S2 and S1.
    pub fn new(seed: usize, [s2, s1]: [usize; 2]) -> Self {
        // A fixed permutation polynomial: repeatable, without structure on the scale of a chip.
        let noise = |i: usize| (i * 7919 + seed * 104_729 + i * i % 8191) % 4001;
        let area = SIZE * SIZE;
        let days = |count: usize| (0..count as i64).map(|date| 31 * date + seed as i64).collect::<Vec<_>>();
        let times = |days: &[i64]| days.iter().map(|day| day * 86_400_000).collect();
        let days = [days(s2), days(s1)];
        Self {
            hr: (0..3 * 1024 * area).map(|i| (noise(i) % 256) as u8).collect(),
            s2: (0..s2 * 10 * area).map(|i| noise(i) as i16).collect(),
            s1: (0..s1 * 2 * area).map(|i| noise(i) as f32 / 200.0 - 25.0).collect(),
            times: [times(&days[0]), times(&days[1])],
            days,
            region: None,
        }
    }

    /// The same chip in a region.
    pub fn in_region(self, region: i64) -> Self {
        Self { region: Some(region), ..self }
    }

    pub fn s2_series(&self) -> Series<'_> {
        Series { pixels: Pixels::I16(&self.s2), valid: None, datetimes: &self.times[0] }
    }

    pub fn s1_series(&self) -> Series<'_> {
        Series { pixels: Pixels::F32(&self.s1), valid: None, datetimes: &self.times[1] }
    }

    pub fn hr_series(&self) -> Series<'_> {
        Series { pixels: Pixels::U8(&self.hr), valid: None, datetimes: &[0] }
    }

    pub fn all(&self) -> ChipInput<'_> {
        let pixels = ChipInput::default().with_hr(self.hr_series()).with_s2(self.s2_series()).with_s1(self.s1_series());
        ChipInput { region: self.region, ..pixels }
    }

    /// The same for Burn, normalised.
    pub fn inputs(&self) -> Inputs {
        let device = Device::flex();
        let side = 32 * SIZE;
        let wide = self.hr.iter().map(|v| f32::from(*v)).collect::<Vec<_>>();
        let hr = Tensor::<4>::from_data(TensorData::new(wide, [1, 3, side, side]), &device);
        let series = |values: Vec<f32>, band: usize, days: &[i64], normalisation: Normalisation| {
            let time = days.len();
            let pixels = Tensor::<4>::from_data(TensorData::new(values, [time, band, SIZE, SIZE]), &device);
            skysense_model::Series {
                pixels: normalisation.forward(pixels).unsqueeze_dim(0),
                day: Tensor::<2, Int>::from_data(TensorData::new(days.to_vec(), [1, time]), &device),
                present: None,
            }
        };
        let s2 = self.s2.iter().map(|v| f32::from(*v)).collect();
        Inputs {
            hr: Some(Normalisation::hr().forward(hr)),
            s2: Some(series(s2, 10, &self.days[0], Normalisation::s2())),
            s1: Some(series(self.s1.clone(), 2, &self.days[1], Normalisation::s1())),
            region: self.region.map(|region| Tensor::from_data(TensorData::new(vec![region], [1]), &device)),
            ..Inputs::default()
        }
    }

    fn probe(&self, output: &[f32]) -> Vec<u8> {
        let side = 32 * SIZE;
        let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let ints = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let (t2, t1) = (self.days[0].len(), self.days[1].len());
        let mut tensors = vec![
            ("hr", Stored::U8, vec![1, 1, 3, side, side], self.hr.clone()),
            ("s2", Stored::I16, vec![1, t2, 10, SIZE, SIZE], self.s2.iter().flat_map(|v| v.to_le_bytes()).collect()),
            ("s1", Stored::F32, vec![1, t1, 2, SIZE, SIZE], floats(&self.s1)),
            ("s2.day", Stored::I64, vec![1, t2], ints(&self.days[0])),
            ("s1.day", Stored::I64, vec![1, t1], ints(&self.days[1])),
            ("output", Stored::F32, vec![1, CLASSES, SIZE, SIZE], floats(output)),
        ];
        tensors.extend(self.region.map(|region| ("region", Stored::I64, vec![1], ints(&[region]))));
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()
    }
}

/// Options that keep their marker in `cache`.
pub fn options(cache: &Path) -> Options {
    Options { cache: Some(cache.to_path_buf()), threads: 1, ..Options::default() }
}

/// The largest |a − b|, after holding each to |a − b| ≤ 1e-4 + 1e-4·|b|.
pub fn hold(what: &str, ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "{what}: count of values");
    let mut worst = 0.0_f64;
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let difference = f64::from((a - b).abs());
        assert!(difference <= 1e-4 + 1e-4 * f64::from(b.abs()), "{what}: value {index} is {a}, expected {b}");
        worst = worst.max(difference);
    }
    println!("{what}: largest difference {worst:.2e}");
    worst
}
