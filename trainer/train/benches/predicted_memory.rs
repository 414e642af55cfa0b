//! Predicted memory against measured peaks, at `tiny` and `small`, inference and training with AdamW.
//!
//! Each case runs in a process of its own: the model is made, takes its pass (three steps in training), and the rise of
//! peak resident memory above the start is compared with what `skysense model cost` says. Prints one JSON object for
//! each case, with bytes and the ratio of measured to predicted; docs/MODEL.md has the last ones.
//!
//! `cargo bench --workspace --bench predicted_memory`. Chips of 16 px with high resolution, 4 dates of Sentinel-2, 2 of Sentinel-1.

#[path = "../tests/measure/mod.rs"]
#[allow(dead_code, reason = "shared with the test of the same name")]
mod measure;

use measure::{Case, if_child, possible};
use serde_json::json;

const CASES: [Case; 8] = [
    Case { preset: "tiny", batch: 1, training: false },
    Case { preset: "tiny", batch: 8, training: false },
    Case { preset: "tiny", batch: 1, training: true },
    Case { preset: "tiny", batch: 8, training: true },
    Case { preset: "small", batch: 1, training: false },
    Case { preset: "small", batch: 4, training: false },
    Case { preset: "small", batch: 1, training: true },
    Case { preset: "small", batch: 4, training: true },
];

fn main() {
    if if_child(&CASES) {
        return;
    }
    assert!(possible(), "peak memory is read from /proc, which only Linux has");
    for case in CASES {
        let (predicted, measured) = (case.predicted(), case.measured(&[]));
        let ratio = measured as f64 / predicted as f64;
        let Case { preset, batch, training } = case;
        let pass = if training { "training" } else { "inference" };
        println!(
            "{}",
            json!({"preset": preset, "pass": pass, "batch": batch, "predicted": predicted, "measured": measured, "ratio": ratio})
        );
    }
}
