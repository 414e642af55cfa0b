//! Scenes, and the nodes from them to shards.

use std::path::Path;

use arrow::array::RecordBatch;
use serde_json::{Value, json};

use crate::harness::{Bench, Planned, good};

/// Simulates a scene in a folder below the bench's, and gives its catalog.
pub(crate) fn scene(bench: &Bench, name: &str, more: &Value) -> String {
    let mut spec = json!({"out": name, "size": 128, "dates": 4, "radar_dates": 3, "cloud": 0.1, "seed": 3});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    bench.call("simulate.scene", &spec).unwrap();
    format!("{name}/catalog.json")
}

/// Finds all scenes of a catalog.
pub(crate) fn search(bench: &Bench, catalog: &str) -> (Planned, Vec<RecordBatch>) {
    let node = good(bench.plan("stac.search", json!({"href": catalog, "sensors": {"aerial-rgb": "hr-rgb"}}), &[]));
    let rows = node.plan.rows.clone().unwrap();
    (node, rows)
}

/// Draws places within the scenes.
pub(crate) fn places(bench: &Bench, scenes: &Planned, with: Value) -> (Planned, Vec<RecordBatch>) {
    let node = good(bench.plan("sample.locations", with, &[("items", scenes)]));
    let rows = node.plan.rows.clone().unwrap();
    (node, rows)
}

/// Reads samples at places.
pub(crate) fn samples(
    bench: &Bench,
    scenes: &(Planned, Vec<RecordBatch>),
    places: &(Planned, Vec<RecordBatch>),
    with: Value,
) -> (Planned, Vec<RecordBatch>) {
    let node = good(bench.plan("raster.samples", with, &[("items", &scenes.0), ("locations", &places.0)]));
    let inputs = [("items", &scenes.0, scenes.1.clone()), ("locations", &places.0, places.1.clone())];
    let batches = bench.run(&node, &inputs).unwrap();
    (node, batches)
}

/// Plans and runs `data.write`.
pub(crate) fn write(
    bench: &Bench,
    samples: &(Planned, Vec<RecordBatch>),
    with: &Value,
) -> Result<Value, skysense_abi::NodeError> {
    let node = good(bench.plan("data.write", with.clone(), &[("samples", &samples.0)]));
    let rows = bench.run(&node, &[("samples", &samples.0, samples.1.clone())])?;
    let dataset = skysense_edges::DatasetBatch::try_new(&rows[0]).unwrap();
    Ok(serde_json::from_str(dataset.manifest()).unwrap())
}

/// A set of shards of a small scene with high resolution, in `set` below a folder.
pub(crate) fn small_set(folder: &Path) -> (Bench, (Planned, Vec<RecordBatch>)) {
    let bench = Bench::new(2, folder);
    let catalog = scene(&bench, "scene", &json!({"hr": 48}));
    let scenes = search(&bench, &catalog);
    let places = places(&bench, &scenes.0, json!({"method": "grid", "spacing": 160, "size": 16}));
    let samples = samples(&bench, &scenes, &places, json!({"window": "P200D", "min_valid": 0.3}));
    let set = json!({"href": "set", "shard_size": 8, "validation": {"share": 0.4, "block": 0.5, "seed": 1}});
    write(&bench, &samples, &set).unwrap();
    (bench, samples)
}
