//! Labels that are shapes, labels of other times, and splits that are given.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_contract::Package;
use skysense_edges::ChipFacts;

use crate::bench::{items, read, scratch, search, simulate};
use crate::harness::{Bench, Planned, good, messages};

/// A shape: class, part, and west, north, east and south in pixels of the grid.
type Field<'a> = (&'a str, &'a str, [f64; 4]);

/// A small scene of one satellite, made once; each test has labels of its own beside it.
fn scene() -> &'static Path {
    static SCENE: OnceLock<PathBuf> = OnceLock::new();
    SCENE.get_or_init(|| {
        let folder = scratch("shapes");
        simulate(&folder, &json!({"seed": 11, "radar_dates": 0, "cloud": 0.0}));
        folder
    })
}

struct Ground {
    folder: tempfile::TempDir,
    bench: Bench,
    chips: Planned,
    batches: Vec<RecordBatch>,
}

/// Chips of the scene that do not overlap.
fn ground() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let cut = json!({"size": 16, "overlap": 0, "dates": {"max": 2}});
    let chips = good(bench.plan("raster.chips", cut, &[("items", &scenes)]));
    let batches = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
    Ground { folder, bench, chips, batches }
}

impl Ground {
    /// Writes shapes as GeoJSON on the grid of the chips.
    fn shapes(&self, name: &str, fields: &[Field<'_>]) -> PathBuf {
        let facts: ChipFacts = serde_json::from_value(self.chips.plan.facts.clone()).unwrap();
        let features: Vec<Value> = fields
            .iter()
            .map(|(class, split, [west, north, east, south])| {
                let corners = [[west, north], [east, north], [east, south], [west, south], [west, north]];
                let ring: Vec<Value> = corners
                    .iter()
                    .map(|[x, y]| {
                        let (x, y) = facts.geobox.transform.apply(**x, **y);
                        json!([x, y])
                    })
                    .collect();
                json!({"type": "Feature", "properties": {"class": class, "split": split},
                    "geometry": {"type": "Polygon", "coordinates": [ring]}})
            })
            .collect();
        let code = facts.geobox.crs.as_str().split(':').next_back().unwrap().to_owned();
        let crs = json!({"type": "name", "properties": {"name": format!("urn:ogc:def:crs:EPSG::{code}")}});
        let path = self.folder.path().join(name);
        std::fs::write(&path, json!({"type": "FeatureCollection", "crs": crs, "features": features}).to_string())
            .unwrap();
        path
    }

    /// Items with a layer each, as a search finds them: id, year, part, shapes.
    fn labels(&self, all: &[(&str, i32, &str, &[Field<'_>])]) -> Planned {
        let model = read(&items(scene(), "sentinel-2-l2a")[0]);
        let collection = self.folder.path().join("fields");
        std::fs::create_dir_all(&collection).unwrap();
        let mut links = vec![json!({"rel": "self", "href": "./collection.json"})];
        for (id, year, part, fields) in all {
            let layer = self.shapes(&format!("fields/{id}.geojson"), fields);
            let href = format!("./{}", layer.file_name().unwrap().to_string_lossy());
            let item = json!({
                "type": "Feature", "stac_version": "1.0.0", "id": id, "collection": "fields",
                "geometry": model["geometry"], "bbox": model["bbox"], "links": [],
                "properties": {"datetime": format!("{year}-07-01T00:00:00Z"), "part": part},
                "assets": {"layer": {"href": href, "type": "application/geo+json"}},
            });
            std::fs::write(collection.join(format!("{id}.json")), item.to_string()).unwrap();
            links.push(json!({"rel": "item", "href": format!("./{id}.json")}));
        }
        let collection_json = json!({
            "type": "Collection", "stac_version": "1.0.0", "id": "fields", "description": "fields", "license": "CC0-1.0",
            "extent": {"spatial": {"bbox": [model["bbox"]]}, "temporal": {"interval": [["2015-01-01T00:00:00Z", null]]}},
            "links": links,
        });
        let path = collection.join("collection.json");
        std::fs::write(&path, collection_json.to_string()).unwrap();
        good(self.bench.plan("stac.search", json!({"href": path}), &[]))
    }

    fn plan(&self, settings: &Value, labels: &Planned) -> Result<Planned, String> {
        let mut with = json!({"steps": 2, "out": "model", "exists": "replace"});
        if settings.get("split").is_none() {
            with["validation"] = json!(0.0);
        }
        with.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let ports = [("chips", &self.chips), ("labels", labels)];
        self.bench.plan("skysense.finetune", with, &ports).map_err(|faults| messages(&faults))
    }

    /// Trains, applies and evaluates: the package, and the evaluation as data.
    fn judged(&self, settings: &Value, labels: &Planned, evaluation: &Value) -> (Package, Value) {
        let model = self.plan(settings, labels).unwrap();
        // Each training is a run of its own, and goes on with no other's checkpoints.
        let _ = std::fs::remove_dir_all(self.folder.path().join("scratch"));
        let inputs = [("chips", &self.chips, self.batches.clone()), ("labels", labels, Vec::new())];
        let trained = self.bench.run(&model, &inputs).unwrap();
        let ports = [("chips", &self.chips), ("model", &model)];
        let maps = good(self.bench.plan("skysense.segment", json!({"device": "cpu"}), &ports));
        let inputs = [("chips", &self.chips, self.batches.clone()), ("model", &model, trained)];
        let found = self.bench.run(&maps, &inputs).unwrap();
        let mut with = json!({"out": "page.html", "replicates": 0, "worst": 1});
        with.as_object_mut().unwrap().extend(evaluation.as_object().unwrap().clone());
        let ports = [("maps", &maps), ("labels", labels)];
        let node = good(self.bench.plan("skysense.evaluate", with, &ports));
        self.bench.run(&node, &[("maps", &maps, found), ("labels", labels, Vec::new())]).unwrap();
        let package = Package::open(self.folder.path().join("model")).unwrap();
        (package, read(&self.folder.path().join("page.json")))
    }
}

/// Pixels of each class in the truth.
fn pixels(found: &Value) -> Vec<(String, u64)> {
    let class = |row: &Value| (row["name"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap());
    found["classes"].as_array().unwrap().iter().map(class).collect()
}

fn pair(one: (&str, u64), other: (&str, u64)) -> Vec<(String, u64)> {
    vec![(one.0.into(), one.1), (other.0.into(), other.1)]
}

#[test]
fn shapes_are_the_labels_of_the_pixels_that_they_cover() {
    let ground = ground();
    // The second field covers a third of the pixels of its last column.
    let fields: [Field<'_>; 2] = [("wheat", "", [0.1, 0.1, 19.9, 63.9]), ("maize", "", [20.1, 0.1, 40.3, 63.9])];
    let labels = ground.labels(&[("fields", 2021, "", &fields)]);
    let shapes = |more: Value| json!({"shapes": more});
    let (package, found) = ground.judged(&shapes(json!({})), &labels, &json!({}));
    let head = package.contract().head.clone().unwrap();
    let names: Vec<(u8, &str)> = head.classes.iter().map(|class| (class.value, class.name.as_str())).collect();
    assert_eq!(names, [(1, "maize"), (2, "wheat")]);
    assert_eq!(pixels(&found), pair(("maize", 20 * 64), ("wheat", 20 * 64)));
    assert_eq!(package.contract().notes["scores"]["training"]["pixels"], 40 * 64);
    // Touched, the column counts; and what no field covers can be a class.
    let touched = shapes(json!({"all_touched": true, "background": "other"}));
    let (package, found) = ground.judged(&touched, &labels, &touched);
    let mut counts = pixels(&found);
    let other = counts.remove(0);
    assert_eq!(other, ("other".into(), 23 * 64));
    assert_eq!(counts, pair(("maize", 21 * 64), ("wheat", 20 * 64)));
    assert_eq!(package.contract().head.as_ref().unwrap().classes[0].value, 0);
    // What cannot be is said while planning.
    let told = ground.plan(&shapes(json!({"field": "crop"})), &labels).err().unwrap();
    assert!(told.contains("no field \"crop\"; it has class, split"), "{told}");
    let told = ground.plan(&json!({"task": "regression"}), &labels).err().unwrap();
    assert!(told.contains("class of feature 0 is \"wheat\", expected a number"), "{told}");
    let told = ground.plan(&json!({"label_asset": "none"}), &labels).err().unwrap();
    assert!(told.contains("no raster and no vector layer \"none\""), "{told}");
}

#[test]
fn labels_go_by_date_only_where_that_is_said() {
    let ground = ground();
    let old: [Field<'_>; 2] = [("wheat", "", [0.0, 0.0, 64.0, 32.0]), ("maize", "", [0.0, 32.0, 64.0, 64.0])];
    let new: [Field<'_>; 2] = [("wheat", "", [0.0, 0.0, 64.0, 48.0]), ("maize", "", [0.0, 48.0, 64.0, 64.0])];
    let both = ground.labels(&[("a-2015", 2015, "", &old), ("b-2021", 2021, "", &new)]);
    let of = |dates: &str| {
        let dates = json!({"label_dates": dates});
        pixels(&ground.judged(&dates, &both, &dates).1)
    };
    // The first of several counts where any will do.
    assert_eq!(of("any"), pair(("maize", 32 * 64), ("wheat", 32 * 64)));
    assert_eq!(of("match"), pair(("maize", 16 * 64), ("wheat", 48 * 64)));
    let past = ground.labels(&[("a-2015", 2015, "", &old)]);
    assert!(ground.plan(&json!({}), &past).is_ok());
    let told = ground.plan(&json!({"label_dates": "match"}), &past).err().unwrap();
    assert!(told.contains("no label is of the time of the chips"), "{told}");
}

#[test]
fn a_given_split_says_what_trains_what_validates_and_what_is_tested() {
    let ground = ground();
    let fields: [Field<'_>; 2] = [("wheat", "", [0.0, 0.0, 64.0, 30.0]), ("maize", "", [0.0, 30.0, 64.0, 64.0])];
    let labels = ground.labels(&[("fields", 2021, "train", &fields)]);
    let places: [Field<'_>; 3] = [
        ("", "train", [0.0, 0.0, 30.0, 64.0]),
        ("", "val", [32.0, 0.0, 48.0, 64.0]),
        ("", "test", [48.0, 0.0, 64.0, 64.0]),
    ];
    ground.shapes("places.geojson", &places);
    let split = json!({"split": {"file": "places.geojson"}});
    let (package, found) = ground.judged(&split, &labels, &split);
    let notes = &package.contract().notes;
    assert_eq!(notes["split"], "given");
    let scores = &notes["scores"];
    assert_eq!((&scores["training"]["pixels"], &scores["validation"]["pixels"]), (&json!(30 * 64), &json!(16 * 64)));
    assert_eq!(found["count"], 16 * 64);
    assert!(found["about"]["part"].as_str().unwrap().contains("test of the given split"), "{}", found["about"]);
    let training = json!({"split": {"file": "places.geojson"}, "split_part": "train"});
    assert_eq!(ground.judged(&split, &labels, &training).1["count"], 30 * 64);
    // Whole chips are of the part that has all of them.
    let chips = json!({"task": "classification", "split": {"file": "places.geojson"}});
    let (package, found) = ground.judged(&chips, &labels, &split);
    let scores = &package.contract().notes["scores"];
    assert_eq!((&scores["training"]["chips"], &scores["validation"]["chips"]), (&json!(4), &json!(4)));
    assert_eq!(found["count"], 4);

    // By items: those of 2021 train, those of 2020 lie elsewhere and validate.
    let [west, east] = [[("wheat", "", [0.0, 0.0, 20.0, 64.0])], [("maize", "", [20.0, 0.0, 64.0, 64.0])]];
    let labels = ground.labels(&[("west", 2021, "train", &west), ("east", 2021, "validation", &east)]);
    let by_item = json!({"split": {"property": "part"}});
    let (package, _) = ground.judged(&by_item, &labels, &json!({}));
    let scores = &package.contract().notes["scores"];
    assert_eq!((&scores["training"]["pixels"], &scores["validation"]["pixels"]), (&json!(20 * 64), &json!(44 * 64)));
    let told = ground.plan(&json!({"split": {"property": "fold"}}), &labels).err().unwrap();
    assert!(told.contains("property fold of item") && told.contains("expected train, validation or test"), "{told}");
    let told = ground.plan(&json!({"split": {"file": "places.geojson", "field": "class"}}), &labels).err().unwrap();
    assert!(told.contains("class of feature 0"), "{told}");
    let told = ground.plan(&json!({"split": {"property": "part"}, "validation": 0.4}), &labels).err().unwrap();
    assert!(told.contains("validation is 0.4"), "{told}");
}
