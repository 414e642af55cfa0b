//! Both sides of the contract in one process, through the C table.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use serde_json::{Value, json};
use skysense_abi::{
    BatchStream, Fault, Host, HostCallbacks, Level, Node, NodeDoc, NodeEntry, NodeError, NodePlan, PlanInput,
    PlanInputs, Plugin, PluginParts, RunInput, RunInputs, Tool, ToolEntry, node, tool,
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What to do.
    mode: String,
    /// Added to each value.
    #[serde(default)]
    add: i32,
}

/// Adds a number to column `n`, and misbehaves on demand.
struct Add;

impl Node for Add {
    const NAME: &'static str = "test.add";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Adds a number").input("in", &["number"], "numbers").output("number")
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let input = inputs.require("in")?;
        host.log(Level::Info, format!("planning {}", settings.mode));
        match settings.mode.as_str() {
            "fault" => Err(vec![
                Fault::new("/mode", "mode.bad", "mode `fault` is not allowed").hint("use `ok`"),
                Fault::new("/add", "add.bad", "another one"),
            ]),
            "plan-panic" => panic!("planned panic"),
            _ => Ok(NodePlan::new(input.schema.clone())
                .facts(json!({"from": input.facts}))
                .rows(input.rows.clone().unwrap_or_default())
                .cost("rows", 3.0, "")
                .memory(10, 20)
                .state(json!({"add": settings.add}))),
        }
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let input = inputs.require("in")?;
        let add = plan.state["add"].as_i64().expect("set in plan") as i32;
        assert_eq!(plan.rows.expect("planned rows come back").iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
        if settings.mode == "start" {
            return Err(NodeError::new("start", "does not start").hint("try again"));
        }
        let schema = plan.schema;
        Ok(Box::new(input.map(move |batch| {
            let batch = batch?;
            host.progress(batch.num_rows() as u64, None, "rows");
            host.check_cancelled()?;
            match settings.mode.as_str() {
                "error" => return Err(NodeError::new("read", "tile 3 is broken").at("item", "S2\0A").because("why")),
                "panic" => panic!("no rows for {add}"),
                "schema" => {
                    let other = Schema::new(vec![Field::new("n", DataType::Utf8, false)]);
                    let column = Arc::new(StringArray::from(vec!["x"]));
                    return Ok(RecordBatch::try_new(Arc::new(other), vec![column])?);
                }
                _ => {}
            }
            let sum: Int32Array = batch.column(0).as_primitive::<Int32Type>().unary(|n| n + add);
            Ok(RecordBatch::try_new(schema.clone(), vec![Arc::new(sum)])?)
        })))
    }
}

/// Answers with its argument, or panics.
struct Echo;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct EchoArguments {
    text: String,
}

impl Tool for Echo {
    const NAME: &'static str = "test.echo";
    const SUMMARY: &'static str = "Says it again";
    type Arguments = EchoArguments;
    type Answer = Value;

    fn call(arguments: EchoArguments, host: &Host) -> Result<Value, NodeError> {
        assert!(arguments.text != "panic", "told to");
        let device = host.lease_device(&arguments.text)?;
        Ok(json!({"text": arguments.text, "device": device.name(), "threads": host.about().threads}))
    }
}

struct Parts;

impl PluginParts for Parts {
    const NAME: &'static str = "test";
    const VERSION: &'static str = "1.2.3";
    const NODES: &'static [NodeEntry] = &[node::<Add>()];
    const TOOLS: &'static [ToolEntry] = &[tool::<Echo>()];
}

#[derive(Clone, Default)]
struct Recorder {
    lines: Arc<Mutex<Vec<String>>>,
    cancelled: Arc<AtomicBool>,
    leased: Arc<AtomicU64>,
}

impl HostCallbacks for Recorder {
    fn log(&self, level: Level, message: &str) {
        self.lines.lock().unwrap().push(format!("{level:?} {message}"));
    }
    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.lines.lock().unwrap().push(format!("{done} of {total:?} {unit}"));
    }
    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
    fn lease_memory(&self, bytes: u64) -> bool {
        bytes <= 100 && self.leased.fetch_add(bytes, Ordering::SeqCst) < 100
    }
    fn release_memory(&self, bytes: u64) {
        self.leased.fetch_sub(bytes, Ordering::SeqCst);
    }
    fn lease_device(&self, wanted: &str) -> Result<String, NodeError> {
        match wanted {
            "cuda" => Err(NodeError::new("device", "no cuda here")),
            other => Ok(format!("{other}:0")),
        }
    }
}

