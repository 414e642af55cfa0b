//! Reads on the source's own grid, and on coarser and finer ones of the same system.

use skysense_grid::{GeoBox, Window};
use skysense_raster::{Pixels, Resampling, read, read_changed, read_typed};
use tempfile::tempdir;

use crate::support::{ALL, classes, cog, gdalwarp, grid, noise, opened};

fn u16s(count: usize) -> Vec<u16> {
    noise(count, 10_000).into_iter().map(|value| value as u16 + 1).collect()
}

fn part(geobox: &GeoBox, x: i64, y: i64, width: usize, height: usize) -> GeoBox {
    geobox.window(&Window { x, y, width, height }).unwrap()
}

#[test]
fn aligned_windows_are_copied_and_the_outside_is_invalid() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 300, 200);
    let mut values = u16s(300 * 200);
    values[5 * 300 + 7] = 0;
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &geobox, Some(0.0), &values));
    assert_eq!(header.geobox(), Some(&geobox));
    let found: Pixels<u16> = read_typed(&source, &header, &part(&geobox, 4, 3, 64, 32), Resampling::Bilinear).unwrap();
    for y in 0..32 {
        for x in 0..64 {
            let wanted = values[(y + 3) * 300 + x + 4];
            let at = y * 64 + x;
            assert_eq!((found.values[at], found.valid[at]), (wanted, u8::from(wanted != 0)));
        }
    }
    let over = read(&source, &header, &part(&geobox, -10, 190, 32, 32), Resampling::Cubic).unwrap();
    for y in 0..32 {
        for x in 0..32 {
            let at = y * 32 + x;
            let inside = x >= 10 && y < 10;
            let wanted = if inside { f32::from(values[(190 + y) * 300 + x - 10]) } else { 0.0 };
            assert_eq!((over.values[at], over.valid[at]), (wanted, u8::from(inside)));
        }
    }
    let away = read(&source, &header, &part(&geobox, 5000, 0, 8, 8), Resampling::Nearest).unwrap();
    assert_eq!(away.valid_share(), 0.0);
}

#[test]
fn a_type_that_is_too_narrow_is_refused() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 8, 8);
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &geobox, None, &u16s(64)));
    let error = read_typed::<i16>(&source, &header, &geobox, Resampling::Nearest).unwrap_err().to_string();
    assert!(error.contains("item-1 / a") && error.contains("uint16") && error.contains("int16"), "{error}");
}

#[test]
fn classes_on_a_finer_grid_are_exact() {
    let folder = tempdir().unwrap();
    let coarse = grid(32633, 500_000.0, 5_000_000.0, 20.0, 150, 130);
    let values: Vec<u8> = noise(150 * 130, 12).into_iter().map(|value| value as u8).collect();
    let (source, header) = opened(classes(&folder.path().join("scl.tif"), &coarse, &values));
    let fine = grid(32633, 500_000.0, 5_000_000.0, 10.0, 300, 260);
    let found: Pixels<u8> = read_typed(&source, &header, &fine, Resampling::Nearest).unwrap();
    for y in 0..260 {
        for x in 0..300 {
            assert_eq!(found.values[y * 300 + x], values[y / 2 * 150 + x / 2]);
        }
    }
    assert_eq!(found.valid_share(), 1.0);
}

#[test]
fn finer_and_coarser_grids_agree_with_gdalwarp() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 20.0, 256, 256);
    let (source, header) = opened(cog(&path, &geobox, Some(0.0), &u16s(256 * 256)));
    assert!(header.overviews.is_empty(), "the oracle must see what we see");
    let finer = grid(32633, 500_200.0, 4_999_800.0, 10.0, 200, 160);
    let coarser = grid(32633, 500_080.0, 4_999_920.0, 80.0, 50, 40);
    let odd = grid(32633, 500_113.0, 4_999_871.0, 47.0, 60, 50);
    for (to, what) in [(&finer, "finer"), (&coarser, "coarser"), (&odd, "odd")] {
        for (resampling, name) in ALL {
            if what == "finer" && name == "average" {
                continue; // GDAL takes whole pixels here, we take shares of their area.
            }
            let ours = read(&source, &header, to, resampling).unwrap();
            let theirs = gdalwarp(&path, to, name, &[]);
            let worst = ours.values.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_eq!(ours.valid_share(), 1.0, "{what} {name}");
            assert!(worst < 1.0, "{what} {name}: {worst}");
        }
    }
}

