//! Predicted memory against the peak of a process, at `tiny`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod measure;

use measure::{Case, if_child, possible};

const CASES: [Case; 2] =
    [Case { preset: "tiny", batch: 4, training: false }, Case { preset: "tiny", batch: 4, training: true }];

/// Between half and twice: what an allocator keeps differs between machines, while a forgotten batch, modality or factor
/// of the softmax lies further off. The bench of the same name has the exact ratios.
#[test]
fn predictions_hold_at_tiny() {
    if if_child(&CASES) {
        return;
    }
    if !possible() {
        eprintln!("NOT MEASURED: peak memory is read from /proc, which is not here");
        return;
    }
    for case in CASES {
        let (predicted, measured) =
            (case.predicted(), case.measured(&["--exact", "predictions_hold_at_tiny", "--nocapture"]));
        let ratio = measured as f64 / predicted as f64;
        eprintln!("{case:?}: predicted {predicted}, measured {measured}, ratio {ratio:.2}");
        assert!((0.5..2.0).contains(&ratio), "{case:?}: predicted {predicted} bytes, measured {measured}");
    }
}
