//! The engine against a plain loop: the same calls of the same nodes, once as a workflow through the plugin
//! contract, once in one loop in this program. Prints JSON; fails if the engine adds more than 10 %.
//!
//! Recipe: 300 batches of 1 MiB (as a chip of 3 dates x 10 bands x 128 x 128 i16) are made, mixed and summed;
//! the engine may use one processor, so that running nodes side by side hides nothing. Best of 7 rounds each,
//! taken in turns. With it, as numbers without a limit: the same under `--memory`, where freed batches go back to the
//! system at once, and the processor's time, which neighbours on the machine do not change.
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
const LIMIT: f64 = 1.10;

fn sum(batch: &RecordBatch, sum: i64) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().iter().flatten().fold(sum, i64::wrapping_add)
}

/// Seconds that something took, and seconds of the processor in them.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    processor: f64,
}

impl Took {
    const LONG: Self = Self { wall: f64::MAX, processor: f64::MAX };

    fn of<T>(work: impl FnOnce() -> T) -> (Self, T) {
        let (begun, processor) = (Instant::now(), processor_seconds());
        let done = work();
        (Self { wall: begun.elapsed().as_secs_f64(), processor: processor_seconds() - processor }, done)
    }

    fn least(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), processor: self.processor.min(other.processor) }
    }
}

/// Seconds that all threads of this process ran, in steps of a hundredth; 0 where the system does not tell.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
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

fn through_the_engine(folder: &std::path::Path, memory: Option<u64>) -> (Took, i64) {
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
    let (took, report) = Took::of(|| run(plan, &plugins, &options, Arc::new(NoEvents)).expect("a run"));
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let bytes = std::fs::read(out).expect("an output");
    (took, i64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")))
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let [mut plain, mut engine, mut limited] = [Took::LONG; 3];
    for _ in 0..7 {
        // The loop gets the allocator that is best for it, so that the engine cannot win by having a better one.
        skysense_abi::reuse_freed_memory();
        let (took, expected) = Took::of(in_one_loop);
        plain = plain.least(took);
        for (least, memory) in [(&mut engine, None), (&mut limited, Some(1 << 30))] {
            let (took, total) = through_the_engine(folder.path(), memory);
            *least = least.least(took);
            assert_eq!(total, expected, "both compute the same");
        }
    }
    let ratio = engine.wall / plain.wall;
    let result = json!({
        "bench": "engine/overhead", "batches": BATCHES, "batch_bytes": ROWS * 8,
        "loop_seconds": plain.wall, "engine_seconds": engine.wall, "ratio": ratio, "limit": LIMIT, "pass": ratio <= LIMIT,
        "processor_ratio": engine.processor / plain.processor, "ratio_under_a_memory_limit": limited.wall / plain.wall,
    });
    println!("{result}");
    assert!(ratio <= LIMIT, "the engine adds {:.1} %", (ratio - 1.0) * 100.0);
}
