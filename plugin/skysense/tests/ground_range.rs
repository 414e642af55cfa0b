//! Sentinel-1 GRD: refused without a calibration, and placed by its ground control points with one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod harness;

use std::path::Path;
use std::process::Command;

use harness::{Bench, good, messages};
use serde_json::{Value, json};
use skysense_edges::{ChipBatch, ChipFacts, PixelsRef};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{BandSpec, CogSpec, CogWriter, DType, transform_point};

const SIZE: (usize, usize) = (300, 240);

/// Where a pixel lies, as an orbit lies across the meridians.
fn place(column: f64, row: f64) -> (f64, f64) {
    (14.0 + 0.0004 * column - 0.00008 * row, 46.0 - 0.0003 * row - 0.00005 * column)
}

/// The pixel at a place.
fn pixel((x, y): (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (x - 14.0, y - 46.0);
    let determinant = 0.0004 * -0.0003 - (-0.00008) * (-0.00005);
    ((dx * -0.0003 - -0.00008 * dy) / determinant, (0.0004 * dy - -0.00005 * dx) / determinant)
}

/// Amplitudes of 1000 left of the middle and of 500 right of it.
fn amplitudes(path: &Path) {
    let flat = path.with_extension("flat.tif");
    let grid = GeoBox::new(Crs::epsg(4326), Affine::north_up(0.0, 0.0, 0.001), SIZE.0, SIZE.1).unwrap();
    let mut writer =
        CogWriter::create(&flat, CogSpec::values(grid, DType::UInt16, vec![BandSpec::named("amplitude")], None))
            .unwrap();
    let value = |at: usize| if at % SIZE.0 < SIZE.0 / 2 { 1000_u16 } else { 500 };
    writer.write_rows(0, &(0..SIZE.0 * SIZE.1).map(value).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    let mut command = Command::new("gdal_translate");
    command.args(["-q", "-a_srs", "EPSG:4326"]);
    for at in 0..16 {
        let (column, row) = (f64::from(at % 4) * 100.0, f64::from(at / 4) * 80.0);
        let (x, y) = place(column, row);
        command.arg("-gcp").args([column, row, x, y].map(|number| number.to_string()));
    }
    let output = command.arg(&flat).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("gdal_translate: {error}: this test needs GDAL's programs"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An item as catalogs publish it, with the affine that some of them make of the bbox.
fn item(folder: &Path) -> Value {
    let asset = |name: &str| {
        json!({
            "href": folder.join(format!("iw-{name}.tiff")), "type": "image/tiff; application=geotiff", "roles": ["data"],
            "proj:epsg": 4326, "proj:shape": [SIZE.0, SIZE.1], "proj:transform": [0.0004, 0, 13.98, 0, -0.0003, 46.0],
        })
    };
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "S1A_IW_GRDH_1SDV_20220428T034417", "collection": "sentinel-1-grd",
        "stac_extensions": [], "links": [], "bbox": [13.98, 45.9, 14.12, 46.0],
        "geometry": {"type": "Polygon", "coordinates": [[[13.98, 45.9], [14.12, 45.9], [14.12, 46.0], [13.98, 46.0], [13.98, 45.9]]]},
        "properties": {
            "datetime": "2022-04-28T03:44:30Z", "platform": "sentinel-1a", "constellation": "sentinel-1",
            "sar:product_type": "GRD", "sar:instrument_mode": "IW", "sar:polarizations": ["VV", "VH"],
        },
        "assets": {"vv": asset("vv"), "vh": asset("vh")},
    })
}

#[test]
fn ground_range_is_refused_or_placed_by_its_points() {
    let folder = tempfile::tempdir().unwrap();
    amplitudes(&folder.path().join("iw-vv.tiff"));
    amplitudes(&folder.path().join("iw-vh.tiff"));
    let path = folder.path().join("item.json");
    std::fs::write(&path, item(folder.path()).to_string()).unwrap();
    let bench = Bench::new(2, folder.path());
    let scenes = good(bench.plan("stac.search", json!({"href": path}), &[]));
    let settings = |radiometry: Value| json!({"size": 64, "overlap": 0, "resolution": 40, "radiometry": radiometry});
    let refused = messages(&bench.plan("raster.chips", settings(json!({})), &[("items", &scenes)]).err().unwrap());
    assert!(
        refused.contains("without calibration") && refused.contains("{sentinel-1-grd: {unit: amplitude"),
        "{refused}"
    );

    let stated = json!({"sentinel-1-grd": {"unit": "amplitude", "calibration_db": 70}});
    let chips = good(bench.plan("raster.chips", settings(stated), &[("items", &scenes)]));
    let facts: ChipFacts = serde_json::from_value(chips.plan.facts.clone()).unwrap();
    assert_eq!(facts.geobox.crs.as_str(), "EPSG:32633");
    let mut seen = 0;
    for batch in bench.run(&chips, &[]).unwrap() {
        let read = ChipBatch::try_new(&batch).unwrap();
        for row in 0..read.len() {
            let Some(s1) = read.series("s1", row) else { continue };
            let PixelsRef::F32(values) = s1.pixels else { panic!("expected f32") };
            let window = read.window(row).unwrap();
            for at in (0..64 * 64).filter(|&at| s1.valid[at] != 0) {
                let (column, line) =
                    (window.x as f64 + (at % 64) as f64 + 0.5, window.y as f64 + (at / 64) as f64 + 0.5);
                let world = facts.geobox.transform.apply(column, line);
                let (column, line) = pixel(transform_point(&facts.geobox.crs, world, &Crs::lon_lat()).unwrap());
                assert!((-0.1..300.1).contains(&column) && (-0.1..240.1).contains(&line), "{column} {line}");
                // Beside the middle, where both amplitudes mix.
                if (column - 150.0).abs() > 2.0 {
                    let wanted = if column < 150.0 { -10.0 } else { 20.0 * 500_f32.log10() - 70.0 };
                    assert!((values[at] - wanted).abs() < 0.01, "{column} {line}: {} dB", values[at]);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 20_000, "{seen} pixels");
}
