//! Calibration against scikit-learn, SciPy and torchmetrics.

use skysense_metric::{Reliability, Temperature, entropy};

use super::{all_same, cases, floats, near, rows, same, whole, wholes};

fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[test]
fn how_sure_it_is_and_may_be() {
    let mut fitted = 0;
    for (at, case) in cases("calibration.json", 80).iter().enumerate() {
        let (logits, truth) = (rows(&case["logits"], floats), wholes(&case["truth"]));
        let expected = &case["expected"];
        let mut reliability = Reliability::new(whole(&case["bins"])).unwrap();
        for (row, truth) in logits.iter().zip(&truth) {
            reliability.add_probabilities(&softmax(row), *truth).unwrap();
        }
        let bins = reliability.bins();
        let counts: Vec<usize> = bins.iter().map(|bin| bin.count as usize).collect();
        assert_eq!(counts, wholes(&expected["counts"]), "case {at}");
        // scikit-learn leaves empty bins out.
        let accuracy: Vec<_> = bins.iter().map(|bin| bin.accuracy).filter(Option::is_some).collect();
        let confidence: Vec<_> = bins.iter().map(|bin| bin.confidence).filter(Option::is_some).collect();
        all_same(&accuracy, &expected["accuracy"], &format!("case {at}, accuracy"));
        all_same(&confidence, &expected["confidence"], &format!("case {at}, confidence"));
        same(reliability.expected_error(), &expected["expected_error"], &format!("case {at}, expected error"));
        same(reliability.maximum_error(), &expected["maximum_error"], &format!("case {at}, maximum error"));
        let theirs = &expected["torchmetrics_expected_error"];
        near(reliability.expected_error(), theirs, 1e-5, &format!("case {at}, torchmetrics' error"));
        let unsure: Vec<_> = logits.iter().take(5).map(|row| entropy(&softmax(row)).ok()).collect();
        all_same(&unsure, &expected["entropy"], &format!("case {at}, entropy"));

        let fit = Temperature::fit(&logits.concat(), logits[0].len(), &truth).unwrap().unwrap();
        same(Some(fit.before), &expected["before"], &format!("case {at}, before"));
        if !expected["temperature"].is_null() {
            fitted += 1;
            // Another search: it sees the least value sharply, its place only to the root of that.
            near(Some(fit.temperature), &expected["temperature"], 1e-6, &format!("case {at}, temperature"));
            same(Some(fit.after), &expected["after"], &format!("case {at}, after"));
            assert!(!fit.at_limit && fit.after <= expected["after"].as_f64().unwrap() + 1e-12, "case {at}: {fit:?}");
        }
    }
    assert!(fitted > 40, "only {fitted} cases have a temperature");
}
