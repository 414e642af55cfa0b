//! Labels on the grid of a chip.

use skysense_abi::NodeError;
use skysense_contract::Class;
use skysense_grid::{GeoBox, Window};
use skysense_raster::{self as raster, Header, Resampling, Source, transform_bounds};

use super::labels::LabelSource;
use crate::errors;

/// Place of a pixel that is not to be learned from.
pub(crate) const IGNORED: i64 = -1;

/// Opened labels.
pub(crate) struct LabelReader {
    open: Vec<(LabelSource, Source, Header)>,
    /// Place of each value in the classes.
    places: [i64; 256],
}

impl LabelReader {
    /// Opens the labels.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub(crate) fn open(sources: &[LabelSource], classes: &[Class]) -> Result<Self, NodeError> {
        let mut places = [IGNORED; 256];
        for (place, class) in classes.iter().enumerate() {
            places[usize::from(class.value)] = place as i64;
        }
        let mut open = Vec::with_capacity(sources.len());
        for label in sources {
            let source = Source::new(format!("item {}, asset {}", label.item, label.asset), &label.href)
                .with_nodata(label.nodata);
            let header = raster::header(&source).map_err(|error| at(label, errors::raster(&error)))?;
            open.push((label.clone(), source, header));
        }
        Ok(Self { open, places })
    }

    /// Whether any label touches the grid.
    pub(crate) fn touches(&self, grid: &GeoBox) -> bool {
        let [west, south, east, north] = grid.bounds();
        self.open.iter().any(|(_, _, header)| {
            let bounds = transform_bounds(header.crs(), header.bounds(), &grid.crs);
            bounds.is_ok_and(|b| b[0] < east && b[2] > west && b[1] < north && b[3] > south)
        })
    }

    /// Place of the class of each pixel, `[height, width]`; [`IGNORED`] where there is no label. Labels are
    /// taken from the nearest pixel; where items overlap the first one that has a label wins.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(&self, grid: &GeoBox, window: &Window) -> Result<Vec<i64>, NodeError> {
        let dst = grid.window(window).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
        let mut out = vec![IGNORED; window.area()];
        for (label, source, header) in &self.open {
            if out.iter().all(|&place| place != IGNORED) {
                break;
            }
            let pixels = raster::read(source, header, &dst, Resampling::Nearest)
                .map_err(|error| at(label, errors::raster(&error)))?;
            for ((out, &value), &valid) in out.iter_mut().zip(&pixels.values).zip(&pixels.valid) {
                if *out == IGNORED && valid != 0 && value.fract() == 0.0 && (0.0..256.0).contains(&value) {
                    *out = self.places[value as usize];
                }
            }
        }
        // Padding of an area smaller than a chip is not learned from.
        for (at, out) in out.iter_mut().enumerate() {
            let (x, y) = (window.x + (at % window.width) as i64, window.y + (at / window.width) as i64);
            if x >= grid.width as i64 || y >= grid.height as i64 {
                *out = IGNORED;
            }
        }
        Ok(out)
    }
}

fn at(label: &LabelSource, error: NodeError) -> NodeError {
    error.at("item", &label.item).at("asset", &label.asset)
}
