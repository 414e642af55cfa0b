//! Reads through a projection, held to gdalwarp without its approximation.

use skysense_grid::{Affine, Crs, GeoBox, Window};
use skysense_raster::{Resampling, read, transform_point};
use tempfile::tempdir;

use crate::support::{cog, grid, noise, opened};

/// Near the border of zones 33 and 34.
fn zone_33() -> GeoBox {
    grid(32633, 730_000.0, 5_100_000.0, 10.0, 400, 380)
}

fn zone_34() -> GeoBox {
    let (x, y) = transform_point(&Crs::epsg(32633), (731_000.0, 5_099_000.0), &Crs::epsg(32634)).unwrap();
    grid(32634, (x / 10.0).round() * 10.0, (y / 10.0).round() * 10.0, 10.0, 220, 230)
}

#[test]
fn any_window_of_a_grid_gives_the_same_pixels() {
    let folder = tempdir().unwrap();
    let values: Vec<u16> = noise(400 * 380, 10_000).into_iter().map(|value| value as u16).collect();
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &zone_33(), Some(0.0), &values));
    let to = zone_34();
    for resampling in [Resampling::Nearest, Resampling::Bilinear, Resampling::Cubic, Resampling::Average] {
        let whole = read(&source, &header, &to, resampling).unwrap();
        for window in [
            Window { x: 0, y: 0, width: 32, height: 32 },
            Window { x: 57, y: 101, width: 100, height: 3 },
            Window { x: 33, y: 65, width: 64, height: 64 },
        ] {
            let part = read(&source, &header, &to.window(&window).unwrap(), resampling).unwrap();
            for row in 0..window.height {
                let from = (window.y as usize + row) * to.width + window.x as usize;
                assert_eq!(
                    part.values[row * window.width..][..window.width],
                    whole.values[from..][..window.width],
                    "{resampling:?}"
                );
                assert_eq!(part.valid[row * window.width..][..window.width], whole.valid[from..][..window.width]);
            }
        }
    }
}

#[test]
fn a_source_across_the_antimeridian_is_whole() {
    let folder = tempdir().unwrap();
    // Longitudes 179.5 to 180.5; the value is the column.
    let geobox = GeoBox::new(Crs::epsg(4326), Affine::north_up(179.5, -16.5, 0.001), 1000, 300).unwrap();
    let values: Vec<f32> = (0..300_000).map(|at| (at % 1000) as f32).collect();
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &geobox, None, &values));
    for zone in [32760, 32701] {
        let (x, y) = transform_point(&Crs::lon_lat(), (180.0, -16.6), &Crs::epsg(zone)).unwrap();
        let to = grid(zone, x - 5000.0, y, 50.0, 200, 20);
        let found = read(&source, &header, &to, Resampling::Bilinear).unwrap();
        assert_eq!(found.valid_share(), 1.0, "EPSG:{zone}");
        for column in 0..200 {
            let place = to.transform.apply(column as f64 + 0.5, 10.5);
            let (longitude, _) = transform_point(&to.crs, place, &Crs::lon_lat()).unwrap();
            let wanted = (longitude.rem_euclid(360.0) - 179.5) / 0.001 - 0.5;
            let value = f64::from(found.values[10 * 200 + column]);
            assert!((value - wanted).abs() < 0.02, "EPSG:{zone} column {column}: {value} {wanted}");
        }
    }
}

#[test]
fn places_beyond_a_projection_are_invalid() {
    let folder = tempdir().unwrap();
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &zone_33(), None, &vec![1_u8; 400 * 380]));
    let globe = GeoBox::new(Crs::epsg(4326), Affine::north_up(-180.0, 90.0, 1.0), 360, 180).unwrap();
    let found = read(&source, &header, &globe, Resampling::Nearest).unwrap();
    assert!(found.valid_share() <= 1.0 / 64_800.0, "the source is smaller than a pixel");
    let away = read(&source, &header, &grid(32601, 500_000.0, 0.0, 10.0, 64, 64), Resampling::Cubic).unwrap();
    assert_eq!(away.valid_share(), 0.0);
}
