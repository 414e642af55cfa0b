//! Pixels on a grid, and windows of a file on the way there.

use gdal::raster::RasterBand;
use gdal_sys::GDALRWFlag::GF_Read;

use crate::messages::capture;
use crate::pool::Lease;
use crate::{DType, Header, RasterError, Result, Sample, Source};

/// Values on a grid, row by row from its first pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels<T = f32> {
    /// `[height, width]`; 0 where invalid.
    pub values: Vec<T>,
    /// `[height, width]`: 1 where the value was measured, 0 where it is nodata, masked or outside the source.
    pub valid: Vec<u8>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl<T: Sample> Pixels<T> {
    /// A grid without any valid pixel.
    pub fn invalid(width: usize, height: usize) -> Self {
        Self { values: vec![T::default(); width * height], valid: vec![0; width * height], width, height }
    }

    /// The share of valid pixels, 0 to 1.
    pub fn valid_share(&self) -> f64 {
        self.valid.iter().filter(|&&valid| valid != 0).count() as f64 / self.valid.len().max(1) as f64
    }
}

/// The pixels `x..x + width`, `y..y + height` of one level of a band; wholly inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Rect {
    pub(crate) fn area(&self) -> usize {
        self.width * self.height
    }

    /// The smallest rectangle that holds both.
    pub(crate) fn around(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self { x, y, width: right - x, height: bottom - y }
    }
}

/// Whether the pixels of a rectangle were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    All,
    Some,
    None,
}

/// A window of a band in memory.
#[derive(Debug)]
pub(crate) struct Patch<T> {
    pub(crate) rect: Rect,
    /// `[height, width]`.
    pub(crate) values: Vec<T>,
    /// `[height, width]`, or `None` where all are valid.
    pub(crate) valid: Option<Vec<u8>>,
}

impl<T: Sample> Patch<T> {
    /// The place of a pixel of the level in `values`.
    #[inline]
    pub(crate) fn place(&self, x: usize, y: usize) -> usize {
        (y - self.rect.y) * self.rect.width + x - self.rect.x
    }

    /// Whether the pixels of a rectangle inside the patch were measured.
    pub(crate) fn measured(&self, rect: Rect) -> Measured {
        let Some(valid) = &self.valid else { return Measured::All };
        let rows = (rect.y..rect.y + rect.height).map(|y| &valid[self.place(rect.x, y)..][..rect.width]);
        let (mut all, mut any) = (1, 0);
        for row in rows {
            (all, any) = row.iter().fold((all, any), |(all, any), &valid| (all & valid, any | valid));
            if all == 0 && any != 0 {
                return Measured::Some;
            }
        }
        if all != 0 { Measured::All } else { Measured::None }
    }

    /// Applies `change` to each valid value; what is not finite afterwards is invalid.
    pub(crate) fn change(&mut self, change: &(dyn Fn(f64) -> f64 + Sync)) {
        for at in 0..self.values.len() {
            if self.valid.as_ref().is_none_or(|valid| valid[at] != 0) {
                let value = T::from_f64(change(self.values[at].to_f64()));
                if value.is_finite() {
                    self.values[at] = value;
                } else {
                    self.valid.get_or_insert_with(|| vec![1; self.values.len()])[at] = 0;
                }
            }
        }
    }
}

