//! Each task from a simulated scene with known truth to maps: trained for moments, applied by its ONNX graphs (whose probe
//! holds them against training), and written.

use std::path::Path;

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_contract::Package;
use skysense_edges::{MapBatch, MapFacts};

use crate::bench::{names, scratch, search, simulate};
use crate::harness::{Bench, Planned, good, messages};

/// A scene with the year after, a map of changes, and the share of green ground; made once.
fn ground() -> &'static Path {
    static GROUND: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    GROUND.get_or_init(|| {
        let folder = scratch("tasks");
        simulate(&folder, &json!({"seed": 5, "changed": 0.4, "cover": true, "radar_dates": 0}));
        folder
    })
}

/// Chips of a year: the plan of the search, of the chips, and the chips.
fn year(bench: &Bench, year: i32, overlap: usize) -> (Planned, Vec<RecordBatch>) {
    let mut found = search(ground(), &["sentinel-2-l2a"]);
    found["datetime"] = json!(format!("{year}-01-01/{year}-12-31"));
    let scenes = good(bench.plan("stac.search", found, &[]));
    let settings = json!({"size": 16, "overlap": overlap, "dates": {"max": 3}});
    let chips = good(bench.plan("raster.chips", settings, &[("items", &scenes)]));
    let batches = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
    (chips, batches)
}

/// What a task gives for the scene, its package, and the files that were written.
struct Made {
    maps: Planned,
    batches: Vec<RecordBatch>,
    package: Package,
    files: Vec<String>,
    folder: tempfile::TempDir,
}

fn make(labels: &str, overlap: usize, times: bool, settings: &Value) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let truth = good(bench.plan("stac.search", search(ground(), &[labels]), &[]));
    let (chips, batches) = year(&bench, if times { 2022 } else { 2021 }, overlap);
    let earlier = times.then(|| year(&bench, 2021, overlap));
    let mut with = json!({"preset": "tiny", "batch": 4, "validation": 0.25, "out": "model"});
    with.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut ports = vec![("chips", &chips), ("labels", &truth)];
    let mut inputs = vec![("chips", &chips, batches.clone()), ("labels", &truth, Vec::new())];
    let mut apply = vec![("chips", &chips, batches.clone())];
    if let Some((before, batches)) = &earlier {
        ports.push(("before", before));
        inputs.push(("before", before, batches.clone()));
        apply.push(("before", before, batches.clone()));
    }
    let model = good(bench.plan("skysense.finetune", with, &ports));
    let trained = bench.run(&model, &inputs).unwrap();
    let mut ports: Vec<(&str, &Planned)> = apply.iter().map(|(port, node, _)| (*port, *node)).collect();
    ports.push(("model", &model));
    let maps = good(bench.plan("skysense.segment", json!({"device": "cpu"}), &ports));
    apply.push(("model", &model, trained));
    let batches = bench.run(&maps, &apply).unwrap();
    let mut out = json!({"href": "out", "collection": "made"});
    if settings["task"] == "classification" || settings["task"] == "multi_label" {
        out["polygons"] = json!(["geopackage", "flatgeobuf"]);
    }
    let write = good(bench.plan("stac.write", out, &[("maps", &maps)]));
    bench.run(&write, &[("maps", &maps, batches.clone())]).unwrap();
    let package = Package::open(folder.path().join("model")).unwrap();
    let files = names(&folder.path().join("out"));
    Made { maps, batches, package, files, folder }
}

impl Made {
    /// Values of all chips with what of them is valid.
    fn chips(&self) -> Vec<(Vec<f32>, Vec<u8>)> {
        let rows = |batch: &RecordBatch| {
            let maps = MapBatch::predictions(batch).unwrap();
            (0..maps.len()).map(|row| (maps.values(row).to_vec(), maps.valid(row).to_vec())).collect::<Vec<_>>()
        };
        self.batches.iter().flat_map(rows).collect()
    }

    fn facts(&self) -> MapFacts {
        serde_json::from_value(self.maps.plan.facts.clone()).unwrap()
    }

    fn scores(&self) -> Value {
        self.package.contract().notes["scores"].clone()
    }

    fn wrote(&self, name: &str) {
        assert!(self.files.iter().any(|file| file.ends_with(name)), "{name} is not among {:?}", self.files);
    }
}

#[test]
fn uper_gives_probabilities_of_classes() {
    let made = make("labels", 4, false, &json!({"task": "segmentation", "head": "uper", "steps": 8}));
    let classes = made.facts().classes.len();
    for (values, valid) in made.chips() {
        for place in (0..256).filter(|place| valid[*place] != 0) {
            let sum: f32 = values.iter().skip(place).step_by(256).sum();
            assert!((sum - 1.0).abs() < 1e-4 && values.len() == 256 * classes);
        }
    }
    made.wrote("class.tif");
}

