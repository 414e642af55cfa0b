//! The engine against a plain loop: the same calls of the same nodes, once as a workflow through the plugin
//! contract, once in one loop in this program. Prints JSON; fails if the engine adds more than 10 %.
//!
//! Recipe: 300 batches of 1 MiB (as a chip of 3 dates x 10 bands x 128 x 128 i16) are made, mixed and summed;
//! the engine may use one processor, so that running nodes side by side hides nothing. Best of 5 rounds each,
//! taken in turns.
//!
//! `cargo bench -p skysense-engine` — last measured: see the closing line of its output.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use serde_json::json;
use skysense_engine::{NoEvents, Outcome, PlanOptions, RunOptions, plan, run};

const BATCHES: u64 = 300;
const ROWS: u64 = 131_072;
const ROUNDS: u32 = 4;
const LIMIT: f64 = 1.10;

fn sum(batch: &RecordBatch, sum: i64) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().iter().flatten().fold(sum, i64::wrapping_add)
}

/// The nodes' own calls, one after the other.
fn in_one_loop() -> (f64, i64) {
    let begun = Instant::now();
    let mut total = 0;
    for i in 0..BATCHES {
        let numbers = Int64Array::from_iter_values((0..ROWS).map(|k| (i * ROWS + k) as i64 * 7 % 1001));
        let batch = RecordBatch::try_new(support::schema(), vec![Arc::new(numbers)]).expect("one column");
        total = sum(&support::mix(&batch, ROUNDS), total);
    }
    (begun.elapsed().as_secs_f64(), total)
}

fn through_the_engine(folder: &std::path::Path) -> (f64, i64) {
    let plugins = support::plugins();
    let out = folder.join("out.bin");
    let nodes = [
        format!("a: {{uses: t.numbers, with: {{batches: {BATCHES}, rows: {ROWS}}}}}"),
        format!("b: {{uses: t.mix, from: a, with: {{rounds: {ROUNDS}}}}}"),
        "e: {uses: t.numbers, with: {batches: 0}}".to_owned(),
        "j: {uses: t.join, from: {a: b, b: e}}".to_owned(),
        format!("w: {{uses: t.write, from: j, with: {{href: {}}}}}", out.display()),
    ];
    let nodes: Vec<_> = nodes.iter().map(String::as_str).collect();
    let spec = support::spec(&plugins, &nodes).expect("a good workflow");
    let mut options = PlanOptions::default();
    options.threads = Some(1);
    let plan = plan(&spec, &plugins, &options).expect("a good plan");
    let mut options = RunOptions::default();
    options.runs = folder.join("runs");
    let begun = Instant::now();
    let report = run(plan, &plugins, &options, Arc::new(NoEvents)).expect("a run");
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let bytes = std::fs::read(out).expect("an output");
    (seconds, i64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")))
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut plain, mut engine) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        let (seconds, expected) = in_one_loop();
        plain = plain.min(seconds);
        let (seconds, total) = through_the_engine(folder.path());
        engine = engine.min(seconds);
        assert_eq!(total, expected, "both compute the same");
    }
    let ratio = engine / plain;
    let result = json!({
        "bench": "engine/overhead", "batches": BATCHES, "batch_bytes": ROWS * 8,
        "loop_seconds": plain, "engine_seconds": engine, "ratio": ratio, "limit": LIMIT, "pass": ratio <= LIMIT,
    });
    println!("{result}");
    assert!(ratio <= LIMIT, "the engine adds {:.1} %", (ratio - 1.0) * 100.0);
}
