//! The catalog of real pixels under `stac/` in the folder that `SKYSENSE_REAL_DATA` names: searched, resolved, deduplicated.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skysense_catalog::{
    Access, Backscatter, Choice, Options, Radiometry, Scene, SearchRequest, Sensors, by_solar_day, deduplicate,
    resolve, search,
};

/// Collections of the catalog, their sensor, number of items and of bands.
const COLLECTIONS: &[(&str, &str, usize, usize)] = &[
    ("s2-l1c-slovenia", "sentinel-2-l1c", 5, 13),
    ("s2-l2a-33t", "sentinel-2-l2a", 10, 4),
    ("s2-l2a-belgium", "sentinel-2-l2a", 12, 4),
    ("s1-grd-belgium", "sentinel-1-grd", 10, 2),
    ("terramesh-s2l2a", "sentinel-2-l2a", 3, 12),
    ("terramesh-s2l1c", "sentinel-2-l1c", 3, 13),
    ("terramesh-s1rtc", "sentinel-1-rtc", 3, 2),
    ("treesat-aerial", "hr-rgbn", 1, 4),
    ("treesat-s2", "sentinel-2-l2a", 146, 10),
    ("treesat-s1", "sentinel-1-grd", 146, 2),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SKYSENSE_REAL_DATA").map(|folder| PathBuf::from(folder).join("stac"));
    if folder.is_none() {
        eprintln!("SKIPPED: SKYSENSE_REAL_DATA is not set, so the catalog of real pixels was not looked at");
    }
    folder
}

fn scenes(folder: &Path, collection: &str, sensors: &Sensors) -> Vec<Scene> {
    let request = SearchRequest {
        collections: vec![collection.into()],
        ..SearchRequest::new(folder.join("catalog.json").to_str().unwrap())
    };
    let outcome = search(&request, &|| false).unwrap();
    assert_eq!(outcome.skipped, [], "{collection}");
    outcome
        .items
        .iter()
        .map(|item| resolve(item, sensors.of(item).expect("mapped"), &Options::default()).unwrap())
        .collect()
}

fn sensors() -> Sensors {
    let mapping: BTreeMap<String, String> =
        COLLECTIONS.iter().map(|(collection, sensor, ..)| ((*collection).to_owned(), (*sensor).to_owned())).collect();
    Sensors::builtin().unwrap().with(&mapping, Path::new(".")).unwrap()
}

#[test]
fn every_collection_resolves_with_all_its_bands_and_files() {
    let Some(folder) = folder() else { return };
    let sensors = sensors();
    for &(collection, sensor, items, bands) in COLLECTIONS {
        let scenes = scenes(&folder, collection, &sensors);
        assert_eq!(scenes.len(), items, "{collection}");
        for scene in &scenes {
            assert_eq!((scene.sensor.as_str(), scene.bands.len()), (sensor, bands), "{}", scene.item);
            for source in scene.bands.iter().chain(scene.masks.iter().map(|mask| &mask.source)) {
                Access::default().raster(&source.root, &source.href).unwrap();
                assert!(source.claimed.is_some(), "{} {}", scene.item, source.band);
            }
        }
    }
}

#[test]
fn radiometry_of_each_collection_is_what_its_pixels_are() {
    let Some(folder) = folder() else { return };
    let sensors = sensors();
    let first = |collection: &str| scenes(&folder, collection, &sensors).remove(0);
    assert_eq!(first("s2-l2a-33t").decision.choice, Choice::Offset(0.0));
    assert!(first("s2-l2a-33t").decision.check.is_some(), "applied and declared contradict: pixels are asked");
    assert_eq!(
        first("s2-l1c-slovenia").band("B04").unwrap().radiometry,
        Radiometry::Reflectance { scale: 1e-4, offset: 0.0 }
    );
    assert_eq!(
        first("s1-grd-belgium").decision.choice,
        Choice::Unit(Backscatter::ScaledDecibel { factor: 20.0, constant: -83.0 })
    );
    assert_eq!(first("terramesh-s1rtc").decision.choice, Choice::Unit(Backscatter::Decibel));
    assert_eq!(first("treesat-s1").decision.choice, Choice::Unit(Backscatter::Linear));
    assert_eq!(first("treesat-s2").decision.rule, "declared");
    let offsets: Vec<String> = scenes(&folder, "terramesh-s2l1c", &sensors)
        .iter()
        .map(|scene| format!("{:?}", scene.bands[0].radiometry))
        .collect();
    assert!(
        offsets.iter().any(|text| text.contains("-0.1")) && offsets.iter().any(|text| text.contains("offset: 0.0")),
        "offsets differ by tile: {offsets:?}"
    );
}

#[test]
fn bands_of_one_file_are_bound_by_name() {
    let Some(folder) = folder() else { return };
    let sensors = sensors();
    let aerial = scenes(&folder, "treesat-aerial", &sensors).remove(0);
    let index = |name: &str| aerial.band(name).unwrap().band_index;
    assert_eq!((index("red"), index("green"), index("blue"), index("nir")), (2, 3, 4, 1));
    let tile = scenes(&folder, "terramesh-s2l2a", &sensors).remove(0);
    assert_eq!(tile.band("B12").unwrap().band_index, 12);
}

#[test]
fn overlapping_granules_of_one_day_become_one_date() {
    let Some(folder) = folder() else { return };
    let kept = deduplicate(scenes(&folder, "s2-l2a-33t", &sensors()));
    assert_eq!((kept.kept.len(), kept.dropped.len()), (10, 0));
    let days = by_solar_day(&kept.kept);
    assert_eq!(days.iter().map(|day| day.scenes.len()).collect::<Vec<_>>(), [2, 2, 2, 2, 2]);
}

#[test]
fn filters_hold_on_a_static_catalog() {
    let Some(folder) = folder() else { return };
    let all = SearchRequest::new(folder.join("catalog.json").to_str().unwrap());
    let count = |request: SearchRequest| search(&request, &|| false).unwrap().items.len();
    assert_eq!(count(all.clone()), 344);
    let clear =
        SearchRequest { collections: vec!["s2-l1c-slovenia".into()], max_cloud_cover: Some(50.0), ..all.clone() };
    let month =
        SearchRequest { collections: vec!["s2-l1c-slovenia".into()], datetime: Some("2015-08".into()), ..all.clone() };
    assert!((1..5).contains(&count(clear)));
    assert_eq!(count(month), 2);
    assert_eq!(count(SearchRequest { ids: vec!["S2_L1C_SI_20150711".into()], ..all.clone() }), 1);
    assert_eq!(count(SearchRequest { bbox: Some(skysense_catalog::Bbox([100.0, 0.0, 101.0, 1.0])), ..all }), 0);
}

#[test]
fn masks_of_the_catalog_are_found() {
    let Some(folder) = folder() else { return };
    let sensors = sensors();
    for (collection, mask) in [("s2-l1c-slovenia", "cloud_mask"), ("s2-l2a-33t", "scl"), ("s2-l2a-belgium", "scl")] {
        let scene = scenes(&folder, collection, &sensors).remove(0);
        assert_eq!(
            scene.masks.iter().map(|mask| mask.source.band.as_str()).collect::<Vec<_>>(),
            [mask],
            "{collection}"
        );
    }
}
