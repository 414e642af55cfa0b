//! Rasters by path are what the items of a catalog are: the same pixels, labels that teach, mistakes told at once.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::bench::{chips, id, items, read, scene, search};
use crate::harness::{Bench, good, messages};

/// The files of a Sentinel-2 item as `raster.files` takes them: one for each band, and the mask.
fn files(item: &Path) -> Vec<Value> {
    let about = read(item);
    let assets = about["assets"].as_object().unwrap();
    let raster = |(key, asset): (&String, &Value)| {
        let named = key.starts_with('B') || key.eq_ignore_ascii_case("scl");
        let bands = Map::from_iter([(key.clone(), json!(1))]);
        named.then(|| {
            json!({"href": item.with_file_name("").join(asset["href"].as_str().unwrap()), "bands": bands, "id": id(item),
                "datetime": about["properties"]["datetime"]})
        })
    };
    assets.iter().filter_map(raster).collect()
}

#[test]
fn rasters_by_path_give_the_pixels_of_their_items() {
    let item = items(scene(), "sentinel-2-l2a").remove(0);
    let bench = Bench::new(2, scene());
    let mut settings = search(scene(), &["sentinel-2-l2a"]);
    settings["ids"] = json!([id(&item)]);
    let found = good(bench.plan("stac.search", settings, &[]));
    let offset = read(&item)["assets"]["B04"]["raster:offset"].clone();
    let settings = json!({"sensor": "sentinel-2-l2a", "files": files(&item)});
    let named = good(bench.plan("raster.files", settings, &[]));
    let stated = chips(&json!({"radiometry": {"files": {"offset": offset}}}));
    let (expected, given) = (
        good(bench.plan("raster.chips", chips(&json!({})), &[("items", &found)])),
        good(bench.plan("raster.chips", stated, &[("items", &named)])),
    );
    let expected = bench.run(&expected, &[("items", &found, Vec::new())]).unwrap();
    let given = bench.run(&given, &[("items", &named, Vec::new())]).unwrap();
    assert!(!expected.is_empty());
    assert!(given == expected, "rasters by path are read otherwise");
}

#[test]
fn label_rasters_teach_the_classes_that_are_named() {
    let labels = items(scene(), "labels").remove(0);
    let about = read(&labels);
    let (_, asset) = about["assets"].as_object().unwrap().iter().find(|(_, asset)| asset["href"].is_string()).unwrap();
    let file = labels.with_file_name("").join(asset["href"].as_str().unwrap());
    let bench = Bench::new(2, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let chips = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    let classes = json!([{"value": 1, "name": "water", "color": "#2B6CB0"}, {"value": 3, "name": "conifer"}]);
    let truth = good(bench.plan("raster.files", json!({"classes": classes, "files": [{"href": file}]}), &[]));
    let settings = json!({"steps": 1, "holdout": {"share": 0.0}});
    let model = good(bench.plan("skysense.finetune", settings, &[("chips", &chips), ("labels", &truth)]));
    let facts = model.plan.facts.to_string();
    assert!(facts.contains("water") && facts.contains("2b6cb0") && facts.contains("conifer"), "{facts}");
}

#[test]
fn every_mistake_is_told_at_its_file() {
    let item = items(scene(), "sentinel-2-l2a").remove(0);
    let file = item.with_file_name("B04.tif");
    let bench = Bench::new(1, scene());
    let told = |settings: Value| messages(&bench.plan("raster.files", settings, &[]).err().unwrap_or_default());
    let many = told(json!({"sensor": "sentinel-2-l2a", "datetime": "2021-05-03", "files": [
        {"href": file, "bands": {"B041": 1}},
        {"href": file, "bands": {"B04": 2}},
        {"href": file},
        {"href": "gone.tif", "bands": {"B04": 1}},
    ]}));
    for part in [
        "/files/0/bands/B041",
        "did you mean",
        "/files/1/bands/B04",
        "band 2 of",
        "/files/2/bands",
        "by their position",
        "/files/3/href",
        "gone.tif",
    ] {
        assert!(many.contains(part), "{part}: {many}");
    }
    let band = |datetime: &str| json!({"href": file, "bands": {"B04": 1}, "datetime": datetime, "id": "a"});
    for (settings, part) in [
        (json!({"files": [{"href": file}]}), "nobody knows what the numbers mean"),
        (json!({"sensor": "sentinel-9", "files": [{"href": file}]}), "sentinel-2-l2a"),
        (json!({"sensor": "hr-rgb", "classes": [{"value": 1, "name": "a"}], "files": [{"href": file}]}), "both given"),
        (json!({"sensor": "sentinel-2-l2a", "files": [{"href": file, "bands": {"B04": 1}}]}), "2021-05-03"),
        (json!({"sensor": "sentinel-2-l2a", "files": [band("yesterday")]}), "is no datetime"),
        (json!({"sensor": "sentinel-2-l2a", "files": [band("2021-05-03"), band("2021-05-04")]}), "an `id` of its own"),
        (json!({"sensor": "sentinel-2-l2a", "files": [band("2021-05-03"), band("2021-05-03")]}), "B04 twice"),
        (json!({"sensor": "sentinel-2-l2a", "files": [{"href": item, "bands": {"B04": 1}}]}), "not a raster format"),
    ] {
        let message = told(settings);
        assert!(message.contains(part), "{part}: {message}");
    }
}
