//! `stac.search` and `raster.chips` on real items.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod harness;

use harness::{Bench, good, messages, real_data};
use serde_json::{Value, json};
use skysense_edges::{ChipBatch, ChipFacts, PixelsRef};

fn search(root: &std::path::Path, collections: &[&str]) -> Value {
    json!({"href": root.join("stac/catalog.json"), "collections": collections})
}

#[test]
fn slovenia_becomes_chips_of_five_dates() {
    let Some(root) = real_data() else { return };
    let bench = Bench::new(2, &root);
    let scenes = good(bench.plan("stac.search", json!({"href": root.join("stac/catalog.json"), "collections": ["s2-l1c-slovenia"], "sensors": {"s2-l1c-slovenia": "sentinel-2-l1c"}}), &[]));
    let chips =
        good(bench.plan("raster.chips", json!({"size": 64, "overlap": 16, "mask": "none"}), &[("items", &scenes)]));
    let facts: ChipFacts = serde_json::from_value(chips.plan.facts.clone()).unwrap();
    assert_eq!(facts.geobox.crs.as_str(), "EPSG:32633");
    assert_eq!((facts.geobox.resolution(), facts.chip_size, facts.overlap), ((10.0, 10.0), 64, 16));
    // The instrument has 13 bands; read are the ten that models take.
    assert_eq!(facts.modalities["s2"].bands, ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]);
    assert_eq!((facts.modalities["s2"].dates, facts.items.len(), facts.chips()), (5, 5, 4));
    let cost =
        |name: &str| chips.plan.costs.iter().find(|cost| cost.name == name).map(|cost| cost.value).unwrap_or(-1.0);
    assert!(cost("read") > 100_000.0 && cost("requests") > 50.0 && cost("chips") == 4.0, "{:?}", chips.plan.costs);

    let batches = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
    let mut seen = 0;
    for batch in &batches {
        let read = ChipBatch::try_new(batch).unwrap();
        for row in 0..read.len() {
            assert_eq!(read.chip(row), seen);
            seen += 1;
            let s2 = read.series("s2", row).unwrap();
            assert_eq!(s2.shape, [5, 10, 64, 64]);
            assert!(s2.datetimes.is_sorted());
            let PixelsRef::I16(values) = s2.pixels else { panic!("expected i16") };
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            assert!((300.0..9000.0).contains(&mean), "reflectance × 10000, mean {mean}");
            let share = s2.valid.iter().filter(|&&v| v == 1).count() as f64 / s2.valid.len() as f64;
            assert!(share > 0.9, "{share}");
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn threads_change_no_byte() {
    let Some(root) = real_data() else { return };
    let run = |threads| {
        let bench = Bench::new(threads, &root);
        let scenes = good(bench.plan("stac.search", search(&root, &["s2-l2a-33t"]), &[]));
        let settings = json!({"resolution": 120, "size": 64, "overlap": 8, "bands": {"s2": ["B02", "B03", "B04", "B08"]}, "period": "P1M", "dates": {"max": 2}});
        let chips = good(bench.plan("raster.chips", settings, &[("items", &scenes)]));
        (chips.plan.facts.clone(), bench.run(&chips, &[]).unwrap())
    };
    let (one, two) = (run(1), run(2));
    assert_eq!(one.0, two.0);
    assert!(one.1 == two.1, "pixels differ");
    let first = ChipBatch::try_new(&one.1[0]).unwrap();
    assert_eq!(first.period(0), "2023-08");
}

#[test]
fn radar_comes_in_decibel_and_joins_optical_dates() {
    let Some(root) = real_data() else { return };
    let bench = Bench::new(2, &root);
    let mut settings = search(&root, &["s2-l2a-belgium", "s1-grd-belgium"]);
    settings["sensors"] = json!({"s2-l2a-belgium": "sentinel-2-l2a", "s1-grd-belgium": "sentinel-1-rtc"});
    let scenes = good(bench.plan("stac.search", settings, &[]));
    let chips = bench.plan(
        "raster.chips",
        json!({"size": 32, "overlap": 0, "bands": "subset", "min_valid": 0.5}),
        &[("items", &scenes)],
    );
    let chips = good(chips);
    let facts: ChipFacts = serde_json::from_value(chips.plan.facts.clone()).unwrap();
    assert_eq!(facts.modalities["s2"].bands, ["B04", "B08", "B11"]);
    assert_eq!(facts.modalities["s1"].bands, ["VV", "VH"]);
    let batches = bench.run(&chips, &[]).unwrap();
    let read = ChipBatch::try_new(&batches[0]).unwrap();
    let s1 = read.series("s1", 0).unwrap();
    let PixelsRef::F32(values) = s1.pixels else { panic!("expected f32") };
    let mut seen: Vec<f32> = values.iter().copied().filter(|v| *v != 0.0).collect();
    seen.sort_by(f32::total_cmp);
    assert!((-30.0..0.0).contains(&seen[seen.len() / 2]), "median {} dB", seen[seen.len() / 2]);
    let all: usize = (0..read.len()).map(|row| read.series("s2", row).map_or(0, |s2| s2.datetimes.len())).sum();
    assert!(all > 0 && all < 12 * read.len(), "cloudy dates leave the chips: {all}");
}

#[test]
fn aerial_images_lie_on_the_same_footprint() {
    let Some(root) = real_data() else { return };
    let bench = Bench::new(2, &root);
    let mut settings = search(&root, &["treesat-aerial", "treesat-s2", "treesat-s1"]);
    settings["sensors"] =
        json!({"treesat-aerial": "hr-rgbn", "treesat-s2": "sentinel-2-l2a", "treesat-s1": "sentinel-1-rtc"});
    let scenes = good(bench.plan("stac.search", settings, &[]));
    let chips =
        good(bench.plan("raster.chips", json!({"size": 16, "overlap": 0, "dates": {"max": 6}}), &[("items", &scenes)]));
    let batches = bench.run(&chips, &[]).unwrap();
    let read = ChipBatch::try_new(&batches[0]).unwrap();
    let hr = read.series("hr", 0).unwrap();
    assert_eq!((hr.shape[0], hr.shape[2], hr.shape[3]), (1, 512, 512));
    assert!(matches!(hr.pixels, PixelsRef::U8(_)));
    assert!(read.series("s2", 0).unwrap().datetimes.len() <= 6);
    assert!(read.series("s1", 0).is_some());
    // The plot is six pixels wide: the rest of the chip is padding.
    let valid = read.series("s2", 0).unwrap().valid[..256].iter().filter(|&&v| v == 1).count();
    assert!(valid <= 49, "{valid}");
}

#[test]
fn mistakes_name_what_is_wrong_and_what_to_do() {
    let Some(root) = real_data() else { return };
    let bench = Bench::new(1, &root);
    let faults = bench.plan("stac.search", search(&root, &["no-such-collection"]), &[]).err().unwrap();
    assert!(
        messages(&faults).contains("no-such-collection") && messages(&faults).contains("no items found"),
        "{}",
        messages(&faults)
    );
    let scenes = good(bench.plan("stac.search", search(&root, &["s2-l2a-33t"]), &[]));
    let told = |settings: Value| messages(&bench.plan("raster.chips", settings, &[("items", &scenes)]).err().unwrap());
    let outside = told(json!({"bbox": [0.0, 0.0, 1.0, 1.0], "bands": "subset"}));
    assert!(outside.contains("outside of all 10 items") && outside.contains("longitude comes first"), "{outside}");
    let unknown = told(json!({"bands": {"s2": ["B02", "B99"]}}));
    assert!(unknown.contains("/bands/s2/1") && unknown.contains("B99"), "{unknown}");
    let lacking = told(json!({}));
    assert!(lacking.contains("B05") && lacking.contains("bands: subset"), "{lacking}");
    let all_at_once = told(json!({"size": 16, "overlap": 8, "period": "weekly", "min_valid": 2, "resolution": -1}));
    for field in ["/overlap", "/period", "/min_valid", "/resolution"] {
        assert!(all_at_once.contains(field), "{field}: {all_at_once}");
    }
}

#[test]
fn a_truncated_file_is_named_and_its_pixels_are_left_out() {
    let Some(root) = real_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = root.join("stac/s2-l2a-33t");
    copy(&source, &folder.path().join("s2-l2a-33t"));
    let items: Vec<_> = std::fs::read_dir(folder.path().join("s2-l2a-33t"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    let mut items = items;
    items.sort();
    let bad = items[0].file_name().unwrap().to_string_lossy().into_owned();
    let red = std::fs::read_dir(&items[0])
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "tif"))
        .unwrap();
    let bytes = std::fs::read(&red).unwrap();
    std::fs::write(&red, &bytes[..bytes.len() / 2]).unwrap();
    let href = json!({"href": folder.path().join("s2-l2a-33t/collection.json")});
    let settings = |on_error: &str| json!({"resolution": 120, "size": 64, "overlap": 8, "bands": "subset", "mask": "none", "on_error": on_error});
    let bench = Bench::new(2, folder.path());
    let scenes = good(bench.plan("stac.search", href.clone(), &[]));
    let chips = good(bench.plan("raster.chips", settings("mask"), &[("items", &scenes)]));
    bench.run(&chips, &[]).unwrap();
    let skipped = bench.told.of("skipped");
    assert!(skipped.iter().any(|record| record["item"] == json!(bad)), "{bad}: {skipped:?}");
    let failing = bench.plan("raster.chips", settings("fail"), &[("items", &scenes)]);
    let error = match failing {
        Err(faults) => messages(&faults),
        Ok(chips) => bench.run(&chips, &[]).err().map(|error| error.to_string()).unwrap_or_default(),
    };
    assert!(error.contains(&bad), "the error names the item: {error}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            drop(std::fs::write(&target, std::fs::read(entry.path()).unwrap()))
        }
    }
}
