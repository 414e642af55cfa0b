//! Packages in 16 and 8 bit through ONNX Runtime: as like to f32 as their precision says, and the same bits for any
//! batch and any threads.
//!
//! Needs ONNX Runtime where the search looks (`./x` puts it into the cache folder).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod common;
#[allow(unreachable_pub, reason = "shared with a benchmark")]
#[path = "common/reduce.rs"]
mod reduce;

use std::collections::BTreeMap;

use common::{Chip, DATES, SIZE, Tiny, options};
use reduce::reduced;
use skysense_contract::{BandRule, Dtype, Modality, Module, Offer, Package, Unit};
use skysense_infer::{ChipInput, InferError, Maps, Model, Options, likeness};
use skysense_train::Precision;

struct Case {
    folder: tempfile::TempDir,
    options: Options,
    package: Package,
}

fn case(tiny: &Tiny, chip: &Chip) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let package = Package::open(tiny.write(&folder.path().join("model"), chip, 0.0)).unwrap();
    Case { options: options(&folder.path().join("cache")), package, folder }
}

impl Case {
    fn reduced(&self, precision: Precision) -> Package {
        reduced(&self.package, precision, self.folder.path(), &self.options)
    }
}

fn bits(maps: &Maps) -> Vec<u32> {
    maps.values.iter().map(|value| value.to_bits()).collect()
}

/// Bytes of all graphs.
fn size(package: &Package) -> u64 {
    package.contract().graphs.values().map(|graph| graph.size).sum()
}

#[test]
fn features_stay_as_like_as_the_precision_allows() {
    let case = case(&Tiny::new(1), &Chip::new(1, [DATES, 2]));
    let whole = size(&case.package);
    // Bounds for a random model: a mantissa of 11 bits, of 8, integers of 8 bits, integers of both factors.
    for (precision, least, share) in [
        (Precision::Fp16, 0.999_99, 0.65),
        (Precision::Bf16, 0.999, 0.65),
        (Precision::Int8, 0.999, 0.55),
        (Precision::Int8Dynamic, 0.98, 0.55),
        (Precision::Int8Static, 0.98, 0.55),
    ] {
        let small = case.reduced(precision);
        let found = likeness(&case.package, &small, &case.options).unwrap();
        let part = size(&small) as f64 / whole as f64;
        println!("{precision}: {found:?}, graphs {part:.3} of the size");
        assert!(found.feature_cosine > least, "{precision}: {found:?}");
        assert!(found.largest_difference > 0.0, "{precision} changes nothing");
        assert!(part < share, "{precision}: {part} of the size");
        assert_eq!(small.contract().precision(), precision.name());
        // The probe's output is that of the float model, and the tolerance is what was measured.
        let report = Model::verify(&small, &case.options).unwrap();
        assert!((report.largest - found.largest_difference).abs() < 1e-9);
        assert_eq!(small.contract().probe.sha256, case.package.contract().probe.sha256);
    }
}

#[test]
fn bits_depend_neither_on_batch_nor_on_threads() {
    let case = case(&Tiny::new(1), &Chip::new(1, [DATES, 2]));
    let owned: Vec<Chip> = (0..7).map(|seed| Chip::new(seed, [1 + seed % DATES, seed % 3])).collect();
    let none = ChipInput::default();
    let input = |chip: usize| match chip % 3 {
        0 => none.with_s2(owned[chip].s2_series()),
        1 => owned[chip].all(),
        _ => none.with_s1(owned[chip].s1_series()).with_s2(owned[chip].s2_series()),
    };
    let chips: Vec<ChipInput<'_>> = (0..owned.len()).map(input).collect();
    for precision in Precision::ALL {
        let package = case.reduced(precision);
        let run = |batch, threads| {
            let options = Options { batch, threads, ..case.options.clone() };
            Model::load(package.clone(), options).unwrap().features(&chips).unwrap()
        };
        let one = run(1, 1);
        for (batch, threads) in [(7, 1), (1, 2), (3, 2), (7, 4)] {
            assert_eq!(bits(&run(batch, threads)), bits(&one), "{precision}: batch {batch}, threads {threads}");
        }
    }
}

