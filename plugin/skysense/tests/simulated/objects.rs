//! Objects from labels to files: trained, found, written, scored.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_edges::{MetricBatch, ObjectBatch, RasterBatch};
use skysense_grid::Crs;

use crate::bench::{read, scratch, search, simulate};
use crate::harness::{Bench, Planned, good, messages};

/// An orthophoto of 320 m with objects on it.
pub(crate) fn scene() -> &'static Path {
    static SCENE: OnceLock<PathBuf> = OnceLock::new();
    SCENE.get_or_init(|| {
        let folder = scratch("objects");
        simulate(&folder, &json!({"seed": 7, "hr": 32, "objects": 28, "dates": 1, "radar_dates": 0}));
        folder
    })
}

struct Inputs {
    images: Planned,
    truth: Planned,
    chips: Planned,
    batches: Vec<RecordBatch>,
}

fn inputs(bench: &Bench) -> Inputs {
    let images = good(bench.plan("stac.search", search(scene(), &["aerial-rgb"]), &[]));
    let truth = good(bench.plan("stac.search", search(scene(), &["objects"]), &[]));
    let sensors = json!({"aerial-rgb": "hr-rgb"});
    let cut = json!({"size": 8, "overlap": 3, "dates": {"max": 1}, "sensors": sensors});
    let chips = good(bench.plan("raster.chips", cut, &[("items", &images)]));
    let batches = bench.run(&chips, &[("items", &images, Vec::new())]).unwrap();
    Inputs { images, truth, chips, batches }
}

fn training(task: &str, steps: usize, out: &Path, more: &Value) -> Value {
    let mut settings = json!({
        "task": task, "steps": steps, "out": out, "exists": "replace", "validation": 0,
        "holdout": {"share": 0.3, "side": "east"},
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

/// A detector that was trained for some steps, made once for each kind.
fn trained(rotated: bool) -> &'static (Planned, Vec<RecordBatch>) {
    static TRAINED: [OnceLock<(Planned, Vec<RecordBatch>)>; 2] = [OnceLock::new(), OnceLock::new()];
    TRAINED[usize::from(rotated)].get_or_init(|| {
        let task = if rotated { "oriented_detection" } else { "detection" };
        let out = scratch(task);
        // A folder of its own, for the two may train at once.
        let base = scratch(&format!("run-{task}"));
        std::fs::create_dir_all(&base).unwrap();
        let bench = Bench::new(2, &base);
        let given = inputs(&bench);
        let ports = [("chips", &given.chips), ("labels", &given.truth)];
        let model = good(bench.plan("skysense.finetune", training(task, 150, &out, &json!({})), &ports));
        let batches =
            bench.run(&model, &[("chips", &given.chips, given.batches), ("labels", &given.truth, Vec::new())]).unwrap();
        (model, batches)
    })
}

fn found(bench: &Bench, rotated: bool) -> (Planned, Vec<RecordBatch>) {
    let (model, made) = trained(rotated);
    let given = inputs(bench);
    let search = good(bench.plan("skysense.detect", json!({}), &[("chips", &given.chips), ("model", model)]));
    let ports = [("chips", &given.chips, given.batches), ("model", model, made.clone())];
    let batches = bench.run(&search, &ports).unwrap();
    (search, batches)
}

#[test]
fn objects_are_found_written_and_scored() {
    for rotated in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::new(2, folder.path());
        let (search, objects) = found(&bench, rotated);
        let all: Vec<_> = objects
            .iter()
            .flat_map(|batch| ObjectBatch::try_new(batch, 2).unwrap().rows().collect::<Vec<_>>())
            .collect();
        assert!(all.len() > 10, "rotated {rotated}: {} objects", all.len());
        if !rotated {
            let upright = |row: &skysense_edges::ObjectRow| {
                let [a, b, _, d] = row.corners;
                a[1] == b[1] && a[0] == d[0]
            };
            assert!(all.iter().all(upright));
        }
        let given = inputs(&bench);
        let ports = [("objects", &search), ("labels", &given.truth)];
        let scores = json!({"area": {"share": 0.3, "side": "east"}, "out": "scores.json"});
        let judge = good(bench.plan("objects.evaluate", scores, &ports));
        let numbers = bench.run(&judge, &[("objects", &search, objects.clone()), ("labels", &given.truth, Vec::new())]);
        let numbers: Vec<_> = numbers
            .unwrap()
            .iter()
            .flat_map(|batch| MetricBatch::try_new(batch).unwrap().rows().collect::<Vec<_>>())
            .collect();
        let number = |name: &str| numbers.iter().find(|row| row.name == name).map(|row| row.value).unwrap();
        eprintln!("rotated {rotated}: {numbers:?}");
        assert!(number("objects") >= 4.0);
        assert!(number("map50") > 0.5, "rotated {rotated}: {numbers:?}");
        let told = read(&folder.path().join("scores.json"));
        assert_eq!(told["scores"]["map50"].as_f64(), Some(number("map50")));

        let written = json!({"href": "out", "collection": "buildings"});
        let write = good(bench.plan("objects.write", written, &[("objects", &search)]));
        let rows = bench.run(&write, &[("objects", &search, objects)]).unwrap();
        let row = RasterBatch::try_new(&rows[0]).unwrap().rows().next().unwrap();
        let item: Value = serde_json::from_str(&row.item).unwrap();
        assert_eq!(item["properties"]["skysense:objects"], all.len());
        assert_eq!(item["properties"]["mlm:tasks"], json!(["object-detection"]));
        for (key, ending) in [("flatgeobuf", "fgb"), ("geopackage", "gpkg"), ("geoparquet", "parquet")] {
            let file = Path::new(item["assets"][key]["href"].as_str().unwrap());
            assert!(file.is_file() && file.extension().unwrap() == ending);
            if key != "geoparquet" {
                // GDAL reads them back: where they lie, with their class.
                let target: Crs = Crs::new(given.chips.plan.facts["geobox"]["crs"].as_str().unwrap());
                let again = skysense_raster::outlines(file, Some("class"), &target).unwrap();
                assert_eq!(again.len(), all.len(), "{key}");
                let near = |ring: &[[f64; 2]]| {
                    all.iter().any(|row| {
                        row.corners.iter().flatten().zip(ring.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-6)
                    })
                };
                assert!(again.iter().all(|outline| near(&outline.ring)), "{key}");
                assert!(
                    again.iter().all(|outline| ["greenhouse", "hall"].contains(&outline.value.as_deref().unwrap()))
                );
            }
        }
        let verified = bench.call("verify.item", &json!({"item": row.href})).unwrap();
        assert_eq!(verified["ok"], true, "{verified}");
    }
}

#[test]
fn neither_threads_nor_the_order_of_chips_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut first: Option<Vec<Vec<u8>>> = None;
    for (threads, backwards) in [(1, false), (4, false), (2, true)] {
        let bench = Bench::new(threads, folder.path());
        let (model, made) = trained(true);
        let mut given = inputs(&bench);
        if backwards {
            given.batches =
                given.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| batch.slice(row, 1))).collect();
            given.batches.reverse();
        }
        let search = good(bench.plan("skysense.detect", json!({}), &[("chips", &given.chips), ("model", model)]));
        let ports = [("chips", &given.chips, given.batches), ("model", model, made.clone())];
        let objects = bench.run(&search, &ports).unwrap();
        let written = json!({"href": format!("{threads}-{backwards}"), "collection": "buildings"});
        let write = good(bench.plan("objects.write", written, &[("objects", &search)]));
        bench.run(&write, &[("objects", &search, objects)]).unwrap();
        let home = folder.path().join(format!("{threads}-{backwards}/buildings-all"));
        let names = ["objects.fgb", "objects.gpkg", "objects.parquet"];
        let files: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(home.join(name)).unwrap()).collect();
        let first = first.get_or_insert_with(|| files.clone());
        for ((name, one), other) in names.iter().zip(&*first).zip(&files) {
            assert!(one == other, "{name} differs with {threads} threads, backwards {backwards}");
        }
    }
}

