//! Predicted memory against measured peaks, at `tiny` and `small`, inference and training with AdamW.
//!
//! Each case runs in a process of its own: the model is made, takes its pass (three steps in training), and the rise of
//! peak resident memory above the start is compared with what `skysense model cost` says. Prints one JSON object for
//! each case, with bytes, the ratio of measured to predicted, and the seconds that the cores spend on a step or pass; docs/MODEL.md has the last ones.
//!
//! `cargo bench --workspace --bench predicted_memory`. Chips of 16 px with high resolution, 4 dates of Sentinel-2, 2 of Sentinel-1.

#[path = "../tests/measure/mod.rs"]
#[allow(dead_code, clippy::panic, reason = "shared with the test of the same name")]
mod measure;

use measure::{Case, if_child, possible, trains};
use serde_json::json;
use skysense_train::Checkpointing::{Blocks, Off};
use skysense_train::TrainingPrecision::{Bf16, F16, F32};

const CASES: [Case; 16] = [
    Case { preset: "tiny", batch: 1, training: None },
    Case { preset: "tiny", batch: 8, training: None },
    Case { preset: "tiny", batch: 1, training: trains(F32, Off) },
    Case { preset: "tiny", batch: 8, training: trains(F32, Off) },
    Case { preset: "tiny", batch: 8, training: trains(F32, Blocks) },
    Case { preset: "tiny", batch: 8, training: trains(Bf16, Off) },
    Case { preset: "tiny", batch: 8, training: trains(F16, Off) },
    Case { preset: "tiny", batch: 8, training: trains(Bf16, Blocks) },
    Case { preset: "small", batch: 1, training: None },
    Case { preset: "small", batch: 4, training: None },
    Case { preset: "small", batch: 1, training: trains(F32, Off) },
    Case { preset: "small", batch: 4, training: trains(F32, Off) },
    Case { preset: "small", batch: 4, training: trains(F32, Blocks) },
    Case { preset: "small", batch: 4, training: trains(Bf16, Off) },
    Case { preset: "small", batch: 4, training: trains(F16, Off) },
    Case { preset: "small", batch: 4, training: trains(Bf16, Blocks) },
];

fn main() {
    if if_child(&CASES) {
        return;
    }
    assert!(possible(), "peak memory is read from /proc, which only Linux has");
    for case in CASES {
        let predicted = case.predicted();
        let (measured, seconds) = case.measured(&[]);
        let ratio = measured as f64 / predicted as f64;
        let Case { preset, batch, training } = case;
        let mut line = json!({"preset": preset, "batch": batch, "predicted": predicted, "measured": measured,
            "ratio": ratio, "core_seconds": seconds});
        if let Some(mode) = training {
            line["precision"] = json!(mode.precision);
            line["checkpointing"] = json!(mode.checkpointing);
        }
        println!("{line}");
    }
}
