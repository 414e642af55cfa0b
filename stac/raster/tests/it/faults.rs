//! Input that cannot be read: each fault names item, asset and href.

use skysense_grid::Crs;
use skysense_raster::{Resampling, Source, header, read, transform_bounds};
use tempfile::tempdir;

use crate::support::{cog, grid, noise, opened};

fn told(source: &Source) -> String {
    let error = header(source).unwrap_err().to_string();
    assert!(error.contains(&source.name), "{error}");
    error
}

#[test]
fn files_that_are_no_rasters() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let missing = told(&Source::new("item-3 / B04", path("missing.tif")));
    assert!(
        missing.contains("missing.tif") && missing.contains("no such file") && missing.contains("hint"),
        "{missing}"
    );
    std::fs::write(folder.path().join("page.tif"), "<html>404</html>").unwrap();
    assert!(told(&Source::new("item-3 / B04", path("page.tif"))).contains("not a raster of a format"));
    std::fs::write(folder.path().join("empty.tif"), "").unwrap();
    told(&Source::new("item-3 / B04", path("empty.tif")));
    assert!(told(&Source::new("item-3 / B04", path(""))).contains("not a file"));
}

#[test]
fn a_vrt_is_not_opened() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 8, 8);
    let inner = cog(&folder.path().join("inner.tif"), &geobox, None, &[1_u8; 64]);
    let vrt = folder.path().join("outer.tif");
    let text = format!(
        "<VRTDataset rasterXSize=\"8\" rasterYSize=\"8\"><VRTRasterBand dataType=\"Byte\" band=\"1\"><SimpleSource><SourceFilename>{}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>",
        inner.href
    );
    std::fs::write(&vrt, text).unwrap();
    assert!(gdal::Dataset::open(&vrt).is_ok(), "GDAL itself would open it");
    told(&Source::new("item-3 / B04", vrt.to_string_lossy()));
}

#[test]
fn a_truncated_raster_fails_where_it_ends() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 1500, 1500);
    let values: Vec<u16> = noise(1500 * 1500, 60_000).into_iter().map(|value| value as u16).collect();
    let (source, _) = opened(cog(&path, &geobox, None, &values));
    let whole = std::fs::read(&path).unwrap();
    for share in [0.95, 0.6, 0.3] {
        std::fs::write(&path, &whole[..(whole.len() as f64 * share) as usize]).unwrap();
        let found = header(&source).unwrap();
        let error = read(&source, &found, &geobox, Resampling::Nearest).unwrap_err().to_string();
        assert!(error.contains("item-1 / a") && error.contains("truncated") && error.contains("0..1500"), "{error}");
    }
    std::fs::write(&path, &whole[..100]).unwrap();
    told(&source);
    std::fs::write(&path, whole).unwrap();
    let found = header(&source).unwrap();
    assert_eq!(
        read(&source, &found, &geobox, Resampling::Nearest).unwrap().valid_share(),
        1.0,
        "the file is asked anew"
    );
}

#[test]
fn bands_and_systems_that_are_not_there() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 8, 8);
    let (source, found) = opened(cog(&folder.path().join("a.tif"), &geobox, None, &[1_u8; 64]));
    for band in [0, 2] {
        let error = told(&source.clone().with_band(band));
        assert!(error.contains(&format!("band {band}")) && error.contains("1 bands"), "{error}");
    }
    let nowhere = skysense_grid::GeoBox { crs: Crs::new("EPSG:999999"), ..geobox };
    let error = read(&source, &found, &nowhere, Resampling::Nearest).unwrap_err().to_string();
    assert!(error.contains("EPSG:999999"), "{error}");
    assert!(transform_bounds(&Crs::epsg(32633), [f64::NAN; 4], &Crs::lon_lat()).is_err());
}

#[test]
fn hrefs_that_reach_elsewhere_are_refused() {
    for href in [
        "/vsicurl/https://user:secret@example.org/a.tif",
        "ftp://example.org/a.tif",
        "/vsizip/a.zip/a.tif",
        "GTIFF_DIR:1:/a.tif",
    ] {
        let error = told(&Source::new("item-4 / red", href));
        assert!(!error.contains("secret"), "{error}");
    }
}
