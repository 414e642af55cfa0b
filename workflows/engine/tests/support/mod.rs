//! Nodes to test the engine with, linked into the test but called through the C table like any plugin's.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeEntry, NodeError, NodePlan, PlanInputs, Plugin, PluginParts,
    RunInputs, ToolEntry, node,
};
use skysense_engine::{Bindings, Faults, PluginSet, Source, Spec, Surroundings};

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn batch(values: impl Iterator<Item = i64>) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(values))]).expect("one column")
}

/// Settings of `t.numbers`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    /// Batches to give.
    batches: u64,
    /// Rows of each.
    #[serde(default = "thousand")]
    rows: u64,
    /// Batch that fails.
    #[serde(default)]
    fail_at: Option<u64>,
    /// Batch that panics.
    #[serde(default)]
    panic_at: Option<u64>,
    /// Milliseconds before each batch.
    #[serde(default)]
    sleep: u64,
    /// Bytes that a batch is promised to have at most, if not the truth.
    #[serde(default)]
    promise: Option<u64>,
    /// A file that each start of the node adds a line to.
    #[serde(default)]
    ledger: Option<PathBuf>,
    /// Item to report as skipped.
    #[serde(default)]
    skip: Option<String>,
}

fn thousand() -> u64 {
    1000
}

fn numbers(settings: Numbers, host: Host) -> Result<BatchStream, NodeError> {
    if let Some(ledger) = &settings.ledger {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(ledger).expect("a ledger");
        writeln!(file, "started").expect("written");
    }
    if let Some(item) = &settings.skip {
        host.skipped(item, None, "told to");
    }
    Ok(Box::new((0..settings.batches).map(move |i| {
        std::thread::sleep(Duration::from_millis(settings.sleep));
        if settings.fail_at == Some(i) {
            return Err(NodeError::new("read", format!("batch {i} is broken"))
                .at("item", "S2A")
                .hint("fetch it again"));
        }
        assert!(settings.panic_at != Some(i), "batch {i} is cursed");
        host.progress(i + 1, Some(settings.batches), "batches");
        Ok(batch((0..settings.rows).map(|k| (i * settings.rows + k) as i64 * 7 % 1001)))
    })))
}

fn plan_numbers(settings: &Numbers) -> NodePlan {
    let bytes = settings.promise.unwrap_or(settings.rows * 8);
    NodePlan::new(schema())
        .facts(json!({"batches": settings.batches}))
        .cost("batches", settings.batches as f64, "")
        .memory(settings.rows * 8, bytes)
}

/// Gives numbers.
pub(crate) struct NumbersNode;

impl Node for NumbersNode {
    const NAME: &'static str = "t.numbers";
    type Settings = Numbers;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives numbers").output("number")
    }

    fn plan(settings: Numbers, _: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        if settings.batches == 13 {
            return Err(vec![Fault::new("/batches", "unlucky", "13 batches bring bad luck").hint("take 12")]);
        }
        Ok(plan_numbers(&settings))
    }

    fn run(settings: Numbers, _: NodePlan, _: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        numbers(settings, host)
    }
}

/// Gives numbers as an edge that is small enough to be kept.
pub(crate) struct ItemsNode;

impl Node for ItemsNode {
    const NAME: &'static str = "t.items";
    type Settings = Numbers;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives few numbers").output("item")
    }

    fn plan(settings: Numbers, _: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        Ok(plan_numbers(&settings))
    }

    fn run(settings: Numbers, _: NodePlan, _: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        numbers(settings, host)
    }
}

/// Settings of `t.mix`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mix {
    /// How often each number is mixed.
    #[serde(default)]
    rounds: u32,
    /// Milliseconds before each batch.
    #[serde(default)]
    sleep: u64,
    /// Bytes to hold that the plan does not mention.
    #[serde(default)]
    hold: usize,
}

/// Mixes numbers: work for the processor.
pub(crate) struct MixNode;

pub(crate) fn mix(batch: &RecordBatch, rounds: u32) -> RecordBatch {
    let column = batch.column(0).as_primitive::<Int64Type>();
    let mixed: Int64Array = column.unary(|mut n| {
        for _ in 0..rounds {
            n = (n ^ (n << 13)).wrapping_mul(0x2545_F491_4F6C_DD1D).rotate_left(7);
        }
        n
    });
    RecordBatch::try_new(schema(), vec![Arc::new(mixed)]).expect("one column")
}

impl Node for MixNode {
    const NAME: &'static str = "t.mix";
    type Settings = Mix;

    fn describe() -> NodeDoc {
        NodeDoc::new("Mixes numbers").input("in", &["number", "item"], "numbers").output("number")
    }

    fn plan(_: Mix, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        let input = inputs.require("in")?;
        Ok(NodePlan::new(input.schema.clone()).facts(input.facts.clone()).memory(4 << 20, 4 << 20))
    }

