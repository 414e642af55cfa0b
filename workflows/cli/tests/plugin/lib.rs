//! The plugin that the tests of the command line run with: counting instead of satellites.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use skysense_abi::{
    BatchStream, Fault, Host, Node, NodeDoc, NodeEntry, NodeError, NodePlan, PlanInputs, RunInputs, Tool, ToolEntry,
    export_plugin, node, tool,
};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

/// Settings of `test.count`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    /// How many rows to give, one a batch.
    #[schemars(range(min = 1))]
    rows: i64,
    /// Waits before the last row until this file is there.
    #[schemars(extend("format" = "path"))]
    gate: Option<PathBuf>,
    /// Fails at this row.
    fail_at: Option<i64>,
    /// Panics at this row; at row 0 while planning.
    panic_at: Option<i64>,
    /// Leaves an input out while planning, with causes and a remedy.
    #[serde(default)]
    leaves_out: bool,
    /// How many rows to make at once.
    #[schemars(extend("x-skysense-execution" = true))]
    batch: Option<i64>,
    /// Where from.
    #[schemars(extend("format" = "uri-reference"))]
    from: Option<String>,
    /// Sleeps without asking whether the run is cancelled.
    #[serde(default)]
    deaf: bool,
}

struct CountNode;

impl Node for CountNode {
    const NAME: &'static str = "test.count";
    type Settings = Count;

    fn describe() -> NodeDoc {
        NodeDoc::new("Counts").output("item").example("numbers: {uses: test.count, with: {rows: 3}}")
    }

    fn plan(settings: Count, _: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        if settings.rows > 1_000_000 {
            return Err(Fault::new("/rows", "settings.rows", "too many rows").hint("ask for a million at most").into());
        }
        assert_ne!(settings.panic_at, Some(0), "the plan is cursed");
        if settings.leaves_out {
            host.progress(1, Some(1), "catalogs");
            host.log(skysense_abi::Level::Warn, "S2C is left out");
            let error = NodeError::new("read.truncated", "the header is cut").because("3 bytes").hint("fetch it again");
            host.skipped_for("S2C", Some("B04"), &error);
        }
        if settings.fail_at == Some(0) {
            let error =
                NodeError::new("read.missing", "cannot read the catalog").because("No such file").at("item", "S2D");
            return Err(Fault { field: "/rows".into(), ..Fault::from(error.hint("look for it")) }.into());
        }
        let _batch_changes_nothing = settings.batch;
        Ok(NodePlan::new(schema()).state(json!({"from": settings.from})).memory(0, 1 << 10).cost(
            "rows",
            settings.rows as f64,
            "",
        ))
    }

    fn run(settings: Count, plan: NodePlan, _: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let planned_with = plan.state["from"].as_str().map(str::to_owned);
        if planned_with != settings.from {
            return Err(NodeError::new("settings.lost", "settings or state are not those of the plan"));
        }
        host.log(skysense_abi::Level::Info, "counting");
        let batches = (1..=settings.rows).map(move |n| {
            host.progress(n as u64, Some(settings.rows as u64), "numbers");
            let values = json!({"loss": 1.0 / n as f64, "nothing": null});
            host.report("measures", &json!({"step": n, "steps": settings.rows, "values": values}));
            if settings.deaf {
                std::thread::sleep(Duration::from_secs(60));
            }
            while n == settings.rows && settings.gate.as_ref().is_some_and(|gate| !gate.exists()) {
                host.check_cancelled()?;
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_ne!(settings.panic_at, Some(n), "row {n} is cursed");
            if settings.fail_at == Some(n) {
                let error = NodeError::new("read.truncated", "the file ends early");
                return Err(error.because("only 3 bytes are there").hint("fetch it again").at("item", "S2A"));
            }
            Ok(RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![n]))])?)
        });
        Ok(Box::new(batches))
    }
}

/// Settings of `test.sum`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sum {
    /// The file to write the sum to.
    #[schemars(extend("format" = "path"))]
    href: PathBuf,
}

struct SumNode;

impl Node for SumNode {
    const NAME: &'static str = "test.sum";
    type Settings = Sum;

    fn describe() -> NodeDoc {
        NodeDoc::new("Adds up").input("numbers", &["item"], "what to add up").output("raster").impure()
    }

    fn plan(_: Sum, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        inputs.require("numbers")?;
        Ok(NodePlan::new(schema()).memory(0, 1 << 10))
    }

