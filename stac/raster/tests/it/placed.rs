//! How a file says where it lies, and what the catalog claims.

use gdal::raster::RasterCreationOptions;
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Gcp};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{DType, Georeference, Resampling, Source, centre_lon_lat, header, read};
use tempfile::tempdir;

use crate::support::{cog, gdalwarp, grid, opened};

fn tiff(path: &std::path::Path, width: usize, height: usize, values: &[u16]) -> Dataset {
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let dataset = driver
        .create_with_band_type_with_options::<u16, _>(
            path,
            width,
            height,
            1,
            &RasterCreationOptions::from_iter(["COMPRESS=DEFLATE"]),
        )
        .unwrap();
    let mut buffer = gdal::raster::Buffer::new((width, height), values.to_vec());
    dataset.rasterband(1).unwrap().write((0, 0), (width, height), &mut buffer).unwrap();
    dataset
}

/// A GRD file as Sentinel-1's: a lattice of ground control points in degrees, and no transform.
fn grd(path: &std::path::Path, size: (usize, usize), values: &[u16], place: impl Fn(f64, f64) -> (f64, f64)) -> Source {
    skysense_raster::setup(&skysense_raster::Options::default()).unwrap();
    let dataset = tiff(path, size.0, size.1, values);
    let points = (0..25).map(|at| {
        let (column, row) = (f64::from(at % 5) * size.0 as f64 / 4.0, f64::from(at / 5) * size.1 as f64 / 4.0);
        let (x, y) = place(column, row);
        Gcp { id: format!("{at}"), info: String::new(), pixel: column, line: row, x, y, z: 0.0 }
    });
    dataset.set_gcps(points.collect(), &SpatialRef::from_epsg(4326).unwrap()).unwrap();
    Source::new("S1A / vv", path.to_string_lossy())
}

#[test]
fn curved_ground_control_points_are_followed_as_gdalwarp_does() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("grd.tif");
    // Oblique, and bent by some pixels, as an orbit over a round Earth is; the picture is as smooth as speckle is not.
    let size = (400, 300);
    let place = |column: f64, row: f64| {
        let (u, v) = (column / size.0 as f64, row / size.1 as f64);
        (14.0 + 0.4 * u - 0.06 * v + 0.01 * u * v, 46.0 - 0.28 * v - 0.05 * u + 0.012 * u * (1.0 - u))
    };
    let wave = |at: usize| ((at % size.0) as f64 / 11.0).sin() * ((at / size.0) as f64 / 13.0).cos();
    let values: Vec<u16> = (0..size.0 * size.1).map(|at| (3000.0 + 1000.0 * wave(at)) as u16).collect();
    let (source, found) = opened(grd(&path, size, &values, place));
    let to = grid(32633, 424_000.0, 5_089_000.0, 70.0, 400, 380);
    for (resampling, name) in [(Resampling::Bilinear, "bilinear"), (Resampling::Cubic, "cubic")] {
        let ours = read(&source, &found, &to, resampling).unwrap();
        let theirs = gdalwarp(&path, &to, name, &["-tps"]);
        let both: Vec<usize> = (0..theirs.len()).filter(|&at| ours.valid[at] != 0 && theirs[at].is_finite()).collect();
        assert!(both.len() > 60_000, "{name}: {} pixels", both.len());
        let one = (0..theirs.len()).filter(|&at| (ours.valid[at] != 0) != theirs[at].is_finite()).count();
        assert!(one < 2000, "{name}: {one} pixels at the edge are valid for one of both only");
        // A hundredth of a pixel on a slope of 120 a pixel; at the edge of the picture GDAL has rules of its own.
        let far = both.iter().filter(|&&at| (ours.values[at] - theirs[at]).abs() > 2.0).count();
        assert!(far * 500 < both.len(), "{name}: {far} of {} pixels", both.len());
    }
    // The affine that a catalog makes of the bbox would be wrong by many pixels: what it says is not looked at.
    let claim = GeoBox::new(Crs::epsg(4326), Affine::north_up(13.94, 46.0, 0.001), 460, 330).unwrap();
    let claimed = source.clone().with_claimed(Some(claim));
    let header = header(&claimed).unwrap();
    let with_claim = read(&claimed, &header, &to, Resampling::Bilinear).unwrap();
    assert_eq!(with_claim, read(&source, &found, &to, Resampling::Bilinear).unwrap());
}

