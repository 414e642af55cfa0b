//! What a user can get wrong: each error names the place, what was found, what was expected and what to do.

use serde_json::{Value, json};
use skysense_abi::Fault;

use crate::bench::{chips, copy, items, scene, search};
use crate::harness::{Bench, good, messages};

fn told(result: Result<crate::harness::Planned, Vec<Fault>>) -> String {
    messages(&result.err().expect("refused while planning"))
}

fn hold(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part:?} is not told: {told}");
    }
}

#[test]
fn no_items_found() {
    let bench = Bench::new(1, scene());
    let find = |more: Value| {
        let mut settings = search(scene(), &["sentinel-2-l2a"]);
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told(bench.plan("stac.search", settings, &[]))
    };
    let late = find(json!({"datetime": "2031-01-01/2031-12-31"}));
    hold(
        &late,
        &[
            "search.empty",
            "/href",
            "no items found",
            "catalog.json",
            "datetime 2031-01-01/2031-12-31",
            "widen datetime",
        ],
    );
    let elsewhere = find(json!({"bbox": [100.0, 0.0, 101.0, 1.0]}));
    hold(&elsewhere, &["no items found", "[100.0, 0.0, 101.0, 1.0]", "did not pass the filters"]);
    let unknown = told(bench.plan("stac.search", search(scene(), &["sentinel-9"]), &[]));
    hold(
        &unknown,
        &["/collections", "no items found", "its collections are", "there is no collection `sentinel-9`", "name one"],
    );
    let mistyped = told(bench.plan("stac.search", search(scene(), &["sentinel-2-l2"]), &[]));
    hold(&mistyped, &["there is no collection `sentinel-2-l2`", "did you mean `sentinel-2-l2a`?"]);
    let filtered = find(json!({"filter": "eo:cloud_cover < -1"}));
    hold(&filtered, &["no items found", "filter as given", "widen datetime"]);
}

#[test]
fn filters_and_intervals_that_make_no_sense() {
    let bench = Bench::new(1, scene());
    let find = |more: Value| {
        let mut settings = search(scene(), &["sentinel-2-l2a"]);
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told(bench.plan("stac.search", settings, &[]))
    };
    hold(&find(json!({"filter": "eo:cloud_cover <"})), &["/filter", "ends at character 17", "CQL2 such as"]);
    hold(&find(json!({"filter": {"op": "s_within", "args": []}})), &["/filter", "s_within", "isNull"]);
    let reversed = find(json!({"datetime": "2021-10-31/2021-03-01"}));
    hold(&reversed, &["/datetime", "ends before it starts", "earlier date first"]);
    let square = json!({"type": "Point", "coordinates": [14.6, 48.2]});
    hold(&find(json!({"area": square, "intersects": square})), &["/intersects", "keep one"]);
    hold(&find(json!({"intersects": {"type": "Point", "coordinates": [14.6]}})), &["/intersects", "[14.6]"]);
    hold(&find(json!({"http": {"headers": {"no name": "geheim"}}})), &["/http/headers", "no name"]);
    assert!(!find(json!({"http": {"headers": {"X-Key": "geheim\n"}}})).contains("geheim"));
}

#[test]
fn filters_find_what_they_say() {
    let bench = Bench::new(1, scene());
    let mut settings = search(scene(), &["sentinel-2-l2a", "sentinel-1-rtc"]);
    settings["filter"] = json!("collection = 'sentinel-1-rtc'");
    let only = good(bench.plan("stac.search", settings, &[]));
    assert_eq!(only.plan.facts["modalities"], json!({"s1": 3}));
}

