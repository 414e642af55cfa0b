//! Regression against scikit-learn, its plot against SciPy.

use serde_json::json;
use skysense_metric::{BiasPlot, Regression};

use super::{all_same, cases, floats, same, together, whole, wholes};

#[test]
fn regression() {
    for (at, case) in cases("regression.json", 80).iter().enumerate() {
        let (truth, predicted, range) = (floats(&case["truth"]), floats(&case["predicted"]), floats(&case["range"]));
        let part = |(truth, predicted): (&[f64], &[f64])| {
            let plot = BiasPlot::new(range[0], range[1], whole(&case["bins"])).unwrap();
            let mut part = (Regression::default(), plot);
            part.0.add(truth, predicted).unwrap();
            part.1.add(truth, predicted).unwrap();
            part
        };
        let (sums, plot) = together(truth.chunks(9).zip(predicted.chunks(9)).map(part).collect());
        let (scores, expected) = (sums.scores().unwrap(), &case["expected"]);
        for (name, value) in
            [("rmse", Some(scores.rmse)), ("mae", Some(scores.mae)), ("bias", Some(scores.bias)), ("r2", scores.r2)]
        {
            same(value, &expected[name], &format!("case {at}, {name}"));
        }
        let points = plot.points();
        let counts: Vec<usize> = points.iter().map(|point| point.count as usize).collect();
        assert_eq!(counts, wholes(&expected["counts"]), "case {at}");
        assert_eq!(json!(plot.outside()), expected["outside"], "case {at}");
        let bias: Vec<_> = points.iter().map(|point| point.bias).collect();
        let rmse: Vec<_> = points.iter().map(|point| point.rmse).collect();
        all_same(&bias, &expected["bias_by_bin"], &format!("case {at}, bias of bin"));
        all_same(&rmse, &expected["rmse_by_bin"], &format!("case {at}, RMSE of bin"));
    }
}
