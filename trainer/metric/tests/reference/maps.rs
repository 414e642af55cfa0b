//! Segmentation and change against scikit-learn and torchmetrics.

use skysense_metric::{Binary, Confusion};

use super::{all_same, cases, floats, near, same, together, whole};

fn labels(value: &serde_json::Value) -> Vec<i64> {
    floats(value).into_iter().map(|label| label as i64).collect()
}

#[test]
fn segmentation() {
    let mut nowhere = 0;
    for (at, case) in cases("confusion.json", 200).iter().enumerate() {
        let (truth, predicted) = (labels(&case["truth"]), labels(&case["predicted"]));
        let part = |(truth, predicted): (&[i64], &[i64])| {
            let mut part = Confusion::new(whole(&case["classes"]));
            part.add_all(truth, predicted, case["ignore"].as_i64()).unwrap();
            part
        };
        let found = together(truth.chunks(7).zip(predicted.chunks(7)).map(part).collect());
        let expected = &case["expected"];
        assert_eq!(serde_json::to_value(&found).unwrap(), expected["counts"], "case {at}");
        let by_class = |score: fn(&Confusion, usize) -> Option<f64>| -> Vec<Option<f64>> {
            (0..found.classes()).map(|class| score(&found, class)).collect()
        };
        nowhere += by_class(Confusion::iou).iter().filter(|iou| iou.is_none()).count();
        all_same(&by_class(Confusion::iou), &expected["iou"], &format!("case {at}, IoU"));
        all_same(&by_class(Confusion::precision), &expected["precision"], &format!("case {at}, precision"));
        all_same(&by_class(Confusion::recall), &expected["recall"], &format!("case {at}, recall"));
        all_same(&by_class(Confusion::f1), &expected["f1"], &format!("case {at}, F1"));
        for (name, value) in [
            ("mean_iou", found.mean_iou()),
            ("macro_f1", found.macro_f1()),
            ("micro_f1", found.micro_f1()),
            ("overall_accuracy", found.overall_accuracy()),
            ("kappa", found.kappa()),
        ] {
            same(value, &expected[name], &format!("case {at}, {name}"));
        }
        if found.classes() > 1 {
            near(found.mean_iou(), &expected["torchmetrics_mean_iou"], 1e-6, &format!("case {at}, torchmetrics' mIoU"));
            near(found.macro_f1(), &expected["torchmetrics_macro_f1"], 1e-6, &format!("case {at}, torchmetrics' F1"));
        }
    }
    assert!(nowhere > 20, "only {nowhere} classes are absent: the cases have become too easy");
}

#[test]
fn change() {
    for (at, case) in cases("change.json", 60).iter().enumerate() {
        let (truth, predicted) = (labels(&case["truth"]), labels(&case["predicted"]));
        let mut found = Binary::default();
        found.add_all(&truth, &predicted, None).unwrap();
        for (name, value) in [
            ("f1", found.f1()),
            ("iou", found.iou()),
            ("precision", found.precision()),
            ("recall", found.recall()),
            ("overall_accuracy", found.overall_accuracy()),
            ("kappa", found.kappa()),
        ] {
            same(value, &case["expected"][name], &format!("case {at}, {name}"));
        }
    }
}
