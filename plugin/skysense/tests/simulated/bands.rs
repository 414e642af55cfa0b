//! Bands are bound by name: their order changes nothing, and a model that misses one says so while planning.

use std::path::Path;

use serde_json::{Map, Value, json};
use skysense_edges::{MapBatch, MapFacts};
use skysense_grid::Window;
use skysense_raster::{BandSpec, CogSpec, CogWriter, DType, Resampling, Source, header, read_typed};

use crate::bench::{SATELLITES, Way, chips, copy, items, package, read, rewrite, scene, search, write};
use crate::harness::{Bench, good, messages};

/// Turns the order of an item's assets.
fn reverse_assets(item: &Path) {
    rewrite(item, |item| {
        let assets = item["assets"].as_object().unwrap().clone();
        item["assets"] = Value::Object(Map::from_iter(assets.into_iter().rev()));
    });
}

/// Writes the bands of an image in the opposite order, in the file and in its item.
fn reverse_bands(item: &Path, asset: &str) {
    let file = item.with_file_name(format!("{asset}.tif"));
    let source = Source::new("image", file.display().to_string());
    let about = header(&source).unwrap();
    let grid = about.geobox().unwrap().clone();
    let names = ["blue", "green", "red"];
    let mut values = Vec::new();
    for band in [3, 2, 1] {
        values.extend(
            read_typed::<u8>(&source.clone().with_band(band), &about, &grid, Resampling::Nearest).unwrap().values,
        );
    }
    let spec = CogSpec::values(grid, DType::UInt8, names.map(BandSpec::named).to_vec(), None);
    let mut writer = CogWriter::create(&file, spec).unwrap();
    writer.write_rows(0, &values).unwrap();
    writer.finish().unwrap();
    rewrite(item, |item| item["assets"][asset]["bands"].as_array_mut().unwrap().reverse());
}

#[test]
fn permuted_assets_and_bands_give_the_same_maps() {
    let turned = copy();
    for item in SATELLITES.iter().flat_map(|collection| items(turned.path(), collection)) {
        let before: Vec<String> = read(&item)["assets"].as_object().unwrap().keys().cloned().collect();
        reverse_assets(&item);
        let after: Vec<String> = read(&item)["assets"].as_object().unwrap().keys().cloned().collect();
        assert_ne!(before, after);
    }
    let all = ["B12", "B11", "B8A", "B08", "B07", "B06", "B05", "B04", "B03", "B02"];
    let bands = json!({"bands": {"s2": all, "s1": ["VH", "VV"]}});
    let bench = Bench::new(2, scene());
    let (_, expected) = Way::of(scene()).run(&bench).unwrap();
    let (_, found) = Way { chips: chips(&bands), ..Way::of(turned.path()) }.run(&bench).unwrap();
    assert!(found == expected, "the order of assets and bands matters");
}

#[test]
fn an_image_with_its_bands_in_another_order_gives_the_same_features() {
    let turned = copy();
    for item in items(turned.path(), "aerial-rgb") {
        reverse_bands(&item, "image");
    }
    let bench = Bench::new(2, scene());
    // One chip in the middle of the image.
    let settings = |scene: &Path| {
        let bbox = read(&items(scene, "aerial-rgb")[0])["bbox"].clone();
        chips(&json!({"bbox": bbox, "overlap": 0}))
    };
    let run = |scene: &Path| {
        let collections = ["aerial-rgb", "sentinel-2-l2a"];
        let way = Way { collections: &collections, chips: settings(scene), apply: "skysense.embed", ..Way::of(scene) };
        way.run(&bench).unwrap()
    };
    let ((maps, expected), (_, found)) = (run(scene()), run(turned.path()));
    let facts: MapFacts = serde_json::from_value(maps.plan.facts.clone()).unwrap();
    assert!(facts.chips.modalities.contains_key("hr"), "the image is read");
    assert!(found == expected, "the order of bands in a file matters");
}

