//! Reprocessings, orbits and overpasses: which scenes stay, and which share a date.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use serde_json::{Value, json};
use skysense_catalog::{
    Choice, Item, Options, PixelStatistics, Radiometry, Root, Scene, Sensors, Verdict, by_solar_day, deduplicate,
    resolve,
};

fn scene(id: &str, datetime: &str, more: Value) -> Scene {
    let mut properties = json!({"datetime": datetime, "platform": "Sentinel-2A", "grid:code": "MGRS-33TWM", "s2:product_type": "S2MSI2A", "s2:processing_baseline": "05.09"});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let value = json!({
        "type": "Feature", "id": id, "bbox": [15, 45, 16, 46], "properties": properties,
        "assets": {"B04": {"href": "B04.tif"}, "SCL": {"href": "SCL.tif", "raster:bands": [{"scale": 0.0001, "offset": -0.1}]}}
    });
    let item = Item::from_json(value, "https://h/a.json", Root::Remote("https://h/".into())).unwrap();
    let sensors = Sensors::builtin().unwrap();
    resolve(&item, sensors.of(&item).unwrap(), &Options::default()).unwrap()
}

fn kept(scenes: Vec<Scene>) -> (Vec<String>, Vec<String>) {
    let dedup = deduplicate(scenes);
    (
        dedup.kept.into_iter().map(|scene| scene.item).collect(),
        dedup.dropped.into_iter().map(|(_, _, why)| why).collect(),
    )
}

#[test]
fn the_newest_baseline_stays() {
    let old = scene("old", "2021-01-22T13:32:29.024Z", json!({"s2:processing_baseline": "02.14"}));
    let new = scene("new", "2021-01-22T13:32:29.024Z", json!({"s2:processing_baseline": "05.00"}));
    for scenes in [vec![old.clone(), new.clone()], vec![new, old]] {
        let (ids, why) = kept(scenes);
        assert_eq!(ids, ["new"]);
        assert!(why[0].contains("05.00 instead of 02.14"), "{why:?}");
    }
}

#[test]
fn of_two_receiving_stations_the_later_product_stays() {
    let made = |id: &str, when: &str| scene(id, "2021-01-22T13:32:29Z", json!({"s2:generation_time": when}));
    assert_eq!(kept(vec![made("b", "2021-01-23T00:00:00Z"), made("a", "2021-01-22T20:00:00Z")]).0, ["b"]);
}

#[test]
fn orbits_tiles_and_satellites_of_one_day_all_stay() {
    let scenes = vec![
        scene("first", "2021-06-01T09:50:00Z", json!({})),
        scene("next-orbit", "2021-06-01T11:30:00Z", json!({})),
        scene("other-tile", "2021-06-01T09:50:00Z", json!({"grid:code": "MGRS-33TWL"})),
        scene("other-satellite", "2021-06-01T09:50:00Z", json!({"platform": "sentinel-2b"})),
    ];
    assert_eq!(kept(scenes.clone()).0.len(), 4);
    let days = by_solar_day(&scenes);
    assert_eq!(
        days.iter().map(|day| day.scenes.len()).collect::<Vec<_>>(),
        [2, 1, 1],
        "granules of one overpass share a date, orbits and satellites do not"
    );
}

#[test]
fn an_overpass_around_midnight_utc_is_one_date() {
    let mut scenes = vec![
        scene("before", "2023-06-01T23:59:50Z", json!({})),
        scene("after", "2023-06-02T00:00:10Z", json!({"grid:code": "MGRS-60WXX"})),
    ];
    for scene in &mut scenes {
        scene.bbox = skysense_catalog::Bbox([177.0, 60.0, -179.0, 61.0]);
    }
    assert_eq!(by_solar_day(&scenes).len(), 1);
}

#[test]
fn pixels_settle_what_metadata_leaves_open_and_masks_are_never_scaled() {
    let mut undeclared = scene("a", "2022-06-01T10:00:00Z", json!({}));
    assert_eq!(undeclared.decision.choice, Choice::Offset(-0.1));
    let dark = PixelStatistics { count: 100, p01: 150.0, p50: 900.0, p99: 3000.0 };
    assert!(matches!(undeclared.settle(&dark), Verdict::Settled(_)));
    assert_eq!(undeclared.band("B04").unwrap().radiometry, Radiometry::Reflectance { scale: 1e-4, offset: 0.0 });
    assert!(undeclared.decision.sentence.contains("by the pixels"));
    assert_eq!(undeclared.masks[0].source.radiometry, Radiometry::Mask);
    assert_eq!(undeclared.masks[0].source.radiometry.value(8.0), Some(8.0));
}

#[test]
fn a_scene_survives_its_text() {
    let scene = scene("a", "2022-06-01T10:00:00Z", json!({}));
    assert_eq!(serde_json::from_str::<Scene>(&serde_json::to_string(&scene).unwrap()).unwrap(), scene);
}