    fn run(settings: Sum, _: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let mut sum = 0;
        for batch in inputs.require("numbers")? {
            let batch = batch?;
            let numbers = batch.column(0).as_any().downcast_ref::<Int64Array>();
            sum += numbers.map_or(0, |numbers| numbers.values().iter().sum());
        }
        host.skipped("S2B", None, "no grid");
        std::fs::write(&settings.href, sum.to_string())
            .map_err(|error| NodeError::from_error("output.disk", &error).at("file", settings.href.display()))?;
        host.report("output", &json!({"href": settings.href, "role": "data"}));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![sum]))])?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

/// Settings of `test.item`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MakeItem {
    /// An item collection.
    #[schemars(extend("format" = "path"))]
    items: PathBuf,
    /// The folder to write to.
    #[schemars(extend("format" = "path"))]
    out: PathBuf,
    /// Waits until this file is there.
    #[schemars(extend("format" = "path"))]
    gate: Option<PathBuf>,
    /// Fails as long as this file is there.
    #[schemars(extend("format" = "path"))]
    trouble: Option<PathBuf>,
    /// Ends the whole process as long as this file is there.
    #[schemars(extend("format" = "path"))]
    crash: Option<PathBuf>,
}

/// Writes an item that names those that it was made of.
struct ItemNode;

impl Node for ItemNode {
    const NAME: &'static str = "test.item";
    type Settings = MakeItem;

    fn describe() -> NodeDoc {
        NodeDoc::new("Makes an item of items").output("raster").impure()
    }

    fn plan(settings: MakeItem, _: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        let missing = |error| vec![Fault::from(NodeError::from_error("read.missing", &error))];
        let text = std::fs::read_to_string(&settings.items).map_err(missing)?;
        let items: Value = serde_json::from_str(&text)
            .map_err(|error| vec![Fault::from(NodeError::from_error("read.broken", &error))])?;
        Ok(NodePlan::new(schema()).memory(0, 1 << 10).state(items))
    }

    fn run(settings: MakeItem, plan: NodePlan, _: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        while settings.gate.as_ref().is_some_and(|gate| !gate.exists()) {
            host.check_cancelled()?;
            std::thread::sleep(Duration::from_millis(10));
        }
        if settings.trouble.as_ref().is_some_and(|trouble| trouble.exists()) {
            return Err(NodeError::new("read.truncated", "the trouble is there"));
        }
        if settings.crash.as_ref().is_some_and(|crash| crash.exists()) {
            std::process::abort();
        }
        let features = plan.state["features"].as_array().cloned().unwrap_or_default();
        let mut sources: Vec<&str> = features.iter().filter_map(|item| item["id"].as_str()).collect();
        sources.sort_unstable();
        let first = features.first().cloned().unwrap_or_default();
        let item = json!({
            "type": "Feature", "stac_version": "1.1.0", "id": "made", "collection": "made", "links": [],
            "geometry": first["geometry"], "bbox": first["bbox"],
            "properties": {"datetime": first["properties"]["datetime"], "sources": sources},
            "assets": {"data": {"href": "data.txt", "type": "text/plain", "roles": ["data"]}},
        });
        let folder = settings.out.join("made");
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("data.txt"), sources.join("\n"))?;
            std::fs::write(folder.join("made.part"), item.to_string())?;
            std::fs::rename(folder.join("made.part"), folder.join("made.json"))
        };
        write().map_err(|error| NodeError::from_error("output.disk", &error))?;
        host.report("output", &json!({"href": folder.join("made.json"), "role": "item"}));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![1]))])?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

/// A tool that answers with its arguments.
struct Echo<const N: usize>;

/// Any arguments.
#[derive(Debug, Deserialize, JsonSchema)]
struct Anything(Value);

/// The tools that subcommands call.
const ECHOES: [&str; 7] =
    ["simulate.scene", "verify.item", "model.inspect", "model.verify", "model.list", "model.card", "model.export"];

impl<const N: usize> Tool for Echo<N> {
    const NAME: &'static str = ECHOES[N];
    const SUMMARY: &'static str = "Answers with its arguments";
    type Arguments = Anything;
    type Answer = Value;

    fn call(Anything(arguments): Anything, _: &Host) -> Result<Value, NodeError> {
        let ok = arguments["item"] != "wrong.json" && arguments["model"] != "wrong";
        Ok(json!({"ok": ok, "tool": Self::NAME, "arguments": arguments}))
    }
}

const NODES: &[NodeEntry] = &[node::<CountNode>(), node::<SumNode>(), node::<ItemNode>()];
const TOOLS: &[ToolEntry] = &[
    tool::<Echo<0>>(),
    tool::<Echo<1>>(),
    tool::<Echo<2>>(),
    tool::<Echo<3>>(),
    tool::<Echo<4>>(),
    tool::<Echo<5>>(),
    tool::<Echo<6>>(),
];

export_plugin! { nodes: NODES, tools: TOOLS }