#[test]
fn ground_control_points_place_a_raster() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("grd.tif");
    // The points lie on a plane, so an affine says the same.
    let plane = GeoBox::new(Crs::epsg(4326), Affine::north_up(14.0, 46.0, 0.001), 100, 80).unwrap();
    let values: Vec<u16> = (0..8000).map(|at| (at % 100 + 3 * (at / 100)) as u16).collect();
    let (source, found) = opened(grd(&path, (100, 80), &values, |column, row| plane.transform.apply(column, row)));
    let Georeference::Gcps { count, bounds, .. } = &found.georeference else { panic!("{:?}", found.georeference) };
    assert_eq!(*count, 25);
    assert!((bounds[0] - 14.0).abs() < 1e-9 && (bounds[3] - 46.0).abs() < 1e-9, "{bounds:?}");
    let (exact, exact_header) = opened(cog(&folder.path().join("exact.tif"), &plane, None, &values));
    let to = grid(32633, 425_000.0, 5_091_000.0, 50.0, 90, 70);
    let ours = read(&source, &found, &to, Resampling::Bilinear).unwrap();
    let wanted = read(&exact, &exact_header, &to, Resampling::Bilinear).unwrap();
    assert!(wanted.valid_share() > 0.9, "{}", wanted.valid_share());
    let worst = ours.values.iter().zip(&wanted.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 0.1, "{worst}");
}

#[test]
fn a_raster_without_a_place_is_refused() {
    skysense_raster::setup(&skysense_raster::Options::default()).unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("nowhere.tif");
    drop(tiff(&path, 8, 8, &[1; 64]));
    let error = header(&Source::new("item-9 / red", path.to_string_lossy())).unwrap_err().to_string();
    assert!(
        error.contains("item-9 / red") && error.contains("nowhere.tif") && error.contains("ground control points"),
        "{error}"
    );
}

#[test]
fn the_file_wins_over_the_claim() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 20, 10);
    let source = cog(&folder.path().join("a.tif"), &geobox, Some(0.0), &[1_u16; 200]);
    let claims = [
        (grid(32634, 500_000.0, 5_000_000.0, 10.0, 20, 10), "EPSG:32634"),
        (grid(32633, 500_000.0, 5_000_000.0, 10.0, 10, 20), "10 x 20 px"),
        (grid(32633, 500_005.0, 5_000_000.0, 10.0, 20, 10), "500005"),
    ];
    for (claim, told) in claims {
        let found = header(&source.clone().with_claimed(Some(claim))).unwrap();
        assert_eq!(found.geobox(), Some(&geobox));
        assert!(
            found.notes.len() == 1 && found.notes[0].contains(told) && found.notes[0].contains("item-1 / a"),
            "{:?}",
            found.notes
        );
    }
    let found = header(&source.clone().with_claimed(Some(geobox)).with_nodata(Some(65_535.0))).unwrap();
    assert_eq!(found.nodata, Some(0.0));
    assert!(found.notes.len() == 1 && found.notes[0].contains("65535"), "{:?}", found.notes);
    assert_eq!((found.dtype, found.bands, found.format.as_str(), found.masked), (DType::UInt16, 1, "GTiff", false));
    assert_eq!(found.bytes, Some(std::fs::metadata(folder.path().join("a.tif")).unwrap().len()));
}

#[test]
fn the_claimed_nodata_counts_where_the_file_is_silent() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 4, 1);
    let source = cog(&folder.path().join("a.tif"), &geobox, None, &[0_u16, 5, 0, 7]);
    let (source, found) = opened(source.with_nodata(Some(0.0)));
    assert_eq!(read(&source, &found, &geobox, Resampling::Nearest).unwrap().valid, [0, 1, 0, 1]);
}

#[test]
fn the_centre_of_a_chip_is_in_degrees() {
    let (longitude, latitude) = centre_lon_lat(&grid(32633, 499_000.0, 5_001_000.0, 10.0, 200, 200)).unwrap();
    assert!((longitude - 15.0).abs() < 1e-6 && (45.1..45.2).contains(&latitude), "{longitude} {latitude}");
}
