//! Filling a grid from a source.

use skysense_grid::GeoBox;

use crate::mapping::Mapping;
use crate::pixels::{Level, Rect};
use crate::pool::{self, Lease};
use crate::resample;
use crate::{Georeference, Header, Pixels, Result, Sample, Source, crs};

/// How values between and among the pixels of a source are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resampling {
    /// The pixel under the centre, never from an overview: for classes and masks.
    Nearest,
    /// Linear between four pixels; where the grid is coarser, a triangle as wide as its pixel.
    Bilinear,
    /// Cubic convolution (a = -0.5) over 16 pixels; where the grid is coarser, widened likewise.
    Cubic,
    /// The mean of the pixels under the grid's pixel, each by the area that it shares.
    Average,
}

/// A change of values before they are resampled, such as decibel to linear power.
pub type Before<'a> = &'a (dyn Fn(f64) -> f64 + Sync);

/// Parts of a hundredth of a pixel do not make a grid another one.
const ALIGNED: f64 = 0.01;

/// Fills `dst` from a source as 32-bit floats.
///
/// Where both grids coincide the pixels are copied; where the grid is coarser, the best overview is
/// read; else values are resampled through the projection, which is followed to a hundredth of a pixel.
/// Invalid pixels never take part in a value. A pixel is valid where the source pixel under its centre
/// is; where the grid is coarser than the source, where at least half of the weight is.
///
/// # Errors
/// A file that cannot be opened or read, a reference system that is not known.
pub fn read(source: &Source, header: &Header, dst: &GeoBox, resampling: Resampling) -> Result<Pixels<f32>> {
    fill(source, header, dst, resampling, None)
}

/// As [`read`], with a change of values before they are resampled; what is not finite then is invalid.
///
/// Radar is averaged as linear power: `read_changed(.., &|db| 10f64.powf(db / 10.0))`.
///
/// # Errors
/// As [`read`].
pub fn read_changed(
    source: &Source,
    header: &Header,
    dst: &GeoBox,
    resampling: Resampling,
    before: Before<'_>,
) -> Result<Pixels<f32>> {
    fill(source, header, dst, resampling, Some(before))
}

/// As [`read`] in the type of the file or a wider one; resampled values are rounded.
///
/// # Errors
/// As [`read`], and an integer type that cannot hold the values of the file.
pub fn read_typed<T: Sample>(
    source: &Source,
    header: &Header,
    dst: &GeoBox,
    resampling: Resampling,
) -> Result<Pixels<T>> {
    fill(source, header, dst, resampling, None)
}

fn fill<T: Sample>(
    source: &Source,
    header: &Header,
    dst: &GeoBox,
    resampling: Resampling,
    before: Option<Before<'_>>,
) -> Result<Pixels<T>> {
    let lease = pool::open(source)?;
    fill_from(&lease, source, header, dst, resampling, before).map_err(|error| lease.failed(source, error))
}

fn fill_from<T: Sample>(
    lease: &Lease,
    source: &Source,
    header: &Header,
    dst: &GeoBox,
    resampling: Resampling,
    before: Option<Before<'_>>,
) -> Result<Pixels<T>> {
    if let Some((x, y)) = offset(header, dst)? {
        let level = Level::open(lease, source, header, None)?;
        return copy(&level, dst, x, y, before);
    }
    let mapping = Mapping::new(lease, source, header, dst)?;
    let overview = if resampling == Resampling::Nearest { None } else { overview(header, mapping.coarseness()) };
    let level = Level::open(lease, source, header, overview)?;
    resample::resample(&level, &mapping, dst, resampling, before)
}

/// The pixel of the source where the grid begins, if both grids coincide.
fn offset(header: &Header, dst: &GeoBox) -> Result<Option<(i64, i64)>> {
    let Georeference::Grid(grid) = &header.georeference else { return Ok(None) };
    if !crs::same(&grid.crs, &dst.crs)? {
        return Ok(None);
    }
    let inverse = grid.transform.inverse()?;
    let pixel = |column: f64, row: f64| {
        let (x, y) = dst.transform.apply(column, row);
        inverse.apply(x, y)
    };
    let (x, y) = pixel(0.0, 0.0);
    let (x, y) = (x.round(), y.round());
    // The far corner of the larger grid shows the drift that any window of either may have.
    let (columns, rows) = (grid.width.max(dst.width) as f64, grid.height.max(dst.height) as f64);
    let near = [(0.0, 0.0), (columns, 0.0), (0.0, rows), (columns, rows)].iter().all(|&(column, row)| {
        let (px, py) = pixel(column, row);
        (px - x - column).abs() < ALIGNED && (py - y - row).abs() < ALIGNED
    });
    Ok((near && x.abs() < 1e12 && y.abs() < 1e12).then_some((x as i64, y as i64)))
}

fn copy<T: Sample>(level: &Level<'_>, dst: &GeoBox, x: i64, y: i64, before: Option<Before<'_>>) -> Result<Pixels<T>> {
    let mut out = Pixels::invalid(dst.width, dst.height);
    let window = skysense_grid::Window { x, y, width: dst.width, height: dst.height };
    let Some(inside) = window.intersection(&skysense_grid::Window::full(level.width, level.height)) else {
        return Ok(out);
    };
    let rect = Rect { x: inside.x as usize, y: inside.y as usize, width: inside.width, height: inside.height };
    let mut patch = level.read::<T>(rect)?;
    if let Some(before) = before {
        patch.change(before);
    }
    if let Some(valid) = &patch.valid {
        for (value, _) in patch.values.iter_mut().zip(valid).filter(|(_, valid)| **valid == 0) {
            *value = T::default();
        }
    }
    if inside == window {
        out.valid = patch.valid.unwrap_or_else(|| vec![1; patch.values.len()]);
        out.values = patch.values;
        return Ok(out);
    }
    for row in 0..rect.height {
        let to = (inside.y - y) as usize * dst.width + row * dst.width + (inside.x - x) as usize;
        let from = row * rect.width;
        out.values[to..to + rect.width].copy_from_slice(&patch.values[from..from + rect.width]);
        match &patch.valid {
            Some(valid) => out.valid[to..to + rect.width].copy_from_slice(&valid[from..from + rect.width]),
            None => out.valid[to..to + rect.width].fill(1),
        }
    }
    Ok(out)
}

/// The coarsest overview that is still as fine as the grid.
fn overview(header: &Header, coarseness: f64) -> Option<usize> {
    let factor = |&(width, height): &(usize, usize)| {
        (header.width as f64 / width.max(1) as f64).max(header.height as f64 / height.max(1) as f64)
    };
    // One hundredth of slack: the size of an overview is rounded, and so is a projection.
    let fine = |&(_, level): &(usize, f64)| level <= coarseness * 1.01;
    header.overviews.iter().map(factor).enumerate().filter(fine).max_by(|a, b| a.1.total_cmp(&b.1)).map(|found| found.0)
}