fn schema() -> SchemaRef {
    let meta = [("unit".to_owned(), "m".to_owned())].into();
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false).with_metadata(meta)]))
}

fn batch(values: Vec<i32>) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int32Array::from(values))]).unwrap()
}

fn plan(mode: &str, host: &Host) -> Result<NodePlan, Vec<Fault>> {
    let input = PlanInput::new("number", schema(), json!({"crs": "EPSG:32633"}), Some(vec![batch(vec![1, 2, 3])]));
    let inputs = PlanInputs::default().with("in", input);
    Plugin::linked::<Parts>().unwrap().plan("test.add", &json!({"mode": mode, "add": 10}), &inputs, host)
}

fn run(mode: &str, host: &Host) -> Result<Vec<RecordBatch>, NodeError> {
    let plan = plan(mode, host).unwrap();
    let batches: BatchStream = Box::new([batch(vec![1, 2]), batch(vec![3])].into_iter().map(Ok));
    let inputs = RunInputs::default().with("in", RunInput::new("number", schema(), batches));
    let settings = json!({"mode": mode, "add": 10});
    let (declared, stream) = Plugin::linked::<Parts>().unwrap().run("test.add", &settings, plan, inputs, host)?;
    assert_eq!(declared, schema());
    stream.collect()
}

#[test]
fn a_plugin_describes_itself() {
    let plugin = Plugin::linked::<Parts>().unwrap();
    assert_eq!((plugin.description().name.as_str(), plugin.description().version.as_str()), ("test", "1.2.3"));
    let node = &plugin.nodes()[0];
    assert_eq!((node.name.as_str(), node.doc.inputs[0].name.as_str()), ("test.add", "in"));
    assert_eq!(node.settings["properties"]["mode"]["description"], "What to do.");
    assert_eq!(node.settings["additionalProperties"], false);
    assert_eq!(plugin.tools()[0].arguments["required"], json!(["text"]));
}

#[test]
fn plan_and_run_cross_the_border_whole() {
    let recorder = Recorder::default();
    let host = Host::new(recorder.clone());
    let planned = plan("ok", &host).unwrap();
    assert_eq!(planned.facts, json!({"from": {"crs": "EPSG:32633"}}));
    assert_eq!(planned.rows.unwrap()[0], batch(vec![1, 2, 3]));
    assert_eq!((planned.memory.working_bytes, planned.memory.batch_bytes), (10, 20));
    assert_eq!(planned.schema, schema());
    assert_eq!(run("ok", &host).unwrap(), vec![batch(vec![11, 12]), batch(vec![13])]);
    let lines = recorder.lines.lock().unwrap();
    assert_eq!(*lines, ["Info planning ok", "Info planning ok", "2 of None rows", "1 of None rows"]);
}

#[test]
fn faults_errors_and_panics_keep_what_they_say() {
    let host = Host::new(Recorder::default());
    let faults = plan("fault", &host).unwrap_err();
    assert_eq!(faults.len(), 2);
    assert_eq!((faults[0].field.as_str(), faults[0].hint.as_deref()), ("/mode", Some("use `ok`")));
    let panic = plan("plan-panic", &host).unwrap_err();
    assert!(panic[0].code == "panic" && panic[0].message.contains("planned panic"), "{panic:?}");
    let error = run("start", &host).unwrap_err();
    assert_eq!((error.code.as_str(), error.hint.as_deref()), ("start", Some("try again")));
    let error = run("error", &host).unwrap_err();
    assert_eq!((error.place["item"].as_str(), error.causes.as_slice()), ("S2\0A", &["why".to_owned()][..]));
    let error = run("panic", &host).unwrap_err();
    assert!(error.code == "panic" && error.message.contains("no rows for 10"), "{error}");
    assert!(error.place["source"].contains("contract.rs"), "{error}");
    let error = run("schema", &host).unwrap_err();
    assert!(error.message.contains("n: Utf8") && error.message.contains("n: Int32"), "{error}");
}