#[test]
fn regression_gives_values_near_the_truth() {
    let made = make("cover", 4, false, &json!({"task": "regression", "quantity": "cover", "steps": 90}));
    let scores = made.scores();
    assert!(scores["training"]["r2"].as_f64() > Some(0.5), "{scores}");
    let quantity = made.facts().quantity.unwrap();
    assert_eq!((quantity.name.as_str(), quantity.unit.as_str()), ("cover", "%"));
    let values: Vec<f32> = made
        .chips()
        .iter()
        .flat_map(|(values, valid)| values.iter().zip(valid).filter(|(_, valid)| **valid != 0).map(|(v, _)| *v))
        .collect();
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    assert!((20.0..90.0).contains(&mean), "percent of green ground is {mean} on the average");
    made.wrote("value.tif");
    let item = made.files.iter().find(|file| file.ends_with("made-all.json")).unwrap();
    let item: Value =
        serde_json::from_str(&std::fs::read_to_string(made.folder.path().join("out").join(item)).unwrap()).unwrap();
    assert_eq!(item["properties"]["mlm:tasks"].as_array().map(Vec::len).unwrap_or(1), 1);
}

#[test]
fn classes_of_chips_stand_on_all_their_pixels() {
    for (task, file) in [("classification", "class.tif"), ("multi_label", "probability.tif")] {
        let made = make("labels", 0, false, &json!({"task": task, "steps": 6}));
        for (values, valid) in made.chips() {
            for map in values.chunks_exact(256) {
                let seen: Vec<f32> = (0..256).filter(|place| valid[*place] != 0).map(|place| map[place]).collect();
                assert!(seen.iter().all(|value| *value == seen[0] && (0.0..=1.0).contains(value)), "{task}");
            }
        }
        made.wrote(file);
        polygons(&made, task);
        assert!(made.scores()["training"]["chips"].as_u64() > Some(4), "{}", made.scores());
    }
}

/// The chips as polygons, held against what the model gave.
fn polygons(made: &Made, task: &str) {
    made.wrote("chips.gpkg");
    let path = made.files.iter().find(|file| file.ends_with("chips.fgb")).unwrap();
    let facts = made.facts();
    let crs = &facts.chips.geobox.crs;
    let layer = made.folder.path().join("out").join(path);
    let found = skysense_raster::outlines(&layer, Some("class"), crs).unwrap();
    let mut expected = Vec::new();
    for batch in &made.batches {
        let maps = MapBatch::predictions(batch).unwrap();
        for row in (0..maps.len()).filter(|row| maps.valid(*row).contains(&1)) {
            let seen = maps.valid(row).iter().position(|valid| *valid == 1).unwrap();
            let given: Vec<f32> = maps.values(row).iter().skip(seen).step_by(256).copied().collect();
            let best = given.iter().copied().fold(0.0, f32::max);
            let window = maps.window(row).unwrap();
            let (x, y) = facts.chips.geobox.transform.apply(window.x as f64, window.y as f64);
            let classes = given.iter().zip(&facts.classes).filter(|(share, _)| match task {
                "multi_label" => **share >= 0.5,
                _ => **share == best,
            });
            expected.extend(classes.map(|(_, class)| (x as i64, y as i64, class.name.clone())));
        }
    }
    let corner = |ring: &[[f64; 2]]| {
        let (west, north) = (f64::min as fn(f64, f64) -> f64, f64::max as fn(f64, f64) -> f64);
        let edge = |axis: usize, pick: fn(f64, f64) -> f64| ring.iter().map(|point| point[axis]).reduce(pick).unwrap();
        (edge(0, west) as i64, edge(1, north) as i64)
    };
    let mut found: Vec<(i64, i64, String)> = found
        .iter()
        .map(|outline| {
            let (x, y) = corner(&outline.ring);
            (x, y, outline.value.clone().unwrap())
        })
        .collect();
    found.sort();
    expected.sort();
    assert!(!found.is_empty() && found == expected, "{task}: {found:?} against {expected:?}");
    let item = made.files.iter().find(|file| file.ends_with("made-all.json")).unwrap();
    let item: Value =
        serde_json::from_str(&std::fs::read_to_string(made.folder.path().join("out").join(item)).unwrap()).unwrap();
    assert_eq!(item["assets"]["flatgeobuf"]["title"], "Classes of chips as FlatGeobuf");
}

#[test]
fn polygons_are_of_whole_chips_alone() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let (chips, _) = year(&bench, 2021, 4);
    let maps = good(bench.plan("skysense.segment", json!({"model": crate::bench::package()}), &[("chips", &chips)]));
    let out = json!({"href": "out", "collection": "made", "polygons": ["flatgeobuf"]});
    let told = messages(&bench.plan("stac.write", out, &[("maps", &maps)]).err().unwrap());
    assert!(told.contains("no class of a whole chip"), "{told}");
}

#[test]
fn change_is_found_between_two_years() {
    let settings = json!({"task": "change", "steps": 60, "class_weights": "balanced"});
    let made = make("changes", 4, true, &settings);
    let scores = made.scores();
    assert!(scores["training"]["f1"].as_f64() > Some(0.6), "{scores}");
    made.wrote("class.tif");
    // Without the earlier time it says what it lacks.
    let bench = Bench::new(1, made.folder.path());
    let (chips, _) = year(&bench, 2022, 4);
    let told = bench.plan("skysense.segment", json!({"model": "model"}), &[("chips", &chips)]).err().unwrap();
    assert!(messages(&told).contains("compares two times"), "{}", messages(&told));
}