#[test]
fn labels_in_every_layout_teach_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let given = inputs(&bench);
    let mut losses = Vec::new();
    for asset in ["objects", "coco", "dota"] {
        // A run of its own, for checkpoints are those of one run.
        let out = folder.path().join(asset);
        let base = folder.path().join(format!("run-{asset}"));
        std::fs::create_dir(&base).unwrap();
        let bench = Bench::new(2, &base);
        let settings = training("oriented_detection", 2, &out, &json!({"label_asset": asset}));
        let ports = [("chips", &given.chips), ("labels", &given.truth), ("images", &given.images)];
        let model = good(bench.plan("skysense.finetune", settings.clone(), &ports));
        let names = model.plan.facts["contract"]["head"]["classes"].as_array().unwrap();
        assert_eq!(
            names.iter().map(|class| class["name"].as_str().unwrap()).collect::<Vec<_>>(),
            ["greenhouse", "hall"]
        );
        bench
            .run(&model, &[("chips", &given.chips, given.batches.clone()), ("labels", &given.truth, Vec::new())])
            .unwrap();
        let package = skysense_contract::Package::open(&out).unwrap();
        losses.push(package.contract().notes["final_loss"].as_f64().unwrap());
        if asset != "objects" {
            let lacking = bench.plan("skysense.finetune", settings, &ports[..2]);
            let told = messages(&lacking.err().unwrap());
            assert!(told.contains("names the image") && told.contains("port `images`"), "{told}");
        }
    }
    // Outlines through longitude and latitude, as pixels, and as pixels with three decimals.
    assert!(losses.iter().all(|loss| (loss - losses[0]).abs() < 1e-3 * losses[0]), "{losses:?}");
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let given = inputs(&bench);
    let fault = |settings: Value, labels: &Planned| {
        let ports = [("chips", &given.chips), ("labels", labels)];
        messages(&bench.plan("skysense.finetune", settings, &ports).err().unwrap())
    };
    let task = |more: Value| training("detection", 2, &folder.path().join("model"), &more);
    assert!(
        fault(task(json!({"objects": {"field": "kind"}})), &given.truth).contains("no field \"kind\"; it has class")
    );
    assert!(fault(task(json!({"label_asset": "nothing"})), &given.truth).contains("has no file of objects"));
    // What a detector would pass over is refused, all of it at once.
    let told = fault(task(json!({"head": "uper", "early_stopping": {"every": 5}, "chip_share": 0.3})), &given.truth);
    for name in ["head is \"uper\"", "early_stopping is {", "chip_share is 0.3"] {
        assert!(told.contains(name), "{told}");
    }
    let rasters = good(bench.plan("stac.search", search(scene(), &["labels"]), &[]));
    assert!(fault(task(json!({})), &rasters).contains("has no file of objects"));
    let (model, _) = trained(false);
    let segment = bench.plan("skysense.segment", json!({}), &[("chips", &given.chips), ("model", model)]);
    let told = messages(&segment.err().unwrap());
    assert!(told.contains("skysense.detect"), "{told}");
    let package = json!({"model": crate::bench::package()});
    let told = messages(&bench.plan("skysense.detect", package, &[("chips", &given.chips)]).err().unwrap());
    assert!(told.contains("finds no objects") || told.contains("chips"), "{told}");
}
