//! Classes of scenes against scikit-learn and torchmetrics.

use skysense_metric::{AveragePrecision, MultiLabel, TopK};

use super::{all_same, cases, flags, floats, near, rows, same, together, wholes};

#[test]
fn any_number_of_labels() {
    for (at, case) in cases("multi_label.json", 80).iter().enumerate() {
        let (truth, scores) = (rows(&case["truth"], flags), rows(&case["scores"], floats));
        let labels = truth[0].len();
        let part = |(truth, scores): (&[Vec<bool>], &[Vec<f64>])| {
            let mut part = (MultiLabel::new(labels), AveragePrecision::new(labels));
            for (truth, scores) in truth.iter().zip(scores) {
                part.0.add_probabilities(truth, scores, 0.5).unwrap();
                part.1.add(truth, scores).unwrap();
            }
            part
        };
        let (counts, ranked) = together(truth.chunks(5).zip(scores.chunks(5)).map(part).collect());
        let expected = &case["expected"];
        for (name, value) in [
            ("exact_accuracy", counts.exact_accuracy()),
            ("label_accuracy", counts.label_accuracy()),
            ("macro_f1", counts.macro_f1()),
            ("micro_f1", counts.micro_f1()),
            ("macro_average_precision", ranked.macro_mean()),
            ("micro_average_precision", ranked.micro_mean()),
            ("macro_of_all", ranked.macro_mean_of_all()),
        ] {
            same(value, &expected[name], &format!("case {at}, {name}"));
        }
        all_same(&ranked.by_class(), &expected["average_precision"], &format!("case {at}, average precision"));
        // torchmetrics is not asked where no label is ever true.
        if let Some(theirs) = expected.get("torchmetrics_macro") {
            near(ranked.macro_mean_of_all(), theirs, 1e-6, &format!("case {at}, torchmetrics' mAP"));
        }
    }
}

#[test]
fn one_class_of_many() {
    for (at, case) in cases("one_class.json", 60).iter().enumerate() {
        let (truth, scores) = (wholes(&case["truth"]), rows(&case["scores"], floats));
        let classes = scores[0].len();
        let mut ranked = AveragePrecision::new(classes);
        let mut best: Vec<TopK> = (1..classes).map(TopK::new).collect();
        for (truth, scores) in truth.iter().zip(&scores) {
            ranked.add_class(*truth, scores).unwrap();
            best.iter_mut().for_each(|best| best.add(scores, *truth).unwrap());
        }
        let best: Vec<_> = best.iter().map(TopK::accuracy).collect();
        all_same(&best, &case["expected"]["top_k"], &format!("case {at}, top"));
        all_same(&ranked.by_class(), &case["expected"]["average_precision"], &format!("case {at}, average precision"));
        same(ranked.micro_mean(), &case["expected"]["micro_average_precision"], &format!("case {at}, all together"));
    }
}
