//! Areas of interest in every format give the same area.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::Path;

use flatgeobuf::{FgbWriter, GeometryType};
use geozero::wkb::Wkb;
use geozero::{CoordDimensions, ToGeo, ToWkb};
use serde_json::json;
use skysense_catalog::{Area, Bbox, CatalogError, to_wkb};

const WKT: &str = "POLYGON((14 45,15 45,15 46,14 46,14 45))";

fn square() -> serde_json::Value {
    json!({"type": "Polygon", "coordinates": [[[14.0, 45.0], [15.0, 45.0], [15.0, 46.0], [14.0, 46.0], [14.0, 45.0]]]})
}

fn geopackage(path: &Path, srs: i64, layers: &[&str]) {
    let base = rusqlite::Connection::open(path).unwrap();
    base.execute_batch("CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER)")
        .unwrap();
    let geometry = Wkb(to_wkb(&square()).unwrap()).to_geo().unwrap();
    for layer in layers {
        base.execute_batch(&format!("CREATE TABLE \"{layer}\" (fid INTEGER PRIMARY KEY, geom BLOB)")).unwrap();
        base.execute("INSERT INTO gpkg_geometry_columns VALUES (?1, 'geom', ?2)", (layer, srs)).unwrap();
        let blob = geometry.to_gpkg_wkb(CoordDimensions::xy(), Some(4326), vec![]).unwrap();
        base.execute(&format!("INSERT INTO \"{layer}\" (geom) VALUES (?1)"), [blob]).unwrap();
    }
}

#[test]
fn every_format_reads_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("a.geojson"),
        json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": square()}]})
            .to_string(),
    )
    .unwrap();
    std::fs::write(at("a.wkt"), WKT).unwrap();
    std::fs::write(at("a.wkb"), to_wkb(&square()).unwrap()).unwrap();
    let mut writer = FgbWriter::create("a", GeometryType::Polygon).unwrap();
    writer.add_feature_geom(geozero::wkt::Wkt(WKT), |_| {}).unwrap();
    writer.write(std::fs::File::create(at("a.fgb")).unwrap()).unwrap();
    geopackage(&at("a.gpkg"), 4326, &["areas"]);
    for text in [
        "a.geojson",
        "a.wkt",
        "a.wkb",
        "a.fgb",
        "a.gpkg",
        "a.gpkg#areas",
        WKT,
        &square().to_string(),
        "SRID=4326;POLYGON((14 45,15 45,15 46,14 46,14 45))",
    ] {
        let area = Area::read(text, folder.path()).unwrap();
        assert_eq!(area.bbox(), Bbox([14.0, 45.0, 15.0, 46.0]), "{text}");
        assert_eq!(area.geojson()["type"], "Polygon", "{text}");
        assert_eq!(area.to_wkb().unwrap(), to_wkb(&square()).unwrap(), "{text}");
    }
}

#[test]
fn several_polygons_become_one_area() {
    let feature = |geometry| json!({"type": "Feature", "properties": {}, "geometry": geometry});
    let east = json!({"type": "Polygon", "coordinates": [[[17.0, 45.0], [18.0, 45.0], [18.0, 46.0], [17.0, 45.0]]]});
    let value = json!({"type": "FeatureCollection", "features": [feature(square()), feature(serde_json::Value::Null), feature(east)]});
    let area = Area::from_geojson(&value, "text").unwrap();
    assert_eq!((area.geojson()["type"].as_str(), area.bbox()), (Some("MultiPolygon"), Bbox([14.0, 45.0, 18.0, 46.0])));
}

#[test]
fn positions_that_are_too_short_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({"type": "Polygon", "coordinates": [[[14.6], [14.7]]]}).to_string();
    std::fs::write(folder.path().join("short.geojson"), &text).unwrap();
    for given in [text.as_str(), "short.geojson"] {
        let error = Area::read(given, folder.path()).unwrap_err().to_string();
        assert!(error.contains("[14.6], expected [longitude, latitude]"), "{error}");
    }
}

/// A nest this deep overflows the stack of whoever follows it without counting.
#[test]
fn areas_nested_without_end_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let levels = 200_000;
    let text = format!("{}POINT(14 45){}", "GEOMETRYCOLLECTION(".repeat(levels), ")".repeat(levels));
    std::fs::write(folder.path().join("deep.wkt"), &text).unwrap();
    let bytes = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(levels);
    std::fs::write(folder.path().join("deep.wkb"), &bytes).unwrap();
    let base = folder.path().join("deep.gpkg");
    geopackage(&base, 4326, &["areas"]);
    let blob = [b"GP\0\x01".as_slice(), &4326_u32.to_le_bytes(), &bytes].concat();
    rusqlite::Connection::open(&base).unwrap().execute("UPDATE areas SET geom = ?1", [blob]).unwrap();
    for given in ["deep.wkt", "deep.wkb", "deep.gpkg", &text] {
        let error = Area::read(given, folder.path()).unwrap_err().to_string();
        assert!(error.contains("deep"), "{error:.200}");
    }
}

#[test]
fn a_flatgeobuf_whose_numbers_are_damaged_is_refused_or_read_and_never_followed_blindly() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = FgbWriter::create("a", GeometryType::Polygon).unwrap();
    let holed = "POLYGON((14 45,15 45,15 46,14 46,14 45),(14.2 45.2,14.4 45.2,14.4 45.4,14.2 45.2))";
    writer.add_feature_geom(geozero::wkt::Wkt(holed), |_| {}).unwrap();
    let mut whole = Vec::new();
    writer.write(&mut whole).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        std::fs::write(folder.path().join("a.fgb"), damaged).unwrap();
        if let Ok(area) = Area::read("a.fgb", folder.path()) {
            assert!(area.bbox().0.iter().all(|degrees| degrees.is_finite()), "{place}");
        }
    }
}

#[test]
fn what_is_not_in_degrees_or_no_area_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    geopackage(&folder.path().join("utm.gpkg"), 32633, &["a"]);
    geopackage(&folder.path().join("two.gpkg"), 4326, &["a", "b"]);
    for name in ["broken.gpkg", "broken.fgb", "broken.wkb", "broken.geojson", "broken.wkt", "broken.shp"] {
        std::fs::write(folder.path().join(name), "POLYGON((").unwrap();
    }
    let utm = json!({"type": "Polygon", "coordinates": [[[500_000.0, 5e6], [600_000.0, 5e6], [600_000.0, 5.1e6], [500_000.0, 5e6]]]}).to_string();
    let named = json!({"type": "Feature", "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}, "geometry": square()}).to_string();
    for text in [
        "utm.gpkg",
        "two.gpkg",
        "two.gpkg#c",
        "broken.gpkg",
        "broken.fgb",
        "broken.wkb",
        "broken.geojson",
        "broken.wkt",
        "broken.shp",
        "POLYGON EMPTY(",
        "SRID=32633;POINT(1 2)",
        "{}",
        &utm,
        &named,
    ] {
        let error = Area::read(text, folder.path()).unwrap_err();
        assert!(matches!(error, CatalogError::Area { .. }), "{text}: {error}");
    }
    assert!(matches!(Area::read("none.gpkg", folder.path()), Err(CatalogError::Read { .. })));
}
