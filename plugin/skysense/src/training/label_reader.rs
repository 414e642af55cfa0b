//! Labels on the grid of a chip.

use skysense_abi::NodeError;
use skysense_contract::Class;
use skysense_grid::{GeoBox, Window};
use skysense_raster::{self as raster, Header, Resampling, Source, transform_bounds};

use super::labels::LabelSource;
use crate::signing::Signing;

/// Opened labels.
pub(crate) struct LabelReader {
    signing: Signing,
    open: Vec<(LabelSource, Source, Header)>,
    /// Values that are classes.
    known: [bool; 256],
    /// Value of pixels that are not to be learned from: one that no class has.
    ignored: u8,
}

/// A value that no class has.
///
/// # Errors
/// In words: all values of a byte are classes.
pub(crate) fn unused(classes: &[Class]) -> Result<u8, String> {
    let free = (0..=255_u8).rev().find(|value| classes.iter().all(|class| class.value != *value));
    free.ok_or_else(|| "all 256 values of a byte are classes: none is left for pixels without a label".to_owned())
}

impl LabelReader {
    /// Opens the labels.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub(crate) fn open(sources: &[LabelSource], classes: &[Class]) -> Result<Self, NodeError> {
        let ignored = unused(classes).map_err(|message| NodeError::new("label.classes", message))?;
        let mut known = [false; 256];
        for class in classes {
            known[usize::from(class.value)] = true;
        }
        let signing = Signing::default();
        let mut open = Vec::with_capacity(sources.len());
        for label in sources {
            let source = Source::new(format!("item {}, asset {}", label.item, label.asset), &label.href)
                .with_nodata(label.nodata)
                .in_any_format(label.any_format)
                .with_subdataset(label.subdataset.clone());
            let header = signing.read(&label.root, &source, raster::header).map_err(|error| at(label, error))?;
            open.push((label.clone(), source, header));
        }
        Ok(Self { signing, open, known, ignored })
    }

    /// Whether any label touches the grid.
    pub(crate) fn touches(&self, grid: &GeoBox) -> bool {
        let [west, south, east, north] = grid.bounds();
        self.open.iter().any(|(_, _, header)| {
            let bounds = transform_bounds(header.crs(), header.bounds(), &grid.crs);
            bounds.is_ok_and(|b| b[0] < east && b[2] > west && b[1] < north && b[3] > south)
        })
    }

    /// Value of pixels that are not to be learned from.
    pub(crate) fn ignored(&self) -> u8 {
        self.ignored
    }

    /// The value of each pixel, `[height, width]`, not a number where there is none: the mean of what lies under it, so that
    /// finer rasters are not read at single points. Where items overlap the first one that has a value wins.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn values(&self, grid: &GeoBox, window: &Window) -> Result<Vec<f32>, NodeError> {
        let dst = grid.window(window).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
        let mut out = vec![f32::NAN; window.area()];
        for (label, source, header) in &self.open {
            if out.iter().all(|value| !value.is_nan()) {
                break;
            }
            let read = |signed: &Source| raster::read(signed, header, &dst, Resampling::Average);
            let pixels = self.signing.read(&label.root, source, read).map_err(|error| at(label, error))?;
            for ((out, &value), &valid) in out.iter_mut().zip(&pixels.values).zip(&pixels.valid) {
                if out.is_nan() && valid != 0 && value.is_finite() {
                    *out = value as f32;
                }
            }
        }
        outside(grid, window, &mut out, f32::NAN);
        Ok(out)
    }

    /// The class value of each pixel, `[height, width]`; [`LabelReader::ignored`] where there is no label.
    /// Labels are taken from the nearest pixel; where items overlap the first one that has a label wins.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(&self, grid: &GeoBox, window: &Window) -> Result<Vec<u8>, NodeError> {
        let dst = grid.window(window).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
        let mut out = vec![self.ignored; window.area()];
        for (label, source, header) in &self.open {
            if out.iter().all(|&value| value != self.ignored) {
                break;
            }
            let pixels = self
                .signing
                .read(&label.root, source, |signed| raster::read(signed, header, &dst, Resampling::Nearest))
                .map_err(|error| at(label, error))?;
            for ((out, &value), &valid) in out.iter_mut().zip(&pixels.values).zip(&pixels.valid) {
                if *out == self.ignored && valid != 0 && value.fract() == 0.0 && (0.0..256.0).contains(&value) {
                    let value = value as u8;
                    *out = if self.known[usize::from(value)] { value } else { self.ignored };
                }
            }
        }
        outside(grid, window, &mut out, self.ignored);
        Ok(out)
    }
}

/// Padding of an area smaller than a chip is not learned from.
fn outside<T: Copy>(grid: &GeoBox, window: &Window, values: &mut [T], none: T) {
    for (at, value) in values.iter_mut().enumerate() {
        let (x, y) = (window.x + (at % window.width) as i64, window.y + (at / window.width) as i64);
        if x >= grid.width as i64 || y >= grid.height as i64 {
            *value = none;
        }
    }
}

fn at(label: &LabelSource, error: NodeError) -> NodeError {
    error.at("item", &label.item).at("asset", &label.asset)
}
