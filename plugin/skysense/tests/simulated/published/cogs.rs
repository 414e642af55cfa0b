//! The COGs as GDAL's own tools see them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{Resampling, Source, header, read_typed};

use super::published;
use crate::bench::{made_up_on, write};
use crate::harness::Bench;

/// What `gdalinfo` says of a file.
fn gdalinfo(file: &Path) -> Value {
    let done = Command::new("gdalinfo").args(["-json", "-mm"]).arg(file).output();
    let done = done.expect("gdalinfo is set up with GDAL: apt install gdal-bin");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// A map of 1100 x 700 px: more than one block of 512 px along each side.
fn large() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let geobox = GeoBox::new(Crs::epsg(32633), Affine::north_up(469_000.0, 5_339_880.0, 10.0), 1100, 700).unwrap();
    let bench = Bench::new(2, folder.path());
    let made = made_up_on(&geobox, "prediction", 3, (128, 16));
    write(&bench, &made, folder.path(), &json!({"outputs": ["class", "probability", "entropy"]})).unwrap();
    let item = folder.path().join("land-cover-all");
    (folder, item)
}

/// Mean and deviation of a file without invalid pixels, in two passes.
fn moments(file: &Path) -> (f64, f64) {
    let source = Source::new("map", file.display().to_string());
    let about = header(&source).unwrap();
    let grid = about.geobox().unwrap().clone();
    let values = read_typed::<u8>(&source, &about, &grid, Resampling::Nearest).unwrap().values;
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum();
    (mean, (squares / count).sqrt())
}

#[test]
fn a_class_map_is_tiled_with_overviews_colours_names_and_statistics() {
    let (_folder, item) = large();
    let file = item.join("class.tif");
    let about = gdalinfo(&file);
    assert_eq!(about["size"], json!([1100, 700]));
    assert_eq!(about["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG");
    assert_eq!(about["metadata"]["IMAGE_STRUCTURE"]["COMPRESSION"], "DEFLATE");
    assert!(about["coordinateSystem"]["wkt"].as_str().unwrap().contains("ID[\"EPSG\",32633]"));
    let band = &about["bands"][0];
    assert_eq!(
        (&band["block"], &band["type"], &band["noDataValue"]),
        (&json!([512, 512]), &json!("Byte"), &json!(255.0))
    );
    // Halved until both sides fit a block: 1100 → 550 → 275.
    let overviews: Vec<&Value> =
        band["overviews"].as_array().unwrap().iter().map(|overview| &overview["size"]).collect();
    assert_eq!(overviews, [&json!([550, 350]), &json!([275, 175])]);
    // The made-up classes are all of the colour 20a040; no data is transparent.
    let colours = band["colorTable"]["entries"].as_array().unwrap();
    assert_eq!(
        (&colours[1], &colours[3], &colours[255]),
        (&json!([32, 160, 64, 255]), &json!([32, 160, 64, 255]), &json!([0, 0, 0, 0]))
    );
    let metadata = &band["metadata"][""];
    for value in 1..=3 {
        assert_eq!(metadata[format!("CLASS_{value}")], format!("class {value}"));
    }
    // What the file states is what its pixels hold.
    let stated = |name: &str| metadata[format!("STATISTICS_{name}")].as_str().unwrap().parse::<f64>().unwrap();
    let found = |name: &str| band[name].as_f64().unwrap();
    assert_eq!((stated("MINIMUM"), stated("MAXIMUM")), (found("computedMin"), found("computedMax")));
    let (mean, deviation) = moments(&file);
    assert!((stated("MEAN") - mean).abs() < 1e-9 && (stated("STDDEV") - deviation).abs() < 1e-9, "{mean} {deviation}");
    assert_eq!(stated("VALID_PERCENT"), 100.0);
    assert!(!item.join("class.tif.aux.xml").exists(), "the file itself holds its statistics");
}

#[test]
fn probabilities_have_a_band_for_each_class_with_scale_and_nodata() {
    let (_folder, item) = large();
    let about = gdalinfo(&item.join("probability.tif"));
    let bands = about["bands"].as_array().unwrap();
    assert_eq!(bands.len(), 3);
    for (at, band) in bands.iter().enumerate() {
        assert_eq!(band["description"], format!("class {}", at + 1));
        assert_eq!((&band["noDataValue"], &band["offset"]), (&json!(255.0), &json!(0.0)));
        assert!((band["scale"].as_f64().unwrap() - 0.004).abs() < 1e-9);
        assert_eq!(band["overviews"].as_array().unwrap().len(), 2);
    }
}

/// The validator that comes with GDAL's Python package, which the Debian package gdal-bin brings.
fn validated(file: &Path) -> Option<String> {
    for python in ["python3", "/usr/bin/python3"] {
        let module = "osgeo_utils.samples.validate_cloud_optimized_geotiff";
        let Ok(done) = Command::new(python).args(["-m", module]).arg(file).output() else { continue };
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if !text.contains("No module named") && !text.contains("Error while finding module") {
            return Some(text);
        }
    }
    eprintln!("\n*** SKIPPED: GDAL's COG validator was NOT run; apt install python3-gdal ***\n");
    None
}

#[test]
fn the_validator_of_gdal_takes_every_file_for_a_cog() {
    let (folder, item) = large();
    let published = published();
    let mut files: Vec<PathBuf> =
        ["class", "probability", "entropy"].map(|name| item.join(name).with_extension("tif")).into();
    files.extend(["float32", "int16"].map(|name| published.folder.join(name).join("land-cover-all/features.tif")));
    for file in &files {
        let Some(text) = validated(file) else { return };
        assert!(text.contains("is a valid cloud optimized GeoTIFF"), "{}: {text}", file.display());
        assert!(!text.to_lowercase().contains("warning"), "{}: {text}", file.display());
    }
    // It does say so where a file is none.
    let plain = folder.path().join("plain.tif");
    let done = Command::new("gdal_translate").args(["-q", "-co", "TILED=NO"]).arg(&files[0]).arg(&plain).status();
    assert!(done.unwrap().success());
    assert!(!validated(&plain).unwrap().contains("is a valid cloud optimized GeoTIFF"));
}