#[test]
fn a_model_whose_bands_are_lacking_is_refused_while_planning() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let few = chips(&json!({"bands": {"s2": ["B02", "B03", "B04", "B08"]}}));
    let cut = good(bench.plan("raster.chips", few, &[("items", &scenes)]));
    for node in ["skysense.segment", "skysense.embed"] {
        let faults = bench.plan(node, json!({"model": package()}), &[("chips", &cut)]).err().unwrap();
        let told = messages(&faults);
        assert!(faults.iter().all(|fault| fault.code == "model.misfit"), "{told}");
        for part in ["s2", "B05, B06, B07, B8A, B11, B12", "it has B02, B03, B04, B08", "bands: subset"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    // Everything that does not fit is told at once.
    let wide = good(bench.plan(
        "raster.chips",
        json!({"size": 32, "overlap": 0, "bands": {"s2": ["B02"]}}),
        &[("items", &scenes)],
    ));
    let told = messages(&bench.plan("skysense.embed", json!({"model": package()}), &[("chips", &wide)]).err().unwrap());
    assert!(told.contains("32 pixels wide") && told.contains("B03"), "{told}");
    // More dates than the model was trained with.
    let long = good(bench.plan("raster.chips", chips(&json!({"dates": {"max": 4}})), &[("items", &scenes)]));
    let mut contract: Value =
        serde_yaml::from_str(&std::fs::read_to_string(package().join("model.yaml")).unwrap()).unwrap();
    contract["modalities"]["s2"]["dates"] = json!(2);
    let model = tempfile::tempdir().unwrap();
    for name in crate::bench::names(package()) {
        std::fs::copy(package().join(&name), model.path().join(&name)).unwrap();
    }
    std::fs::write(model.path().join("model.yaml"), serde_yaml::to_string(&contract).unwrap()).unwrap();
    let planned = bench.plan("skysense.embed", json!({"model": model.path()}), &[("chips", &long)]);
    let told = messages(&planned.err().unwrap());
    assert!(told.contains("s2 has up to 3 dates") && told.contains("takes 2"), "{told}");
    // A modality that the model does not have.
    for list in ["modalities", "encoders"] {
        contract[list].as_object_mut().unwrap().remove("s2");
    }
    std::fs::write(model.path().join("model.yaml"), serde_yaml::to_string(&contract).unwrap()).unwrap();
    let planned = bench.plan("skysense.embed", json!({"model": model.path()}), &[("chips", &long)]);
    let told = messages(&planned.err().unwrap());
    assert!(told.contains("takes no s2, only hr, s1"), "{told}");
}

#[test]
fn a_subset_runs_and_says_what_was_left_out() {
    let bench = Bench::new(2, scene());
    let collections = ["sentinel-2-l2a"];
    let way = Way {
        collections: &collections,
        chips: chips(&json!({"bands": {"s2": ["B08", "B02", "B03", "B04"]}})),
        model: json!({"model": package(), "bands": "subset", "device": "cpu"}),
        ..Way::of(scene())
    };
    let made = way.run(&bench).unwrap();
    let lacking = json!(["B05", "B06", "B07", "B8A", "B11", "B12"]);
    let facts: MapFacts = serde_json::from_value(made.0.plan.facts.clone()).unwrap();
    assert_eq!(json!(facts.absent_bands["s2"]), lacking);
    let inference: Vec<Value> = bench.told.of("decision").into_iter().filter(|d| d["what"] == "inference").collect();
    assert_eq!(inference[0]["value"]["left_out"]["s2"], lacking);
    let first = MapBatch::predictions(&made.1[0]).unwrap();
    assert_eq!(first.window(0).unwrap(), Window { x: 0, y: 0, width: 16, height: 16 });
    assert!(first.valid(0).contains(&1) && first.values(0).iter().all(|value| (0.0..=1.0).contains(value)));
    // The output says it too.
    let folder = tempfile::tempdir().unwrap();
    write(&bench, &made, folder.path(), &json!({})).unwrap();
    let item = read(&folder.path().join("land-cover-all/land-cover-all.json"));
    assert_eq!(item["properties"]["skysense:absent_bands"]["s2"], lacking);
    let lineage = item["properties"]["processing:lineage"].as_str().unwrap();
    assert!(lineage.contains("without its s2 bands B05 B06 B07 B8A B11 B12"), "{lineage}");
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let bench = Bench::new(1, scene());
    let run = |device: &str| {
        let model = json!({"model": package(), "device": device});
        Way { model, ..Way::of(scene()) }.run(&bench)
    };
    // No machine has a hundred GPUs, and most have none.
    let error = run("cuda:99").err().expect("never a silent fallback");
    assert_eq!(error.code, "device.missing", "{error}");
    assert!(error.message.contains("cuda:99") && !error.message.contains("hint"), "{error}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("GPU build of ONNX Runtime")), "{error:?}");
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let cut = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    let faults = bench.plan("skysense.embed", json!({"model": package(), "device": "tpu"}), &[("chips", &cut)]);
    let told = messages(&faults.err().unwrap());
    assert!(told.contains("/device") && told.contains("tpu") && told.contains("cuda"), "{told}");
}
