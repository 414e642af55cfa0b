//! Small rasters and GDAL's programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{BandSpec, CogSpec, CogWriter, Content, Header, Resampling, Sample, Source, header};

/// Every way to resample, with GDAL's name for it.
pub(crate) const ALL: [(Resampling, &str); 4] = [
    (Resampling::Nearest, "near"),
    (Resampling::Bilinear, "bilinear"),
    (Resampling::Cubic, "cubic"),
    (Resampling::Average, "average"),
];

/// A north-up grid.
pub(crate) fn grid(epsg: u32, west: f64, north: f64, resolution: f64, width: usize, height: usize) -> GeoBox {
    GeoBox::new(Crs::epsg(epsg), Affine::north_up(west, north, resolution), width, height).unwrap()
}

/// Writes a single-band COG of values.
pub(crate) fn cog<T: Sample>(path: &Path, geobox: &GeoBox, nodata: Option<f64>, values: &[T]) -> Source {
    let spec = CogSpec::values(geobox.clone(), T::DTYPE, vec![BandSpec::named("band")], nodata);
    write(path, spec, values)
}

/// Writes a single-band COG of classes.
pub(crate) fn classes(path: &Path, geobox: &GeoBox, values: &[u8]) -> Source {
    let mut spec = CogSpec::classes(geobox.clone(), BandSpec::named("classes"), Some(255.0));
    spec.content = Content::Classes;
    write(path, spec, values)
}

fn write<T: Sample>(path: &Path, spec: CogSpec, values: &[T]) -> Source {
    let mut writer = CogWriter::create(path, spec).unwrap();
    writer.write_rows(0, values).unwrap();
    writer.finish().unwrap();
    Source::new(format!("item-1 / {}", path.file_stem().unwrap().to_string_lossy()), path.to_string_lossy())
}

/// A source and its header.
pub(crate) fn opened(source: Source) -> (Source, Header) {
    let found = header(&source).unwrap();
    (source, found)
}

/// Whole numbers below `limit` without a pattern (SplitMix64), the same each time.
pub(crate) fn noise(count: usize, limit: u64) -> Vec<u64> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| next() % limit).collect()
}

/// Runs one of GDAL's programs and returns what it prints.
pub(crate) fn gdal(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output
        .unwrap_or_else(|error| panic!("{program}: {error}: these tests need GDAL's programs (package gdal-bin)"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `gdalwarp` makes of a file on a grid, as floats, with NaN where it has no data.
pub(crate) fn gdalwarp(from: &Path, to: &GeoBox, resampling: &str, more: &[&str]) -> Vec<f32> {
    let out: PathBuf = from.with_extension(format!("{resampling}.warped.tif"));
    let [west, south, east, north] = to.bounds().map(|bound| format!("{bound:.9}"));
    let (width, height) = (to.width.to_string(), to.height.to_string());
    let crs = to.crs.to_string();
    let mut arguments =
        vec!["-q", "-overwrite", "-ot", "Float32", "-dstnodata", "nan", "-et", "0", "-r", resampling, "-t_srs", &crs];
    arguments.extend(["-te", &west, &south, &east, &north, "-ts", &width, &height]);
    arguments.extend(more);
    let (from, to_path) = (from.to_string_lossy(), out.to_string_lossy());
    arguments.extend([from.as_ref(), to_path.as_ref()]);
    gdal("gdalwarp", &arguments);
    let dataset = gdal::Dataset::open(&out).unwrap();
    let band = dataset.rasterband(1).unwrap();
    band.read_band_as::<f32>().unwrap().data().to_vec()
}
