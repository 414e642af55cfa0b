//! Rasters by path are what the items of a catalog are: the same pixels, labels that teach, mistakes told at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::RecordBatch;
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

/// Runs one of GDAL's programs.
fn gdal(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}: this test needs GDAL's programs"));
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The chips of files with bands of 10 m.
fn chips_of(bench: &Bench, files: &[Value], offset: &Value) -> Vec<RecordBatch> {
    let named = good(bench.plan("raster.files", json!({"sensor": "sentinel-2-l2a", "files": files}), &[]));
    let settings = json!({"radiometry": {"files": {"offset": offset}}, "bands": {"s2": FINE}, "mask": "none"});
    let planned = good(bench.plan("raster.chips", chips(&settings), &[("items", &named)]));
    bench.run(&planned, &[("items", &named, Vec::new())]).unwrap()
}

const FINE: [&str; 4] = ["B02", "B03", "B04", "B08"];

#[test]
fn rasters_of_any_format_are_read_by_path_and_number_of_band() {
    let item = items(scene(), "sentinel-2-l2a").remove(0);
    let offset = read(&item)["assets"]["B04"]["raster:offset"].clone();
    let datetime = read(&item)["properties"]["datetime"].clone();
    let bench = Bench::new(2, scene());
    let tifs = FINE.map(|band| item.with_file_name(format!("{band}.tif")).display().to_string());
    let one = |href: &str, bands: Value| json!({"href": href, "bands": bands, "id": "day", "datetime": datetime});
    let plain: Vec<Value> = FINE.iter().zip(&tifs).map(|(band, href)| one(href, json!({*band: 1}))).collect();
    let expected = chips_of(&bench, &plain, &offset);
    assert!(!expected.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    let text = |name: &str| place(name).display().to_string();
    // The bands in another order than the sensor's.
    let order = [3, 0, 2, 1];
    let stack = text("stack.vrt");
    let sources: Vec<&str> = order.iter().map(|at| tifs[*at].as_str()).collect();
    gdal("gdalbuildvrt", &[&["-q", "-separate", &stack], &sources[..]].concat());
    let numbers: Map<String, Value> =
        order.iter().zip(1..).map(|(at, number)| (FINE[*at].to_owned(), json!(number))).collect();
    for (format, name) in [("VRT", "copy.vrt"), ("ENVI", "stack.dat"), ("HFA", "stack.img")] {
        gdal("gdal_translate", &["-q", "-of", format, &stack, &text(name)]);
        let found = chips_of(&bench, &[one(&text(name), json!(numbers))], &offset);
        assert!(found == expected, "{format}: other pixels than those of the files that it was made of");
        let found = chips_of(&bench, &[one(&format!("file://{}", text(name)), json!(numbers))], &offset);
        assert!(found == expected, "{format}: a URL of a file");
    }
    // A raster for each band in one file.
    gdal("gdal_translate", &["-q", "-of", "netCDF", &stack, &text("stack.nc")]);
    for (band, href) in FINE.iter().zip(&tifs) {
        let more = ["-co", &format!("RASTER_TABLE={band}"), "-co", "APPEND_SUBDATASET=YES"];
        gdal(
            "gdal_translate",
            &[&["-q", "-ot", "UInt16", "-of", "GPKG"], &more[..], &[href, &text("bands.gpkg")]].concat(),
        );
    }
    for (name, part) in [("stack.nc", None), ("bands.gpkg", Some(()))] {
        let part = |at: usize| part.map_or_else(|| format!("Band{}", at + 1), |()| FINE[order[at]].to_owned());
        let file = |at: usize| {
            let mut file = one(&text(name), json!({FINE[order[at]]: 1}));
            file["subdataset"] = json!(part(at));
            file
        };
        let files: Vec<Value> = (0..4).map(file).collect();
        assert!(chips_of(&bench, &files, &offset) == expected, "{name}: other pixels");
        let mut unnamed = files[0].clone();
        unnamed["subdataset"] = json!(null);
        let settings = json!({"sensor": "sentinel-2-l2a", "files": [unnamed]});
        let told = messages(&bench.plan("raster.files", settings, &[]).err().unwrap_or_default());
        assert!(told.contains("/files/0/href") && told.contains("`subdataset`") && told.contains(&part(1)), "{told}");
    }
    let far = json!({"sensor": "sentinel-2-l2a", "files": [{"href": "https://host/a.tif", "subdataset": "B02",
        "bands": {"B02": 1}, "datetime": datetime}]});
    let told = messages(&bench.plan("raster.files", far, &[]).err().unwrap_or_default());
    assert!(told.contains("no file of this machine"), "{told}");
}

#[test]
fn labels_may_be_of_any_format_too() {
    let labels = items(scene(), "labels").remove(0);
    let about = read(&labels);
    let (_, asset) = about["assets"].as_object().unwrap().iter().find(|(_, asset)| asset["href"].is_string()).unwrap();
    let file = labels.with_file_name("").join(asset["href"].as_str().unwrap()).display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("labels.img").display().to_string();
    gdal("gdal_translate", &["-q", "-of", "HFA", &file, &image]);
    let bench = Bench::new(2, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let chips = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    let classes = json!([{"value": 1, "name": "water"}, {"value": 3, "name": "conifer"}]);
    let model = |href: &str| {
        let truth = good(bench.plan("raster.files", json!({"classes": classes, "files": [{"href": href}]}), &[]));
        let settings = json!({"steps": 2, "holdout": {"share": 0.0}, "name": "same"});
        let planned = good(bench.plan("skysense.finetune", settings, &[("chips", &chips), ("labels", &truth)]));
        let cut = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
        let made = bench.run(&planned, &[("chips", &chips, cut), ("labels", &truth, Vec::new())]).unwrap();
        let folder = skysense_edges::ModelBatch::try_new(&made[0]).unwrap().path().to_owned();
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "safetensors"));
        files.sort();
        let weights: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        assert!(!weights.is_empty());
        weights
    };
    assert!(model(&image) == model(&file), "the same labels teach the same");
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
        (json!({"sensor": "sentinel-2-l2a", "files": [{"href": item, "bands": {"B04": 1}}]}), "cannot open"),
    ] {
        let message = told(settings);
        assert!(message.contains(part), "{part}: {message}");
    }
}