#[test]
fn missing_bands_are_left_out_of_a_small_model_too() {
    let case = case(&Tiny::new(1), &Chip::new(1, [DATES, 2]));
    let contract = case.package.contract();
    let bands: Vec<String> = contract.modalities[&Modality::S2].bands[..4].to_vec();
    let offer = Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: DATES, size: SIZE, scale: 1 };
    let binding = contract.bind(&[(Modality::S2, offer)].into(), BandRule::Subset).unwrap();
    let chip = Chip::new(3, [1, 0]);
    let pixels = skysense_infer::Pixels::I16(&chip.s2[..4 * SIZE * SIZE]);
    let input = ChipInput::default().with_s2(skysense_infer::Series { pixels, ..chip.s2_series() });
    let run = |package: &Package| {
        let options = Options { binding: Some(binding.clone()), ..case.options.clone() };
        Model::load(package.clone(), options).unwrap().features(&[input]).unwrap()
    };
    let expected = run(&case.package);
    for precision in Precision::ALL {
        let found = run(&case.reduced(precision));
        let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let apart: Vec<f32> = found.values.iter().zip(&expected.values).map(|(a, b)| a - b).collect();
        assert!(norm(&apart) < 0.2 * norm(&expected.values), "{precision}");
    }
}

#[test]
fn a_model_with_prototypes_can_be_made_small() {
    let chip = Chip::new(1, [DATES, 2]).in_region(3);
    let case = case(&Tiny::with_regions(2, 7), &chip);
    for precision in Precision::ALL {
        let found = likeness(&case.package, &case.reduced(precision), &case.options).unwrap();
        assert!(found.feature_cosine > 0.97, "{precision}: {found:?}");
    }
}

#[test]
fn a_graph_with_strange_outputs_is_no_calibration() {
    let case = case(&Tiny::new(1), &Chip::new(1, [DATES, 2]));
    let error = skysense_infer::ranges(&case.package, &[&case.package.weights()], &case.options).unwrap_err();
    assert!(matches!(error, InferError::ProbeFile { .. }), "{error}");
    let (seen, chips) = skysense_infer::ranges(&case.package, &[&case.package.probe()], &case.options).unwrap();
    assert!(chips == 1 && seen.values().all(|ranges| ranges.is_empty()), "the graphs of the package show nothing");
}

/// Operators of each kind in a graph as ONNX Runtime runs it.
fn operators(graph: &std::path::Path, folder: &std::path::Path) -> BTreeMap<&'static str, usize> {
    use ort::session::{Session, builder::GraphOptimizationLevel};
    let environment = skysense_infer::environment(None).unwrap();
    let optimised = folder.join("optimised.onnx");
    // The level of every session of this crate.
    assert_eq!(skysense_infer::OPTIMISATION, "extended");
    let builder = Session::builder(&environment).unwrap();
    let builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).unwrap();
    let _session = builder.with_optimized_model_path(&optimised).unwrap().commit_from_file(graph).unwrap();
    let bytes = std::fs::read(&optimised).unwrap();
    // The kind of a node is its field 4, a text: tag 0x22, length, letters.
    let count = |kind: &str| {
        let field = [&[0x22, kind.len() as u8], kind.as_bytes()].concat();
        bytes.windows(field.len()).filter(|window| *window == field).count()
    };
    let kinds = ["MatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DequantizeLinear"];
    kinds.into_iter().map(|kind| (kind, count(kind))).collect()
}

/// What is stored as integers is multiplied as integers: ONNX Runtime fuses each product with its scales into one kernel.
#[test]
fn integer_products_are_fused_into_integer_kernels() {
    let case = case(&Tiny::new(1), &Chip::new(1, [DATES, 2]));
    let of = |package: &Package, module| operators(&package.graph(module).unwrap(), case.folder.path());
    let (float, small, dynamic, fixed) = (
        &case.package,
        case.reduced(Precision::Int8),
        case.reduced(Precision::Int8Dynamic),
        case.reduced(Precision::Int8Static),
    );
    for module in [Module::Hr, Module::S2, Module::S1, Module::Fusion] {
        let all = of(float, module)["MatMul"];
        let (dynamic, fixed) = (of(&dynamic, module), of(&fixed, module));
        println!("{module}: {all} products; dynamic {dynamic:?}; static {fixed:?}");
        // Products of two activations stay as they are; every other one is an integer kernel in both.
        let kernels = fixed["MatMulIntegerToFloat"];
        assert!(kernels >= 6 && kernels + fixed["MatMul"] == all, "{module}: {fixed:?} of {all}");
        assert_eq!((dynamic["DynamicQuantizeMatMul"], dynamic["MatMul"]), (kernels, fixed["MatMul"]), "{module}");
        for found in [&dynamic, &fixed] {
            assert_eq!((found["MatMulInteger"], found["DequantizeLinear"]), (0, 0), "{module}: not fused: {found:?}");
        }
        // Weights alone in 8 bit: the runtime makes them f32 once, and multiplies as it did.
        assert_eq!(of(&small, module)["MatMul"], all, "{module}");
    }
}