    fn run(settings: Mix, _: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let input = inputs.require("in")?;
        let held = vec![1u8; settings.hold];
        Ok(Box::new(input.map(move |batch| {
            std::thread::sleep(Duration::from_millis(settings.sleep));
            host.check_cancelled()?;
            assert!(held.iter().step_by(4096).all(|&byte| byte == 1), "memory is held");
            Ok(mix(&batch?, settings.rounds))
        })))
    }
}

/// Settings of `t.join`: none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Reads all of `a`, then all of `b`: one row each with their sums.
pub(crate) struct JoinNode;

impl Node for JoinNode {
    const NAME: &'static str = "t.join";
    type Settings = Nothing;

    fn describe() -> NodeDoc {
        NodeDoc::new("Sums two edges, one after the other")
            .input("a", &["number"], "first")
            .input("b", &["number"], "second")
            .output("number")
    }

    fn plan(_: Nothing, _: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        Ok(NodePlan::new(schema()).memory(0, 1 << 10))
    }

    fn run(_: Nothing, _: NodePlan, mut inputs: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
        let ports = [inputs.require("a")?, inputs.require("b")?];
        Ok(Box::new(ports.into_iter().map(|port| {
            let mut sum = 0i64;
            for batch in port {
                sum = batch?.column(0).as_primitive::<Int64Type>().iter().flatten().fold(sum, i64::wrapping_add);
            }
            Ok(batch(std::iter::once(sum)))
        })))
    }
}

/// Settings of `t.write`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteSettings {
    /// File to write.
    href: PathBuf,
}

/// A file under a temporary name that goes away unless it is finished.
struct Output {
    file: fs::File,
    href: PathBuf,
}

impl Output {
    fn part(href: &Path) -> PathBuf {
        href.with_extension("part")
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = fs::remove_file(Self::part(&self.href));
    }
}

/// Writes numbers to a file.
pub(crate) struct WriteNode;

impl Node for WriteNode {
    const NAME: &'static str = "t.write";
    type Settings = WriteSettings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Writes numbers").input("in", &[], "numbers").output("raster").impure()
    }

    fn plan(_: WriteSettings, _: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        host.report("decision", &json!({"what": "format", "value": "text", "why": "it is a test"}));
        Ok(NodePlan::new(schema()).memory(1 << 20, 1 << 10))
    }

    fn run(settings: WriteSettings, _: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let mut input = Some(inputs.require("in")?);
        Ok(Box::new(std::iter::from_fn(move || {
            let input = input.take()?;
            let write = || {
                let failed = |e: std::io::Error| NodeError::from_error("write", &e);
                let href = settings.href.clone();
                let mut output = Output { file: fs::File::create(Output::part(&href)).map_err(failed)?, href };
                let mut rows = 0;
                for batch in input {
                    let batch = batch?;
                    for column in batch.columns() {
                        for n in column.as_primitive::<Int64Type>().values() {
                            output.file.write_all(&n.to_le_bytes()).map_err(failed)?;
                        }
                    }
                    rows += batch.num_rows() as i64;
                }
                host.log(Level::Info, format!("{rows} rows"));
                fs::rename(Output::part(&output.href), &output.href).map_err(failed)?;
                host.report("output", &json!({"href": output.href, "role": "data"}));
                host.count("written", rows as u64);
                Ok(batch(std::iter::once(rows)))
            };
            Some(write())
        })))
    }
}

/// The test plugin.
pub(crate) struct TestPlugin;

impl PluginParts for TestPlugin {
    const NAME: &'static str = "test";
    const VERSION: &'static str = "0";
    const NODES: &'static [NodeEntry] =
        &[node::<NumbersNode>(), node::<ItemsNode>(), node::<MixNode>(), node::<JoinNode>(), node::<WriteNode>()];
    const TOOLS: &'static [ToolEntry] = &[];
}

/// The test plugin alone.
pub(crate) fn plugins() -> PluginSet {
    let mut set = PluginSet::default();
    set.add(Plugin::linked::<TestPlugin>().expect("the test plugin keeps the contract"));
    set
}

struct Nowhere;

impl Surroundings for Nowhere {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<String> {
        None
    }
}

/// A spec of nodes in YAML, one per line.
pub(crate) fn spec(plugins: &PluginSet, nodes: &[&str]) -> Result<Spec, Faults> {
    let text = format!("skysense: 1\nname: test\nnodes:\n  {}\n", nodes.join("\n  "));
    let bindings = Bindings { params: &[], folder: std::env::temp_dir(), surroundings: &Nowhere, require: true };
    let source = Source::from_text("test.yaml", &text);
    Spec::from_source(&source, &plugins.node_types(), &bindings)
}