#[test]
fn an_evaluation_scores_the_map_and_writes_a_page_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let truth = good(bench.plan("stac.search", search(ground(), &["labels"]), &[]));
    let (chips, batches) = year(&bench, 2021, 4);
    let with = json!({
        "steps": 60, "holdout": {"share": 0.4, "side": "east"}, "out": "model", "calibrate": true,
        "early_stopping": {"every": 20, "patience": 9},
    });
    let model = good(bench.plan("skysense.finetune", with, &[("chips", &chips), ("labels", &truth)]));
    let inputs = [("chips", &chips, batches.clone()), ("labels", &truth, Vec::new())];
    let trained = bench.run(&model, &inputs).unwrap();
    let package = Package::open(folder.path().join("model")).unwrap();
    let temperature = package.contract().head.as_ref().unwrap().temperature.unwrap();
    let note = &package.contract().notes["calibration"];
    assert!(temperature > 0.0 && note["after"].as_f64() <= note["before"].as_f64(), "{note}");
    let apply = |settings: Value| {
        let maps = good(bench.plan("skysense.segment", settings, &[("chips", &chips), ("model", &model)]));
        let inputs = [("chips", &chips, batches.clone()), ("model", &model, trained.clone())];
        let found = bench.run(&maps, &inputs).unwrap();
        (maps, found)
    };
    let (maps, plain) = apply(json!({"device": "cpu"}));
    let (_, flipped) = apply(json!({"device": "cpu", "flips": true}));
    assert!(plain != flipped, "flips change what is said");
    let evaluate = |out: &str, more: Value| {
        let mut settings = json!({"out": out, "block": 8, "part": {"share": 0.4, "side": "east"}});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ports = [("maps", &maps), ("labels", &truth), ("chips", &chips), ("model", &model)];
        let node = good(bench.plan("skysense.evaluate", settings, &ports));
        let inputs = [
            ("maps", &maps, plain.clone()),
            ("labels", &truth, Vec::new()),
            ("chips", &chips, batches.clone()),
            ("model", &model, trained.clone()),
        ];
        bench.run(&node, &inputs).unwrap()
    };
    let rows = evaluate("first.html", json!({}));
    assert!(rows[0].num_rows() >= 5);
    let first: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("first.json")).unwrap()).unwrap();
    // 26 of 64 columns, and every row of them, but for pixels that are no data.
    let count = first["count"].as_u64().unwrap();
    assert!(count > 26 * 64 * 9 / 10 && count <= 26 * 64, "{count} pixels");
    let score = &first["scores"][0];
    assert_eq!(score["name"], "overall_accuracy");
    let (value, interval) = (score["value"].as_f64().unwrap(), &score["interval"]);
    assert!(value > 0.2 && interval["lower"].as_f64() < Some(value) && interval["upper"].as_f64() > Some(value));
    let sum: u64 = first["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|line| line.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(sum, count);
    assert!(!package.card().contains("Maps of 40 % in the east"));
    evaluate("second.html", json!({"compare": "first.json", "worst": 2, "card": true}));
    let card = package.card();
    assert!(
        card.contains("Maps of 40 % in the east") && card.contains(&format!("| overall_accuracy | {value:.4} |")),
        "{card}"
    );
    package.verify().unwrap();
    let page = std::fs::read_to_string(folder.path().join("second.html")).unwrap();
    for part in [
        "Confusion",
        "Map of errors",
        "The worst chips",
        "How sure",
        "<figcaption>seen",
        "+0.0000",
        "loss by step",
        "score by step",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    assert!(!page.contains("http") && !page.contains("src="), "the page reaches out");
    assert_eq!(page.matches("<figcaption>truth").count(), 2);
    // An evaluation that is none is told while planning.
    std::fs::write(folder.path().join("none.json"), "{}").unwrap();
    let ports = [("maps", &maps), ("labels", &truth)];
    let told = bench.plan("skysense.evaluate", json!({"compare": "none.json"}), &ports).err().unwrap();
    assert!(messages(&told).contains("no evaluation"), "{}", messages(&told));
}

#[test]
fn two_times_that_are_no_pairs_are_told_while_planning() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let truth = good(bench.plan("stac.search", search(ground(), &["changes"]), &[]));
    let ((after, _), (before, _)) = (year(&bench, 2022, 4), year(&bench, 2021, 0));
    let ports = [("chips", &after), ("before", &before), ("labels", &truth)];
    let plan = |settings: Value, ports: &[(&str, &Planned)]| {
        messages(&bench.plan("skysense.finetune", settings, ports).err().unwrap())
    };
    let told = plan(json!({"task": "change"}), &ports);
    assert!(told.contains("overlap of 4 after") && told.contains("overlap of 0 before"), "{told}");
    let told = plan(json!({"task": "change"}), &[ports[0], ports[2]]);
    assert!(told.contains("port `before`"), "{told}");
    let told = plan(json!({"task": "segmentation"}), &ports);
    assert!(told.contains("looks at one time"), "{told}");
}