#[test]
fn radar_is_averaged_as_linear_power() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 4, 4);
    let values: Vec<f32> = (0..16).map(|at| if at % 2 == 0 { 0.0 } else { -20.0 }).collect();
    let (source, header) = opened(cog(&folder.path().join("vv.tif"), &geobox, None, &values));
    let coarse = grid(32633, 500_000.0, 5_000_000.0, 20.0, 2, 2);
    let power = read_changed(&source, &header, &coarse, Resampling::Average, &|db| 10_f64.powf(db / 10.0)).unwrap();
    assert!(power.values.iter().all(|value| (value - 0.505).abs() < 1e-6), "{:?}", power.values);
    let infinite = read_changed(&source, &header, &geobox, Resampling::Average, &|db| db.log10()).unwrap();
    assert_eq!(infinite.valid_share(), 0.0, "log10 of 0 and of a negative number is no value");
}

#[test]
fn overviews_are_read_for_values_and_never_for_classes() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 2048, 1024);
    let values: Vec<u8> = noise(2048 * 1024, 250).into_iter().map(|value| value as u8).collect();
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &geobox, None, &values));
    assert_eq!(header.overviews, [(1024, 512), (512, 256)]);
    let coarse = grid(32633, 500_000.0, 5_000_000.0, 40.0, 512, 256);
    let nearest: Pixels<u8> = read_typed(&source, &header, &coarse, Resampling::Nearest).unwrap();
    for y in 0..256 {
        for x in 0..512 {
            // The centre of a 4 x 4 block is the corner of four pixels; the lower right one is taken.
            assert_eq!(nearest.values[y * 512 + x], values[(4 * y + 2) * 2048 + 4 * x + 2]);
        }
    }
    let average: Pixels<f32> = read(&source, &header, &coarse, Resampling::Average).unwrap();
    let block = |x: usize, y: usize| {
        (0..16).map(|at| f32::from(values[(4 * y + at / 4) * 2048 + 4 * x + at % 4])).sum::<f32>() / 16.0
    };
    let worst = (0..512 * 256).map(|at| (average.values[at] - block(at % 512, at / 512)).abs()).fold(0.0, f32::max);
    assert!(worst <= 1.5, "an overview of an overview, rounded twice: {worst}");
    assert!(average.values.iter().all(|value| value.fract() == 0.0), "values of the overview itself");
}

#[test]
fn threads_read_the_same() {
    let folder = tempdir().unwrap();
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 700, 600);
    let (source, header) = opened(cog(&folder.path().join("a.tif"), &geobox, Some(0.0), &u16s(700 * 600)));
    let to = grid(32634, 40_000.0, 4_999_000.0, 10.0, 300, 300);
    let alone = read(&source, &header, &to, Resampling::Bilinear).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..3).for_each(|_| assert_eq!(read(&source, &header, &to, Resampling::Bilinear).unwrap(), alone))
            });
        }
    });
}

#[test]
fn a_replaced_file_is_opened_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 16, 16);
    let (source, header) = opened(cog(&path, &geobox, None, &[1_u8; 256]));
    assert_eq!(read(&source, &header, &geobox, Resampling::Nearest).unwrap().values[0], 1.0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    cog(&path, &geobox, None, &[2_u8; 256]);
    assert_eq!(read(&source, &header, &geobox, Resampling::Nearest).unwrap().values[0], 2.0);
}
