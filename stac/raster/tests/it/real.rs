//! Real satellite data, from the folder that SKYSENSE_REAL_DATA names.

use std::path::{Path, PathBuf};

use skysense_grid::GeoBox;
use skysense_raster::{Resampling, Source, centre_lon_lat, footprint, pixel_statistics, read};

use crate::support::{gdalwarp, opened};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SKYSENSE_REAL_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: SKYSENSE_REAL_DATA is not set; no real raster was read");
    }
    folder.map(|folder| folder.join("stac"))
}

fn rasters(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            rasters(&entry, out);
        } else if entry.extension().is_some_and(|extension| extension == "tif") {
            out.push(entry);
        }
    }
}

fn first(folder: &Path, name: &str) -> PathBuf {
    let mut found = Vec::new();
    rasters(folder, &mut found);
    found.retain(|path| path.file_name().is_some_and(|file| file == name));
    found.sort();
    found.into_iter().next().unwrap_or_else(|| panic!("no {name} in {}", folder.display()))
}

#[test]
fn every_raster_opens_and_lies_on_land() {
    let Some(folder) = data() else { return };
    let mut all = Vec::new();
    rasters(&folder, &mut all);
    assert!(all.len() > 600, "{} rasters", all.len());
    for path in all {
        let (source, found) = opened(Source::new(path.display().to_string(), path.to_string_lossy()));
        let geobox = found.geobox().unwrap();
        let (longitude, latitude) = centre_lon_lat(geobox).unwrap();
        let bbox = footprint(geobox).unwrap().bbox;
        assert!(
            bbox[0] <= longitude && longitude <= bbox[2] && bbox[1] <= latitude && latitude <= bbox[3],
            "{}",
            path.display()
        );
        pixel_statistics(&source, &found).unwrap();
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }
}

#[test]
fn pixels_that_are_not_square_are_warped_as_gdalwarp_does() {
    let Some(folder) = data() else { return };
    let path = first(&folder.join("s2-l1c-slovenia"), "B04.tif");
    let (source, found) = opened(Source::new("slovenia / B04", path.to_string_lossy()));
    let own = found.geobox().unwrap();
    assert!((own.transform.a - 9.9948).abs() < 1e-3 && (own.transform.e + 9.9974).abs() < 1e-3);
    let [west, south, east, north] = own.bounds();
    let to =
        GeoBox::covering(own.crs.clone(), [west + 20.0, south + 20.0, east - 20.0, north - 20.0], 10.0, (0.0, 0.0))
            .unwrap();
    let copy = tempfile::tempdir().unwrap();
    let copied = copy.path().join("B04.tif");
    std::fs::copy(&path, &copied).unwrap();
    for (resampling, name) in
        [(Resampling::Bilinear, "bilinear"), (Resampling::Cubic, "cubic"), (Resampling::Nearest, "near")]
    {
        let ours = read(&source, &found, &to, resampling).unwrap();
        let theirs = gdalwarp(&copied, &to, name, &[]);
        assert_eq!(ours.valid_share(), 1.0);
        let differ = ours.values.iter().zip(&theirs).filter(|(a, b)| (*a - *b).abs() > 1.0).count();
        assert!(differ <= theirs.len() / 1000, "{name}: {differ} of {}", theirs.len());
    }
}