#[test]
fn overrides_of_collections_that_no_item_has() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let plan = |more: Value| bench.plan("raster.chips", chips(&more), &[("items", &scenes)]);
    good(plan(json!({"radiometry": {"sentinel-2-l2a": {"offset": 0}, "*": {"offset": 0}}})));
    let wrong = told(plan(json!({
        "radiometry": {"sentinel-2-l2": {"offset": 0}, "foo": {"offset": 0}}, "sensors": {"zzz": "sentinel-2-l2a"},
    })));
    hold(
        &wrong,
        &[
            "/radiometry/sentinel-2-l2:",
            "did you mean `sentinel-2-l2a`?",
            "/radiometry/foo",
            "/sensors/zzz",
            "leave it out",
        ],
    );
    let mut mapped = search(scene(), &["sentinel-2-l2a"]);
    mapped["sensors"] = json!({"sentinel-2-12a": "sentinel-2-l2a"});
    hold(
        &told(bench.plan("stac.search", mapped, &[])),
        &["/sensors/sentinel-2-12a", "collection.unknown", "did you mean `sentinel-2-l2a`?"],
    );
}

#[test]
fn bands_that_are_no_bands() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    for (bands, named) in [
        (json!({"s3": ["B02"]}), "modality `s3`"),
        (json!("most"), "bands is `most`"),
        (json!({"s2": "B02"}), "bands of s2 are \"B02\""),
        (json!(["B02"]), "bands is [\"B02\"]"),
    ] {
        let wrong = told(bench.plan("raster.chips", chips(&json!({"bands": bands})), &[("items", &scenes)]));
        hold(&wrong, &["/bands", named, "expected `all`, `subset`, or the bands by modality", "{s2: [B02, B03]}"]);
    }
}

#[test]
fn a_grid_in_degrees_with_metres_in_mind() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let plan = |more: Value| bench.plan("raster.chips", chips(&more), &[("items", &scenes)]);
    let coarse = told(plan(json!({"crs": "EPSG:4326"})));
    hold(&coarse, &["/resolution", "counts in degrees", "10 degrees", "set `resolution: 0.0000", "auto"]);
    good(plan(json!({"crs": "EPSG:4326", "resolution": 0.0001})));
}

#[test]
fn an_area_of_which_the_items_cover_next_to_nothing() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let wide =
        told(bench.plan("raster.chips", chips(&json!({"bbox": [13.6, 47.2, 15.6, 49.2]})), &[("items", &scenes)]));
    hold(&wide, &["area.empty", "/bbox", "chips, and the items cover 0.00", "leave it out", "they lie in [14."]);
}

#[test]
fn an_area_outside_of_all_items() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    // Latitude first, as it is often given.
    let swapped = chips(&json!({"bbox": [48.19, 14.59, 48.21, 14.61]}));
    let outside = told(bench.plan("raster.chips", swapped, &[("items", &scenes)]));
    hold(&outside, &["area.outside", "/bbox", "[48.19, 14.59, 48.21, 14.61]", "all 3 items", "longitude comes first"]);
    let square = json!([[[20.0, 48.0], [21.0, 48.0], [21.0, 49.0], [20.0, 48.0]]]);
    let area = chips(&json!({"area": {"type": "Polygon", "coordinates": square}}));
    let outside = told(bench.plan("raster.chips", area, &[("items", &scenes)]));
    hold(&outside, &["area.outside", "/area", "[20.0, 48.0, 21.0, 49.0]"]);
    let latitude = chips(&json!({"area": {"type": "Point", "coordinates": [14.6, 148.2]}}));
    hold(
        &told(bench.plan("raster.chips", latitude, &[("items", &scenes)])),
        &["/area", "[14.6, 148.2]", "not in degrees"],
    );
    let missing = chips(&json!({"area": "no/such.geojson"}));
    hold(&told(bench.plan("raster.chips", missing, &[("items", &scenes)])), &["/area", "no/such.geojson"]);
}

#[test]
fn an_unknown_band() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let bands = chips(&json!({"bands": {"s2": ["B02", "B99", "green"]}}));
    let unknown = told(bench.plan("raster.chips", bands, &[("items", &scenes)]));
    hold(&unknown, &["/bands/s2/1", "B99", "/bands/s2/2", "it has", "B02", "B8A"]);
}

