//! The scene of the benchmark: granules of two UTM zones over one target grid.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{BandSpec, CogSpec, CogWriter, DType, Sample, centre_lon_lat, transform_bounds};

/// Bands and their resolution in metres.
pub(crate) const BANDS: [(&str, f64); 11] = [
    ("B02", 10.0),
    ("B03", 10.0),
    ("B04", 10.0),
    ("B05", 20.0),
    ("B06", 20.0),
    ("B07", 20.0),
    ("B08", 10.0),
    ("B8A", 20.0),
    ("B11", 20.0),
    ("B12", 20.0),
    ("SCL", 20.0),
];
const DATES: [&str; 3] = ["2021-05-02T10:00:00+00:00", "2021-06-11T10:00:00+00:00", "2021-07-21T10:00:00+00:00"];

/// The target grid: zone 33, near its border with zone 34.
pub(crate) fn target(side: usize) -> GeoBox {
    GeoBox::new(Crs::epsg(32633), Affine::north_up(722_000.0, 5_110_000.0, 10.0), side, side).unwrap()
}

/// Writes the granules and a description of them; returns the description's path.
pub(crate) fn write(folder: &Path, side: usize) -> PathBuf {
    let target = target(side);
    let [west, south, east, north] = target.bounds();
    let (edge, begin) = (west + (east - west) * 0.64, west + (east - west) * 0.54);
    let other = transform_bounds(&target.crs, [begin, south, east, north], &Crs::epsg(32634)).unwrap();
    let zones = [(32633, [west - 200.0, south - 200.0, edge, north + 200.0]), (32634, other)];
    let mut granules = Vec::new();
    for (date, datetime) in DATES.iter().enumerate() {
        for (epsg, bounds) in zones {
            let id = format!("S2_{epsg}_{date}");
            let mut assets = serde_json::Map::new();
            let mut centre = (0.0, 0.0);
            for (at, (band, resolution)) in BANDS.iter().enumerate() {
                // Granules begin on the 20 m grid, as Sentinel-2's do.
                let coarse = GeoBox::covering(Crs::epsg(epsg), bounds, 20.0, (0.0, 0.0)).unwrap();
                let geobox = if *resolution < 20.0 { coarse.finer(2).unwrap() } else { coarse };
                centre = centre_lon_lat(&geobox).unwrap();
                let path = folder.join(format!("{id}_{band}.tif"));
                let seed = (date * 100 + at) as u64;
                let dtype = if *band == "SCL" {
                    granule::<u8>(&path, &geobox, |x, y| (4 + field(x, y, seed) % 3) as u8);
                    DType::UInt8
                } else {
                    granule::<u16>(&path, &geobox, |x, y| {
                        (800 + field(x, y, seed) % 3000 + hash(x as u64, y as u64, seed) % 90) as u16
                    });
                    DType::UInt16
                };
                let transform: [f64; 6] = geobox.transform.into();
                assets.insert((*band).into(), json!({"href": path, "shape": [geobox.height, geobox.width], "transform": transform, "dtype": dtype.name()}));
            }
            granules.push(
                json!({"id": id, "epsg": epsg, "datetime": datetime, "centre": [centre.0, centre.1], "assets": assets}),
            );
        }
    }
    let transform: [f64; 6] = target.transform.into();
    let names: Vec<_> = BANDS.iter().map(|(name, _)| name).collect();
    let scene: Value = json!({"granules": granules, "bands": names, "target": {"epsg": 32633, "transform": transform, "width": side, "height": side}});
    let path = folder.join("scene.json");
    std::fs::write(&path, serde_json::to_vec(&scene).unwrap()).unwrap();
    path
}

fn granule<T: Sample>(path: &Path, geobox: &GeoBox, pixel: impl Fn(usize, usize) -> T) {
    let spec = CogSpec::values(geobox.clone(), T::DTYPE, vec![BandSpec::named("band")], Some(0.0));
    let mut writer = CogWriter::create(path, spec).unwrap();
    for y in 0..geobox.height {
        let row: Vec<T> = (0..geobox.width).map(|x| pixel(x, y)).collect();
        writer.write_rows(y, &row).unwrap();
    }
    writer.finish().unwrap();
}

/// A value per field of 40 pixels a side.
fn field(x: usize, y: usize, seed: u64) -> u64 {
    hash(x as u64 / 40, y as u64 / 40, seed ^ 0xf1e1d)
}

fn hash(x: u64, y: u64, seed: u64) -> u64 {
    let mut z = x.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ y.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ seed.wrapping_mul(0x1656_67b1_9e37_79f9);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
