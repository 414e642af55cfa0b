//! A damaged asset among good ones: skipped, masked or fatal by policy, and counted by name.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skysense_edges::ChipBatch;

use crate::bench::{CHIPS, DATES_SEEN, chips, copy, id, items, search};
use crate::harness::{Bench, Told, good, messages};

/// How an asset is spoiled.
#[derive(Clone, Copy)]
enum Damage {
    /// The file ends in the middle of its pixels; its header is good, so a plan does not see it.
    Truncated,
    /// The file is not there, so a plan does.
    Missing,
}

/// Spoils B04 of the first Sentinel-2 item of a scene; gives the item's id.
fn spoil(scene: &Path, damage: Damage) -> String {
    let item = items(scene, "sentinel-2-l2a").remove(0);
    let file: PathBuf = item.with_file_name("B04.tif");
    match damage {
        Damage::Missing => std::fs::remove_file(&file).unwrap(),
        Damage::Truncated => {
            // A COG's overviews come first and its full resolution last: what is cut off is read by chips.
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - bytes.len() / 4]).unwrap();
        }
    }
    id(&item)
}

/// What chips of a scene hold.
struct Outcome {
    /// Dates of each chip.
    dates: Vec<usize>,
    /// Ids of all items that pixels came from.
    seen: Vec<String>,
}

fn run(bench: &Bench, scene: &Path, on_error: &str) -> Result<Outcome, String> {
    let scenes = good(bench.plan("stac.search", search(scene, &["sentinel-2-l2a"]), &[]));
    let settings = chips(&json!({"on_error": on_error, "mask": "none", "min_valid": 0}));
    let planned = bench.plan("raster.chips", settings, &[("items", &scenes)]).map_err(|faults| messages(&faults))?;
    let batches = bench.run(&planned, &[("items", &scenes, Vec::new())]).map_err(|error| format!("{error:?}"))?;
    let mut outcome = Outcome { dates: Vec::new(), seen: Vec::new() };
    for batch in &batches {
        let read = ChipBatch::try_new(batch).unwrap();
        for row in 0..read.len() {
            let series = read.series("s2", row).expect("two good dates are left");
            outcome.dates.push(series.datetimes.len());
            outcome.seen.extend((0..series.datetimes.len()).flat_map(|date| series.items(date).map(str::to_owned)));
        }
    }
    outcome.seen.sort();
    outcome.seen.dedup();
    Ok(outcome)
}

fn named(told: &Told, item: &str) -> Vec<Value> {
    told.of("skipped").into_iter().filter(|record| record["item"] == item).collect()
}

#[test]
fn without_damage_every_date_is_there_and_nothing_is_counted() {
    let scene = copy();
    for policy in ["skip", "mask", "fail"] {
        let bench = Bench::new(2, scene.path());
        let outcome = run(&bench, scene.path(), policy).unwrap();
        assert_eq!(outcome.dates, [DATES_SEEN; CHIPS]);
        assert!(bench.told.of("skipped").is_empty());
    }
}

#[test]
fn a_missing_file_is_skipped_masked_or_fatal() {
    let scene = copy();
    let bad = spoil(scene.path(), Damage::Missing);
    for policy in ["skip", "mask"] {
        let bench = Bench::new(2, scene.path());
        let outcome = run(&bench, scene.path(), policy).unwrap();
        assert_eq!(outcome.dates, [DATES_SEEN - 1; CHIPS], "{policy}");
        assert!(!outcome.seen.contains(&bad), "{policy}");
        let records = named(&bench.told, &bad);
        assert_eq!(records.len(), 1, "{policy}: once by name: {records:?}");
        assert_eq!(records[0]["asset"], "B04", "{policy}");
        assert!(records[0]["reason"].as_str().unwrap().contains("B04.tif"), "{policy}: {records:?}");
    }
    let error = run(&Bench::new(2, scene.path()), scene.path(), "fail").err().unwrap();
    for part in [bad.as_str(), "B04", "B04.tif"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_truncated_file_is_skipped_masked_or_fatal() {
    let scene = copy();
    let bad = spoil(scene.path(), Damage::Truncated);
    for policy in ["skip", "mask"] {
        let bench = Bench::new(2, scene.path());
        let outcome = run(&bench, scene.path(), policy).unwrap();
        // The other dates of every chip stay; chips whose blocks are whole may keep the date.
        assert_eq!(outcome.dates.len(), CHIPS, "{policy}");
        assert!(
            outcome.dates.iter().all(|dates| (DATES_SEEN - 1..=DATES_SEEN).contains(dates)),
            "{policy}: {:?}",
            outcome.dates
        );
        assert!(outcome.dates.contains(&(DATES_SEEN - 1)), "{policy}: some chip lost the date");
        let records = named(&bench.told, &bad);
        assert_eq!(records.len(), 1, "{policy}: once by name, however many chips: {records:?}");
        assert_eq!(records[0]["asset"], "B04", "{policy}");
    }
    let error = run(&Bench::new(2, scene.path()), scene.path(), "fail").err().unwrap();
    for part in [bad.as_str(), "B04"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn what_a_damaged_file_costs_does_not_depend_on_threads() {
    let scene = copy();
    spoil(scene.path(), Damage::Truncated);
    let dates = |threads| run(&Bench::new(threads, scene.path()), scene.path(), "mask").unwrap().dates;
    let one = dates(1);
    assert_eq!(dates(2), one);
    assert_eq!(dates(4), one);
}

#[test]
fn with_every_file_gone_the_plan_says_why() {
    let scene = copy();
    for item in items(scene.path(), "sentinel-2-l2a") {
        std::fs::remove_file(item.with_file_name("B04.tif")).unwrap();
    }
    let told = run(&Bench::new(2, scene.path()), scene.path(), "skip").err().unwrap();
    assert!(told.contains("no item is left that can be read") && told.contains("B04.tif"), "{told}");
}
