//! Prototypes by region: ONNX Runtime against Burn, and what happens to chips whose region is not known.
//!
//! Needs ONNX Runtime where the search looks (`./x` puts it into the cache folder).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod common;

use common::{Chip, DATES, Tiny, hold, options};
use skysense_contract::{Division, GeoContext, Package};
use skysense_infer::{ChipInput, Model};

const REGIONS: usize = 64;

struct Case {
    folder: tempfile::TempDir,
    tiny: Tiny,
    chip: Chip,
    model: Model,
}

fn case() -> Case {
    let division = Division::EqualArea(REGIONS);
    case_of(GeoContext { division, cells: Vec::new(), prototypes: 5, width: None })
}

/// Prototypes with a width of their own, of tiles that were seen in training.
fn projected() -> Case {
    case_of(GeoContext {
        division: Division::WebMercator(5),
        cells: (300..364).collect(),
        prototypes: 7,
        width: Some(24),
    })
}

fn case_of(context: GeoContext) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let region = context.region(14.6, 48.2) as i64;
    let tiny = Tiny::of("tiny", 4, Some(context));
    let chip = Chip::new(4, [DATES, 2]).in_region(region);
    let package = tiny.write(&folder.path().join("model"), &chip, 0.0);
    let model = Model::open(package, options(&folder.path().join("cache"))).unwrap();
    Case { folder, tiny, chip, model }
}

#[test]
fn prototypes_agree_with_burn_and_follow_the_region() {
    agree(case());
}

#[test]
fn projected_prototypes_agree_with_burn_and_the_package_says_what_they_are() {
    let text = agree(projected());
    for part in ["web_mercator:5", "width: 24", "prototypes: 7"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

/// Holds ONNX Runtime against Burn in two regions; gives the text of the contract.
fn agree(Case { folder, tiny, chip, model }: Case) -> String {
    let contract = Package::open(folder.path().join("model")).unwrap().contract().clone();
    let context = contract.geo_context.clone().unwrap();
    assert_eq!((context.regions(), Some(&context)), (REGIONS, tiny.geo_context.as_ref()));
    let elsewhere = chip.clone().in_region(context.region(-60.0, -3.0) as i64);
    assert_ne!(chip.region, elsewhere.region);
    let mut found = Vec::new();
    for chip in [&chip, &elsewhere] {
        let features = model.features(&[chip.all()]).unwrap();
        assert_eq!(features.channels, contract.channels);
        hold(
            "features with prototypes",
            &features.values,
            &tiny.features(chip).into_data().try_to_vec::<f32>().unwrap(),
        );
        found.push(features.values);
    }
    // The first half is the fused features, the same everywhere; the second what the region adds.
    let half = found[0].len() / 2;
    assert_eq!(found[0][..half], found[1][..half]);
    let largest = found[0].iter().zip(&found[1]).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
    // Prototypes are drawn with a deviation of 0.02: their means differ by more than the tolerance hides.
    assert!(largest > 1e-3, "{largest}");
    std::fs::read_to_string(folder.path().join("model").join(skysense_contract::CONTRACT_FILE)).unwrap()
}

#[test]
fn each_chip_of_a_batch_has_its_own_region() {
    let Case { chip, model, folder: _folder, .. } = case();
    let chips: Vec<Chip> = [3, 60, 3].into_iter().map(|region| chip.clone().in_region(region)).collect();
    let inputs: Vec<ChipInput<'_>> = chips.iter().map(Chip::all).collect();
    let together = model.features(&inputs).unwrap();
    assert_eq!(together.chip(0), together.chip(2));
    assert_ne!(together.chip(0), together.chip(1));
    for (index, input) in inputs.iter().enumerate() {
        assert_eq!(model.features(std::slice::from_ref(input)).unwrap().values, together.chip(index));
    }
}

#[test]
fn a_chip_without_a_region_of_the_package_is_named() {
    let Case { chip, model, folder: _folder, .. } = case();
    let told = |region| {
        let inputs = [chip.all(), ChipInput { region, ..chip.all() }];
        model.features(&inputs).unwrap_err().to_string()
    };
    assert!(told(None).contains("chip 1 of the batch has no region"), "{}", told(None));
    for region in [-1, REGIONS as i64] {
        let text = told(Some(region));
        assert!(text.contains(&format!("region {region},")) && text.contains("one below 64"), "{text}");
    }
}