/// A band of an open file at one level: the file itself, or one of its overviews.
pub(crate) struct Level<'a> {
    pub(crate) source: &'a Source,
    pub(crate) header: &'a Header,
    band: RasterBand<'a>,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl<'a> Level<'a> {
    /// The file itself for `None`, else the overview of that number.
    pub(crate) fn open(
        lease: &'a Lease,
        source: &'a Source,
        header: &'a Header,
        overview: Option<usize>,
    ) -> Result<Self> {
        let (band, messages) = capture(|| {
            let band = lease.dataset().rasterband(source.band)?;
            overview.map_or(Ok(band), |at| lease.dataset().rasterband(source.band)?.overview(at))
        });
        let call = "GDALGetRasterBand";
        let band = band.map_err(|_| RasterError::Gdal {
            call,
            message: format!("{}: {}: {}", source.name, source.shown(), messages.text()),
        })?;
        let (width, height) = band.size();
        Ok(Self { source, header, band, width, height })
    }

    /// Reads a window and finds its valid pixels.
    pub(crate) fn read<T: Sample>(&self, rect: Rect) -> Result<Patch<T>> {
        let dtype = self.header.dtype;
        let wanted = || RasterError::DType {
            name: self.source.name.clone(),
            dtype: dtype.to_string(),
            wanted: T::DTYPE.to_string(),
        };
        let (values, valid) = if dtype.fits(T::DTYPE) {
            let values = self.raw::<T>(&self.band, rect)?;
            let valid = judge(&values, dtype, self.header.nodata);
            (values, valid)
        } else if T::DTYPE.is_float() {
            // Nodata is looked for before digits are lost.
            let wide = self.raw::<f64>(&self.band, rect)?;
            let valid = judge(&wide, dtype, self.header.nodata);
            (wide.into_iter().map(T::from_f64).collect(), valid)
        } else {
            return Err(wanted());
        };
        let mut patch = Patch { rect, values, valid };
        if self.header.masked {
            self.mask(&mut patch)?;
        }
        Ok(patch)
    }

    fn mask<T: Sample>(&self, patch: &mut Patch<T>) -> Result<()> {
        let (mask, messages) = capture(|| self.band.open_mask_band());
        let mask = mask.map_err(|_| self.fault(patch.rect, messages.text()))?;
        let mask = self.raw::<u8>(&mask, patch.rect)?;
        if mask.iter().all(|&inside| inside != 0) {
            return Ok(());
        }
        let valid = patch.valid.get_or_insert_with(|| vec![1; mask.len()]);
        for (valid, inside) in valid.iter_mut().zip(mask) {
            *valid &= u8::from(inside != 0);
        }
        Ok(())
    }

    fn raw<T: Sample>(&self, band: &RasterBand<'_>, rect: Rect) -> Result<Vec<T>> {
        let mut values = vec![T::default(); rect.area()];
        let side =
            |length: usize| i32::try_from(length).map_err(|_| self.fault(rect, "the window is too large".into()));
        let (x, y, width, height) = (side(rect.x)?, side(rect.y)?, side(rect.width)?, side(rect.height)?);
        // SAFETY: `values` holds width x height pixels of the type that is named, without gaps, and lives
        // through the call; the band belongs to a dataset that is leased to this thread alone.
        let (code, messages) = capture(|| unsafe {
            gdal_sys::GDALRasterIOEx(
                band.c_rasterband(),
                GF_Read,
                x,
                y,
                width,
                height,
                values.as_mut_ptr().cast(),
                width,
                height,
                T::DTYPE.to_gdal(),
                0,
                0,
                std::ptr::null_mut(),
            )
        });
        // Decoders report some truncated blocks as an error and go on: that is a failure too.
        if code != gdal_sys::CPLErr::CE_None || messages.failed() {
            Err(self.fault(rect, messages.text()))
        } else {
            Ok(values)
        }
    }

    fn fault(&self, rect: Rect, message: String) -> RasterError {
        RasterError::Read {
            name: self.source.name.clone(),
            href: self.source.shown(),
            x: rect.x,
            y: rect.y,
            right: rect.x + rect.width,
            bottom: rect.y + rect.height,
            message,
        }
    }
}

/// Which values are measured: neither nodata nor, in floats, NaN or infinite. `None` where all are.
fn judge<T: Sample>(values: &[T], dtype: DType, nodata: Option<f64>) -> Option<Vec<u8>> {
    let nodata = nodata.and_then(|nodata| held::<T>(nodata, dtype));
    // Each of the loops is one comparison per pixel without a branch, which the compiler does many at a time.
    match (nodata, dtype.is_float()) {
        (None, false) => None,
        (Some(nodata), false) => mark(values, |value| value != nodata),
        (None, true) => mark(values, |value| value.is_finite()),
        (Some(nodata), true) => mark(values, |value| value.is_finite() & (value != nodata)),
    }
}

fn mark<T: Sample>(values: &[T], measured: impl Fn(T) -> bool) -> Option<Vec<u8>> {
    let whole = |part: &[T]| part.iter().fold(true, |all, &value| all & measured(value));
    if values.chunks(4096).all(whole) {
        return None;
    }
    Some(values.iter().map(|&value| u8::from(measured(value))).collect())
}

/// A nodata value as the pixels hold it; `None` where no pixel can hold it (300 in bytes).
fn held<T: Sample>(nodata: f64, dtype: DType) -> Option<T> {
    match dtype.range() {
        Some((low, high)) => ((low..=high).contains(&nodata) && nodata.fract() == 0.0).then(|| T::from_f64(nodata)),
        // A 32-bit file stores the nearest 32-bit value of -3.4028234663852886e+38 and the like.
        None if dtype == DType::Float32 => Some(T::from_f64(f64::from(nodata as f32))),
        None => Some(T::from_f64(nodata)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodata_is_judged_in_the_type_of_the_file() {
        assert_eq!(judge(&[0_u8, 44, 255], DType::UInt8, Some(300.0)), None);
        assert_eq!(judge(&[0_u8, 44, 255], DType::UInt8, Some(255.0)), Some(vec![1, 1, 0]));
        assert_eq!(judge(&[1.0_f32, f32::NAN, f32::INFINITY], DType::Float32, None), Some(vec![1, 0, 0]));
        assert_eq!(judge(&[f32::MIN, 0.0], DType::Float32, Some(-3.402823466e38)), Some(vec![0, 1]));
        assert_eq!(judge(&[1_u16, 2], DType::UInt16, Some(0.0)), None);
    }

    #[test]
    fn a_change_that_leaves_no_number_invalidates() {
        let rect = Rect { x: 0, y: 0, width: 2, height: 1 };
        let mut patch = Patch { rect, values: vec![0.0_f32, 1.0], valid: None };
        patch.change(&|value| value.log10());
        assert_eq!(patch.valid, Some(vec![0, 1]));
        assert_eq!(patch.values[1], 0.0);
    }
}
