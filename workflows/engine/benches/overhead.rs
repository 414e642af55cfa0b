//! The engine against a plain loop: the same calls of the same nodes, once as a workflow through the plugin
//! contract, once in one loop in this program. Prints JSON; fails if the engine adds more than 10 %.
//!
//! Recipe: 300 batches of 1 MiB (as a chip of 3 dates x 10 bands x 128 x 128 i16) are made, mixed and summed;
//! the engine may use one processor, so that running nodes side by side hides nothing. The ratio is the median over
//! 21 rounds, each of which takes both, one right after the other: a neighbour on the machine that slows a round slows
//! both. With it, as numbers without a limit: the middle half of the ratios, and the same under `--memory`, where freed
//! batches go back to the system at once.
//!
//! `cargo bench --workspace --bench overhead`

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
const TIMES: usize = 21;
const LIMIT: f64 = 1.10;

fn sum(batch: &RecordBatch, sum: i64) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().iter().flatten().fold(sum, i64::wrapping_add)
}

/// Seconds that something took, and what came of it.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed().as_secs_f64(), done)
}

/// The nodes' own calls, one after the other.
fn in_one_loop() -> i64 {
    let mut total = 0;
    for i in 0..BATCHES {
        let numbers = Int64Array::from_iter_values((0..ROWS).map(|k| (i * ROWS + k) as i64 * 7 % 1001));
        let batch = RecordBatch::try_new(support::schema(), vec![Arc::new(numbers)]).expect("one column");
        total = sum(&support::mix(&batch, ROUNDS), total);
    }
    total
}

fn through_the_engine(folder: &std::path::Path, memory: Option<u64>) -> (f64, i64) {
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
    options.memory = memory;
    let plan = plan(&spec, &plugins, &options).expect("a good plan");
    let mut options = RunOptions::default();
    options.runs = folder.join("runs");
    let (took, report) = timed(|| run(plan, &plugins, &options, Arc::new(NoEvents)).expect("a run"));
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let bytes = std::fs::read(out).expect("an output");
    (took, i64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")))
}

/// The quarter, the half and three quarters of sorted numbers.
fn quartiles(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers[numbers.len() * quarter / 4])
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut loops, mut ratios, mut limited) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..TIMES {
        // The loop gets the allocator that is best for it, so that the engine cannot win by having a better one.
        let plain = || {
            skysense_abi::reuse_freed_memory();
            timed(in_one_loop)
        };
        let engine = || through_the_engine(folder.path(), None);
        // Each goes first as often as the other.
        let ((plain, expected), (engine, total)) = if round % 2 == 0 {
            let plain = plain();
            (plain, engine())
        } else {
            let engine = engine();
            (plain(), engine)
        };
        assert_eq!(total, expected, "both compute the same");
        loops.push(plain);
        ratios.push(engine / plain);
    }
    let loop_seconds = quartiles(loops)[1];
    // Afterwards, since such a run leaves an empty heap that the next of the others would have to fill again.
    for _ in 0..TIMES / 3 {
        limited.push(through_the_engine(folder.path(), Some(1 << 30)).0 / loop_seconds);
    }
    let [lower, ratio, upper] = quartiles(ratios);
    let result = json!({
        "bench": "engine/overhead", "batches": BATCHES, "batch_bytes": ROWS * 8, "rounds": TIMES,
        "loop_seconds": loop_seconds, "ratio": ratio, "limit": LIMIT, "pass": ratio <= LIMIT,
        "ratio_quartiles": [lower, upper], "ratio_under_a_memory_limit": quartiles(limited)[1],
    });
    println!("{result}");
    assert!(ratio <= LIMIT, "the engine adds {:.1} %", (ratio - 1.0) * 100.0);
}
