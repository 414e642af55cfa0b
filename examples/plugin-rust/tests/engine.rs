//! The plugin as a user has it: the built library, loaded by the engine, on chips with a known answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_abi::{
    BatchStream, Fault, Host, NoHost, Node, NodeDoc, NodeEntry, NodeError, NodePlan, PlanInput, PlanInputs, Plugin,
    PluginParts, RunInputs, ToolEntry, node,
};
use skysense_edges::{
    ChipBuilder, ChipFacts, ChipModality, ChipRow, ChipSchema, Dtype, MapBatch, ModalityFacts, Period, Pixels,
    SeriesRow,
};
use skysense_engine::{
    Bindings, NoEvents, Outcome, PlanOptions, PluginSet, RunOptions, SearchPath, Source, Spec, plan, run,
};
use skysense_grid::{Affine, Crs, GeoBox, Window};

const SIDE: usize = 2;

/// The library, which cargo builds beside this test: a test of a `cdylib` cannot link it, but depends on it.
fn library() -> PathBuf {
    let name = format!("{}ndvi_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let test = std::env::current_exe().expect("a test has a file");
    let library = test.with_file_name(name);
    assert!(library.exists(), "{} is not there: `cargo build --workspace --lib` builds it", library.display());
    library
}

fn schema() -> ChipSchema {
    ChipSchema {
        modalities: vec![ChipModality { name: "s2".into(), dtype: Dtype::I16, bands: Some(3), side: Some(SIDE) }],
    }
}

fn facts(bands: [&str; 3]) -> Value {
    let crs = Crs::new("EPSG:32633");
    let geobox = GeoBox::new(crs, Affine::from_gdal([500_000.0, 10.0, 0.0, 5_000_000.0, 0.0, -10.0]), SIDE, SIDE);
    let modality = ModalityFacts {
        sensor: "sentinel-2-l2a".into(),
        bands: bands.map(str::to_owned).to_vec(),
        unit: "reflectance_e4".into(),
        dtype: Dtype::I16,
        scale: 1,
        dates: 2,
    };
    let period =
        Period { name: "all".into(), start: "2021-04-01T00:00:00Z".into(), end: "2021-05-01T00:00:00Z".into() };
    let facts = ChipFacts {
        geobox: geobox.expect("a grid"),
        chip_size: SIDE,
        overlap: 0,
        periods: vec![period],
        modalities: BTreeMap::from([("s2".to_owned(), modality)]),
        items: Vec::new(),
        decisions: Vec::new(),
    };
    serde_json::to_value(facts).expect("facts are JSON")
}

/// One chip, two dates of B02, B04, B08. Pixel 0: bare then green; 1: green then cloud that is masked;
/// 2: never valid; 3: both bands 0.
fn chips() -> RecordBatch {
    let pixels: Vec<f32> = [
        [9.0, 9.0, 9.0, 9.0],
        [2000.0, 1000.0, 5.0, 0.0],
        [3000.0, 3000.0, 7.0, 0.0],
        [9.0, 9.0, 9.0, 9.0],
        [1000.0, 9000.0, 5.0, 0.0],
        [4000.0, 9500.0, 7.0, 0.0],
    ]
    .concat();
    let series = SeriesRow {
        shape: [2, 3, SIDE, SIDE],
        pixels: Pixels::from_f32(Dtype::I16, &pixels),
        valid: vec![1, 1, 0, 1, 1, 0, 0, 1],
        datetimes: vec![1_617_235_200_000, 1_619_827_200_000],
        items: vec![vec!["A".into()], vec!["B".into()]],
    };
    let window = Window { x: 0, y: 0, width: SIDE, height: SIDE };
    let mut builder = ChipBuilder::new(schema());
    let series = BTreeMap::from([("s2".to_owned(), series)]);
    builder.push(ChipRow { chip: 0, period: "all".into(), window, series }).expect("a chip");
    builder.finish().expect("a batch")
}

/// No settings.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

struct Chips;

impl Node for Chips {
    const NAME: &'static str = "test.chips";
    type Settings = Nothing;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives one chip").output("chip")
    }

    fn plan(_: Nothing, _: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        Ok(NodePlan::new(schema().arrow()).facts(facts(["B02", "B04", "B08"])))
    }

    fn run(_: Nothing, _: NodePlan, _: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
        Ok(Box::new(std::iter::once(Ok(chips()))))
    }
}

struct Check;

impl Node for Check {
    const NAME: &'static str = "test.check";
    type Settings = Nothing;

    fn describe() -> NodeDoc {
        NodeDoc::new("Reports what it gets").input("feature", &["feature"], "a map").output("none")
    }

    fn plan(_: Nothing, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        Ok(NodePlan::new(inputs.require("feature")?.schema.clone()))
    }

    fn run(_: Nothing, _: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let input = inputs.require("feature")?;
        Ok(Box::new(input.inspect(move |batch| {
            let Ok(batch) = batch else { return };
            let features = MapBatch::features(batch).expect("a feature edge");
            host.report("map", &json!({"values": features.values(0), "valid": features.valid(0)}));
        })))
    }
}

struct TestPlugin;

impl PluginParts for TestPlugin {
    const NAME: &'static str = "test";
    const VERSION: &'static str = "0";
    const NODES: &'static [NodeEntry] = &[node::<Chips>(), node::<Check>()];
    const TOOLS: &'static [ToolEntry] = &[];
}

#[test]
fn the_built_plugin_runs_in_the_engine() {
    let mut plugins = PluginSet::discover(&SearchPath::default().with(library()));
    assert!(plugins.refused().is_empty(), "{:?}", plugins.refused());
    plugins.add(Plugin::linked::<TestPlugin>().expect("the test plugin"));
    let text = "skysense: 1\nname: test\nnodes:\n  chips: {uses: test.chips}\n  \
                ndvi: {uses: index.ndvi, from: chips}\n  check: {uses: test.check, from: ndvi}\n";
    let source = Source::from_text("test.yaml", text);
    let spec = Spec::from_source(&source, &plugins.node_types(), &Bindings::of_process(&[]));
    let spec = spec.unwrap_or_else(|faults| panic!("{faults}"));
    let plan = plan(&spec, &plugins, &PlanOptions::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = RunOptions::default();
    options.runs = folder.path().join("runs");
    let report = run(plan, &plugins, &options, Arc::new(NoEvents)).expect("a run");
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let map = &report.records.iter().find(|r| r.kind == "map").expect("a map").record;
    let values: Vec<f64> = serde_json::from_value(map["values"].clone()).expect("numbers");
    for (found, expected) in values.iter().zip([0.6, 0.5, 0.0, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{values:?}");
    }
    assert_eq!(map["valid"], json!([1, 1, 0, 0]));
}

#[test]
fn bands_that_are_not_there_are_all_told_at_plan_time() {
    let plugin = Plugin::load(&library()).expect("the plugin loads");
    let input = PlanInput::new("chip", schema().arrow(), facts(["B02", "B03", "B8A"]), None);
    let inputs = PlanInputs::default().with("chip", input);
    let faults = plugin.plan("index.ndvi", &json!({"red": "red"}), &inputs, &Host::new(NoHost)).unwrap_err();
    let fields: Vec<_> = faults.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(fields, ["/red", "/nir"]);
    assert!(faults[0].message.contains("no band `red`") && faults[0].message.contains("B03"), "{faults:?}");
}