#[test]
fn settings_and_names_that_do_not_fit_are_faults() {
    let host = Host::new(Recorder::default());
    let plugin = Plugin::linked::<Parts>().unwrap();
    let inputs = PlanInputs::default();
    let plan = |node: &str, settings: &Value| plugin.plan(node, settings, &inputs, &host).unwrap_err().remove(0);
    assert_eq!(plan("test.add", &json!({"mode": "ok", "add": "ten"})).field, "/add");
    assert!(plan("test.add", &json!({"mode": "ok"})).message.contains("`in` is not connected"));
    assert!(plan("test.sub", &json!({})).message.contains("no node `test.sub`"));
}

#[test]
fn cancelling_ends_a_stream() {
    let recorder = Recorder::default();
    recorder.cancelled.store(true, Ordering::SeqCst);
    assert!(run("ok", &Host::new(recorder)).unwrap_err().is_cancelled());
}

#[test]
fn tools_answer_and_fail() {
    let host = Host::new(Recorder::default());
    let plugin = Plugin::linked::<Parts>().unwrap();
    let call = |text: &str| plugin.call("test.echo", &json!({"text": text}), &host);
    assert_eq!(call("cpu").unwrap(), json!({"text": "cpu", "device": "cpu:0", "threads": 1}));
    assert_eq!(call("cuda").unwrap_err().message, "no cuda here");
    assert!(call("panic").unwrap_err().message.contains("told to"));
    assert!(plugin.call("test.nothing", &json!({}), &host).unwrap_err().message.contains("no tool"));
}

#[test]
fn leases_are_given_back() {
    let recorder = Recorder::default();
    let host = Host::new(recorder.clone());
    let lease = host.lease_memory(60).unwrap();
    assert!(host.lease_memory(1000).is_none());
    assert_eq!((lease.bytes(), recorder.leased.load(Ordering::SeqCst)), (60, 60));
    drop(lease);
    assert_eq!(recorder.leased.load(Ordering::SeqCst), 0);
}

#[test]
fn tensors_and_nulls_survive() {
    // A list of lists with nulls and a slice: offsets and bitmaps that do not start at 0.
    use arrow::array::{Int16Builder, ListBuilder};
    let mut lists = ListBuilder::new(Int16Builder::new());
    for row in 0..5i16 {
        if row == 2 {
            lists.append_null();
        } else {
            lists.append_value((0..row).map(Some));
        }
    }
    let lists = lists.finish();
    let schema = Arc::new(Schema::new(vec![Field::new("v", lists.data_type().clone(), true)]));
    let whole = RecordBatch::try_new(schema.clone(), vec![Arc::new(lists)]).unwrap();
    let part = whole.slice(1, 4);

    struct Pass;
    impl Node for Pass {
        const NAME: &'static str = "pass";
        type Settings = Value;
        fn describe() -> NodeDoc {
            NodeDoc::new("Passes").input("in", &[], "anything").output("any")
        }
        fn plan(_: Value, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
            Ok(NodePlan::new(inputs.require("in")?.schema.clone()))
        }
        fn run(_: Value, _: NodePlan, mut inputs: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
            Ok(Box::new(inputs.require("in")?))
        }
    }
    struct PassParts;
    impl PluginParts for PassParts {
        const NAME: &'static str = "pass";
        const VERSION: &'static str = "0";
        const NODES: &'static [NodeEntry] = &[node::<Pass>()];
        const TOOLS: &'static [ToolEntry] = &[];
    }
    let plugin = Plugin::linked::<PassParts>().unwrap();
    let host = Host::new(Recorder::default());
    let batches: BatchStream = Box::new(std::iter::once(Ok(part.clone())));
    let inputs = RunInputs::default().with("in", RunInput::new("any", schema.clone(), batches));
    let (_, stream) = plugin.run("pass", &json!({}), NodePlan::new(schema), inputs, &host).unwrap();
    assert_eq!(stream.collect::<Result<Vec<_>, _>>().unwrap(), vec![part]);
}
