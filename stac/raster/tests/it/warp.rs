//! Reads through a projection, held to gdalwarp without its approximation.

use skysense_grid::{Affine, Crs, GeoBox, Window};
use skysense_raster::{Resampling, read, transform_point};
use tempfile::tempdir;

use crate::support::{ALL, cog, gdalwarp, grid, noise, opened};

/// Near the border of zones 33 and 34.
fn zone_33() -> GeoBox {
    grid(32633, 730_000.0, 5_100_000.0, 10.0, 400, 380)
}

fn zone_34() -> GeoBox {
    let (x, y) = transform_point(&Crs::epsg(32633), (731_000.0, 5_099_000.0), &Crs::epsg(32634)).unwrap();
    grid(32634, (x / 10.0).round() * 10.0, (y / 10.0).round() * 10.0, 10.0, 220, 230)
}

#[test]
fn projected_reads_agree_with_gdalwarp() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let from = zone_33();
    let wave = |at: usize| ((at % from.width) as f32 / 7.0).sin() * ((at / from.width) as f32 / 9.0).cos();
    let values: Vec<f32> = (0..from.width * from.height).map(|at| 1000.0 + 100.0 * wave(at)).collect();
    let (source, header) = opened(cog(&path, &from, None, &values));
    let fine = zone_34();
    let coarse = GeoBox { transform: fine.transform.scaled(2.3), width: 95, height: 100, ..fine.clone() };
    // A hundredth of a pixel on the steepest slope is 0.25 along both axes. GDAL takes the scale from the extent of what
    // it reads, and what is turned has a greater one; so it is told.
    for (to, what, scale) in [(&fine, "as fine", 1.0), (&coarse, "coarser", 2.3)] {
        let scales = [format!("XSCALE={}", 1.0 / scale), format!("YSCALE={}", 1.0 / scale)];
        for (resampling, name) in ALL {
            if name == "average" && what == "as fine" || name == "near" {
                continue; // GDAL averages whole pixels; the nearest pixel is looked at below.
            }
            let ours = read(&source, &header, to, resampling).unwrap();
            let theirs = gdalwarp(&path, to, name, &["-wo", &scales[0], "-wo", &scales[1]]);
            assert_eq!(ours.valid_share(), 1.0, "{what} {name}");
            let worst = ours.values.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // GDAL averages over the rectangle around a pixel that is turned.
            let bound = if name == "average" { 0.4 } else { 0.25 };
            assert!(worst < bound, "{what} {name}: {worst}");
        }
    }
    let ours = read(&source, &header, &fine, Resampling::Nearest).unwrap();
    let theirs = gdalwarp(&path, &fine, "near", &[]);
    let other = ours.values.iter().zip(&theirs).filter(|(a, b)| a != b).count();
    assert!(other * 50 < theirs.len(), "{other} of {} pixels are others", theirs.len());
}

/// Rows and columns of a grid in which two reads differ: `[west, north, east, south]`, in pixels.
fn differing(a: &skysense_raster::Pixels, b: &skysense_raster::Pixels) -> Option<[usize; 4]> {
    let differs = |at: &usize| a.values[*at].to_bits() != b.values[*at].to_bits() || a.valid[*at] != b.valid[*at];
    (0..a.values.len()).filter(differs).map(|at| (at % a.width, at / a.width)).fold(None, |all, (x, y)| {
        let [w, n, e, s] = all.unwrap_or([x, y, x, y]);
        Some([w.min(x), n.min(y), e.max(x), s.max(y)])
    })
}

#[test]
fn a_missing_pixel_changes_its_neighbours_alone() {
    let folder = tempdir().unwrap();
    let from = zone_33();
    let mut values: Vec<u16> = noise(400 * 380, 10_000).into_iter().map(|value| value as u16 + 1).collect();
    let (source, header) = opened(cog(&folder.path().join("whole.tif"), &from, Some(0.0), &values));
    let gap = (211, 173);
    values[gap.1 * 400 + gap.0] = 0;
    let (gapped, gapped_header) = opened(cog(&folder.path().join("gap.tif"), &from, Some(0.0), &values));
    let place = from.transform.apply(gap.0 as f64 + 0.5, gap.1 as f64 + 0.5);
    let finer = grid(32633, 730_400.0, 5_099_700.0, 5.0, 700, 690);
    let odd = grid(32633, 730_411.0, 5_099_713.0, 23.0, 150, 150);
    for to in [finer, odd, zone_34()] {
        let (x, y) = transform_point(&from.crs, place, &to.crs).unwrap();
        let (x, y) = to.transform.inverse().unwrap().apply(x, y);
        // Cubic kernels reach two pixels of the coarser of both grids, and one more through the turn of the other.
        let reach = 3.0 * (10.0 / to.transform.a).max(1.0) + 1.0;
        for (resampling, name) in ALL {
            let whole = read(&source, &header, &to, resampling).unwrap();
            let with_gap = read(&gapped, &gapped_header, &to, resampling).unwrap();
            assert_eq!(whole.valid_share(), 1.0, "{name}");
            let Some(found) = differing(&whole, &with_gap) else {
                // A centre need not fall on the pixel where the grid is not finer.
                assert!(name == "near" && to.transform.a > 5.0, "{name}");
                continue;
            };
            let [west, north, east, south] = found.map(|edge| edge as f64 + 0.5);
            assert!(
                west > x - reach && east < x + reach && north > y - reach && south < y + reach,
                "{name}: {found:?}"
            );
        }
    }
}

#[test]
fn values_beside_gaps_are_those_of_gdalwarp() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let values: Vec<u16> =
        noise(400 * 380, 10_000).into_iter().map(|value| value.saturating_sub(1000) as u16).collect();
    let (source, header) = opened(cog(&path, &zone_33(), Some(0.0), &values));
    let finer = grid(32633, 730_400.0, 5_099_700.0, 5.0, 300, 290);
    let ours = read(&source, &header, &finer, Resampling::Bilinear).unwrap();
    let theirs = gdalwarp(&path, &finer, "bilinear", &[]);
    let both = || (0..theirs.len()).filter(|&at| ours.valid[at] != 0 && theirs[at].is_finite());
    assert!(ours.valid_share() > 0.85 && ours.valid_share() < 0.95 && both().count() * 10 > theirs.len() * 8);
    let worst = both().map(|at| (ours.values[at] - theirs[at]).abs()).fold(0.0, f32::max);
    assert!(worst < 1.0, "{worst}");
}

#[test]
fn any_window_of_a_grid_gives_the_same_pixels() {
    let folder = tempdir().unwrap();
    let values: Vec<u16> = noise(400 * 380, 10_000).into_iter().map(|value| value as u16).collect();
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &zone_33(), Some(0.0), &values));
    let odd = grid(32633, 730_011.0, 5_099_913.0, 23.0, 180, 170);
    let finer = grid(32633, 731_113.0, 5_098_913.0, 3.0, 180, 170);
    for (to, (resampling, _)) in [zone_34(), odd, finer].iter().flat_map(|to| ALL.map(|resampling| (to, resampling))) {
        let whole = read(&source, &header, to, resampling).unwrap();
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
