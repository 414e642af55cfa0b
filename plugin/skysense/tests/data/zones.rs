//! Catalogs that span zones and the antimeridian: each place is read on the grid of its own zone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use skysense_edges::{ItemBatch, SampleBatch, SampleRow};
use skysense_raster::{Resampling, Source, header, read};
use skysense_shards::{Part, Shards};

use crate::harness::Bench;
use crate::support::{places, samples, scene, search, write};

fn rows(batches: &[arrow::array::RecordBatch]) -> Vec<SampleRow> {
    batches.iter().map(|batch| SampleBatch::try_new(batch).unwrap().row(0).unwrap()).collect()
}

#[test]
fn two_zones_are_read_each_on_its_own_grid_to_the_pixel() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let catalog = scene(&bench, "scene", &json!({"zones": 2, "size": 256, "center": [12.0, 47.9], "cloud": 0.0}));
    let scenes = search(&bench, &catalog);
    let places = places(&bench, &scenes.0, json!({"method": "grid", "spacing": 320, "size": 16, "inside": "whole"}));
    assert_eq!(places.0.plan.facts["systems"].as_object().unwrap().len(), 2, "{}", places.0.plan.facts);
    let samples =
        samples(&bench, &scenes, &places, json!({"resampling": "nearest", "modalities": ["s2"], "mask": "none"}));
    let rows = rows(&samples.1);
    let zones: BTreeSet<&str> = rows.iter().map(|row| row.place.grid.crs.as_str()).collect();
    assert_eq!(zones.into_iter().collect::<Vec<_>>(), ["EPSG:32632", "EPSG:32633"]);
    // Each pixel is that of the file, where the file lies in the zone of the place: nothing was warped.
    let items: BTreeMap<String, serde_json::Value> = scenes
        .1
        .iter()
        .flat_map(|batch| ItemBatch::try_new(batch).unwrap().rows().collect::<Vec<_>>())
        .map(|row| (row.id.clone(), serde_json::from_str(&row.item).unwrap()))
        .collect();
    let bands: Vec<String> = serde_json::from_value(samples.0.plan.facts["modalities"]["s2"]["bands"].clone()).unwrap();
    let red = bands.iter().position(|band| band == "B04").unwrap();
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    let mut offsets: BTreeMap<String, BTreeSet<i16>> = BTreeMap::new();
    for row in &rows {
        let s2 = &row.series["s2"];
        let area = 16 * 16;
        for date in 0..s2.shape[0] {
            // Where two granules meet, a date is made of both.
            let [item] = s2.items[date].as_slice() else { continue };
            let asset = items[item]["assets"]["B04"].clone();
            let asset = if asset.is_null() { items[item]["assets"]["red"].clone() } else { asset };
            let source = Source::new(item, asset["href"].as_str().unwrap());
            let about = header(&source).unwrap();
            if *about.crs() != row.place.grid.crs {
                continue;
            }
            let file = read(&source, &about, &row.place.grid, Resampling::Nearest).unwrap();
            let skysense_edges::Pixels::I16(values) = &s2.pixels else { panic!("reflectance is i16") };
            let plane = &values[(date * bands.len() + red) * area..][..area];
            for pixel in (0..area).filter(|pixel| s2.valid[date * area + pixel] != 0) {
                offsets.entry(item.clone()).or_default().insert(plane[pixel] - file.values[pixel] as i16);
            }
            *compared.entry(row.place.grid.crs.as_str()).or_default() += 1;
        }
    }
    assert!(compared.len() == 2 && compared.values().all(|count| *count > 20), "{compared:?}");
    // Products of a later baseline are stored with 1000 added.
    let known = [BTreeSet::from([0]), BTreeSet::from([-1000])];
    assert!(offsets.values().all(|offsets| known.contains(offsets)), "pixels differ from the file: {offsets:?}");
}

#[test]
fn a_scene_on_the_antimeridian_gives_samples_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let catalog = scene(&bench, "scene", &json!({"center": [179.999, -17.0], "size": 192}));
    let scenes = search(&bench, &catalog);
    let places = places(&bench, &scenes.0, json!({"method": "random", "count": 60, "size": 16, "seed": 5}));
    let samples = samples(&bench, &scenes, &places, json!({"min_valid": 0.5}));
    let rows = rows(&samples.1);
    let (east, west): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.place.centre[0] > 0.0);
    assert!(east.len() > 5 && west.len() > 5, "{} and {}", east.len(), west.len());
    assert!(east.iter().all(|row| row.place.grid.crs.as_str() == "EPSG:32760"));
    assert!(west.iter().all(|row| row.place.grid.crs.as_str() == "EPSG:32701"));
    // The same land on both sides: the west is warped out of its neighbour's zone, and holds values all the same.
    for row in &rows {
        let s2 = &row.series["s2"];
        let valid = s2.valid.iter().filter(|&&valid| valid != 0).count();
        assert!(valid * 2 >= s2.valid.len(), "{}", row.name());
    }
    write(&bench, &samples, &json!({"href": "set", "validation": {"share": 0.5, "block": 0.4, "seed": 2}})).unwrap();
    // No footprint of one part touches one of the other.
    let shards = Shards::open(&folder.path().join("set")).unwrap();
    let boxes = |part: Part| -> Vec<[f64; 4]> {
        let reader = shards.part(part);
        let turn = |degrees: f64| degrees.rem_euclid(360.0);
        (0..reader.count())
            .map(|number| reader.about(number).unwrap().bounds)
            .map(|b| [turn(b[0]), b[1], turn(b[2]), b[3]])
            .collect()
    };
    let (train, validation) = (boxes(Part::Train), boxes(Part::Validation));
    assert!(train.len() > 3 && validation.len() > 3, "{} and {}", train.len(), validation.len());
    for a in &train {
        for b in &validation {
            let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
            assert!(apart, "{a:?} {b:?}");
        }
    }
}

#[test]
fn the_same_settings_give_the_same_bytes_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut sets = Vec::new();
    for threads in [1, 3] {
        let bench = Bench::new(threads, folder.path());
        let spec = json!({"replace": true, "hr": 32});
        let scenes = search(&bench, &scene(&bench, "scene", &spec));
        let places = places(&bench, &scenes.0, json!({"count": 20, "size": 16}));
        let samples = samples(&bench, &scenes, &places, json!({}));
        let name = format!("set-{threads}");
        write(&bench, &samples, &json!({"href": name, "validation": {"share": 0.3, "block": 0.4}})).unwrap();
        let entries = std::fs::read_dir(folder.path().join(name)).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeMap<_, _> =
            entries.map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(path).unwrap())).collect();
        sets.push(files);
    }
    assert!(sets[0].len() > 2 && sets[0] == sets[1]);
}
