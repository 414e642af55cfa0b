//! A look at a few pixels of a source, for decisions about its radiometry.

use serde::Serialize;

use crate::pixels::{Level, Rect};
use crate::pool;
use crate::{Header, Result, Source};

/// Pixels a side that are looked at at most.
const SIDE: usize = 512;

/// What a sample of the valid pixels of a source holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PixelStatistics {
    /// Number of valid pixels looked at.
    pub count: usize,
    /// Number of pixels looked at.
    pub pixels: usize,
    /// Bytes of pixels read, before compression.
    pub bytes: u64,
    /// Least value.
    pub minimum: f64,
    /// One hundredth of the valid pixels is darker.
    pub p01: f64,
    /// One twentieth is darker.
    pub p05: f64,
    /// The median.
    pub p50: f64,
    /// 99 hundredths are darker.
    pub p99: f64,
    /// Greatest value.
    pub maximum: f64,
    /// Share of valid pixels that are exactly 0.
    pub zeros: f64,
    /// Share of valid pixels below 0.
    pub negatives: f64,
    /// Whether all values are whole numbers.
    pub integers: bool,
}

/// Reads one window of at most 512 x 512 pixels from an overview and sorts it.
///
/// The overview is the finest that fits into the window whole, else the coarsest, from whose middle the
/// window is taken. `None` where no pixel of the window is valid.
///
/// # Errors
/// A file that cannot be opened or read.
pub fn pixel_statistics(source: &Source, header: &Header) -> Result<Option<PixelStatistics>> {
    let lease = pool::open(source)?;
    let whole = (header.width, header.height);
    let levels = || {
        std::iter::once((None, whole)).chain(header.overviews.iter().enumerate().map(|(at, size)| (Some(at), *size)))
    };
    let fits = |&(_, (width, height)): &(Option<usize>, (usize, usize))| width <= SIDE && height <= SIDE;
    let chosen = levels().find(fits).or_else(|| levels().min_by_key(|(_, (width, height))| width * height));
    let level = Level::open(&lease, source, header, chosen.and_then(|(at, _)| at))?;
    let (width, height) = (level.width.min(SIDE), level.height.min(SIDE));
    let rect = Rect { x: (level.width - width) / 2, y: (level.height - height) / 2, width, height };
    let patch = match level.read::<f64>(rect) {
        Ok(patch) => patch,
        Err(error) => return Err(lease.failed(source, error)),
    };
    let valid = |at: usize| patch.valid.as_ref().is_none_or(|valid| valid[at] != 0);
    let mut values: Vec<f64> =
        patch.values.iter().enumerate().filter(|(at, _)| valid(*at)).map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let (Some(&minimum), Some(&maximum)) = (values.first(), values.last()) else { return Ok(None) };
    let count = values.len();
    // The nearest rank: a value that occurs.
    let percentile = |share: f64| values[((share * count as f64).ceil() as usize).clamp(1, count) - 1];
    let share = |test: &dyn Fn(f64) -> bool| values.iter().filter(|&&value| test(value)).count() as f64 / count as f64;
    Ok(Some(PixelStatistics {
        count,
        pixels: rect.area(),
        bytes: (rect.area() * header.dtype.bytes()) as u64,
        minimum,
        p01: percentile(0.01),
        p05: percentile(0.05),
        p50: percentile(0.5),
        p99: percentile(0.99),
        maximum,
        zeros: share(&|value| value == 0.0),
        negatives: share(&|value| value < 0.0),
        integers: values.iter().all(|value| value.fract() == 0.0),
    }))
}