#[test]
fn a_band_that_an_item_lacks() {
    let scene = copy();
    let item = items(scene.path(), "sentinel-2-l2a").remove(0);
    crate::bench::rewrite(&item, |item| drop(item["assets"].as_object_mut().unwrap().shift_remove("B05")));
    let bench = Bench::new(1, scene.path());
    let scenes = good(bench.plan("stac.search", search(scene.path(), &["sentinel-2-l2a"]), &[]));
    // One of three: it is left out by name.
    good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    let id = crate::bench::id(&item);
    let skipped = bench.told.of("skipped");
    assert_eq!((skipped.len(), &skipped[0]["item"]), (1, &json!(id)), "{skipped:?}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("B05"), "{skipped:?}");
    let strict = told(bench.plan("raster.chips", chips(&json!({"on_error": "fail"})), &[("items", &scenes)]));
    hold(&strict, &["item.refused", &id, "B05", "on_error: skip"]);
}

#[test]
fn broken_json() {
    let scene = copy();
    let bench = Bench::new(1, scene.path());
    let catalog = scene.path().join("catalog.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    // Cut in its second line.
    let cut: String = text.lines().take(2).collect::<Vec<_>>().join("\n");
    std::fs::write(&catalog, &cut[..cut.len() - 1]).unwrap();
    let broken = told(bench.plan("stac.search", search(scene.path(), &[]), &[]));
    hold(&broken, &["catalog.json", "/href", "line 2", "expected a STAC catalog"]);
    std::fs::write(&catalog, &text).unwrap();
    // An item among others is left out by name, or ends the search.
    let item = items(scene.path(), "sentinel-2-l2a").remove(0);
    std::fs::write(&item, "{\n  \"type\": \"Feature\",\n  oops").unwrap();
    let found = good(bench.plan("stac.search", search(scene.path(), &["sentinel-2-l2a"]), &[]));
    assert_eq!(found.plan.facts["items"], 2);
    let skipped = bench.told.of("skipped");
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    hold(&skipped[0].to_string(), &[&crate::bench::id(&item), "line 3"]);
    let mut strict = search(scene.path(), &["sentinel-2-l2a"]);
    strict["on_error"] = json!("fail");
    hold(&told(bench.plan("stac.search", strict, &[])), &["/on_error", "line 3", "on_error: skip"]);
}

#[test]
fn items_that_are_no_stac() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let find = |text: &str| {
        std::fs::write(folder.path().join("thing.json"), text).unwrap();
        told(bench.plan("stac.search", json!({"href": "thing.json"}), &[]))
    };
    for text in ["[]", "7", "{}", "{\"type\": \"Teapot\"}", "{\"type\": \"Feature\"}", ""] {
        hold(&find(text), &["thing.json"]);
    }
}

#[test]
fn a_model_that_is_not_there_or_broken() {
    let bench = Bench::new(1, scene());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let cut = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    let plan = |settings: Value| told(bench.plan("skysense.segment", settings, &[("chips", &cut)]));
    hold(&plan(json!({"model": "no/such/model"})), &["/model", "no/such/model"]);
    hold(&plan(json!({})), &["/model", "no model", "skysense.finetune"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.yaml"), "contract: 1\nname: [oops\n").unwrap();
    hold(&plan(json!({"model": folder.path()})), &["/model", "model.yaml"]);
}

#[test]
fn settings_that_make_no_sense_are_told_all_at_once() {
    let bench = Bench::new(1, scene());
    let (maps, _) = crate::bench::made_up_prediction();
    let wrong = json!({"href": "https://example.com/out", "collection": "a/b", "outputs": []});
    let all = told(bench.plan("stac.write", wrong, &[("maps", &maps)]));
    hold(&all, &["/href", "/collection", "/outputs", "local folder", "class, probability, entropy or value"]);
}
