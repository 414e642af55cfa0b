//! A detector's package finds what the network found that it was exported from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "../../../trainer/train/tests/support/rectangles.rs"]
mod rectangles;

use rectangles::{SIDE, config, offers, samples};
use skysense_contract::{MlmContext, Modality};
use skysense_infer::{ChipInput, Detector, Device, Model, Options, Pixels, ProbeRule, Series};
use skysense_train::{NoHooks, export_detector, train_detector};

#[test]
fn inference_finds_what_training_finds() {
    for rotated in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let samples = samples(6, rotated);
        let trained = train_detector(&samples, &offers(), &config(20, rotated), &mut NoHooks).unwrap();
        let package = export_detector(&trained, &folder.path().join("model"), &MlmContext::default()).unwrap();
        let options = Options { device: Device::Cpu, probe: ProbeRule::Always, ..Options::default() };
        let report = Model::verify(&package, &options).unwrap();
        assert!(report.values > 10_000 && report.largest < 1e-3, "{report:?}");
        let check = Model::check(&package, &options).unwrap();
        assert!(check.problems.is_empty() && check.modules.len() == 2, "{check:?}");
        assert!(Model::load(package.clone(), options.clone()).unwrap_err().to_string().contains("Detector"));
        let threads = |threads| Detector::load(package.clone(), Options { threads, ..options.clone() }).unwrap();
        let (one, two) = (threads(1), threads(2));
        let mut count = 0;
        for sample in &samples {
            let expected = trained.find(sample).unwrap();
            let pixels: Vec<u8> = sample.image.series[&Modality::Hr].pixels.iter().map(|value| *value as u8).collect();
            let series = Series { pixels: Pixels::U8(&pixels), valid: None, datetimes: &[0] };
            let chip = ChipInput::default().with_hr(series);
            let found = one.detect(&[chip]).unwrap().remove(0);
            assert_eq!(found, two.detect(&[chip]).unwrap()[0], "threads change no bit");
            // A box whose score is near the least one may be in the one and not in the other.
            let sure = |all: &[skysense_infer::Found]| all.iter().filter(|found| found.score > 0.06).count();
            assert!(sure(&found).abs_diff(sure(&expected)) <= 1, "{} against {}", found.len(), expected.len());
            for (at, expected) in expected.iter().filter(|found| found.score > 0.1).enumerate() {
                count += 1;
                let near = found.iter().any(|found| {
                    found.class == expected.class
                        && (found.score - expected.score).abs() < 2e-3
                        && (0..2).all(|axis| (found.area.centre[axis] - expected.area.centre[axis]).abs() < 0.1)
                        && (0..2).all(|axis| (found.area.size[axis] - expected.area.size[axis]).abs() < 0.1)
                });
                assert!(near, "rotated {rotated}, object {at}: {expected:?} is not in {found:?}");
            }
        }
        assert!(count > 5, "rotated {rotated}: only {count} objects were compared");
        let nothing =
            Series { pixels: Pixels::U8(&vec![0; 3 * SIDE * SIDE]), valid: Some(&[0; SIDE * SIDE]), datetimes: &[0] };
        assert!(
            one.detect(&[ChipInput::default().with_hr(nothing), ChipInput::default()]).unwrap().concat().is_empty()
        );
    }
}
