//! The pixels of a series as vectors, read by the very nodes that feed the model.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use skysense_abi::{Host, NodeError};
use skysense_edges::{ChipBatch, PixelsRef, Series};
use skysense_grid::GeoBox;

use crate::tools::inside::read_chips;

/// Values of one pixel: per date and modality, its bands, or nothing where it was not seen.
type Observations = BTreeMap<(String, i64), Vec<f32>>;

/// All dates of all pixels of an area.
pub(crate) struct Stack {
    /// The 10 m grid.
    pub(crate) grid: GeoBox,
    /// Bands by modality (`s2`, `s1`) and date.
    slots: BTreeMap<(String, i64), usize>,
    pixels: Vec<Option<Observations>>,
}

impl Stack {
    /// Runs `stac.search` and `raster.chips` with these settings and keeps every pixel.
    pub(crate) fn read(search: &Value, chips: &Value, host: &Host) -> Result<Self, NodeError> {
        let (facts, batches) = read_chips(search, chips, host)?;
        let grid = facts.geobox;
        let mut stack = Self { pixels: vec![None; grid.width * grid.height], grid, slots: BTreeMap::new() };
        for batch in batches {
            let batch = ChipBatch::try_new(&batch?).map_err(|error| NodeError::from_error("edge.invalid", &error))?;
            for row in 0..batch.len() {
                host.check_cancelled()?;
                stack.add(&batch, row)?;
            }
        }
        Ok(stack)
    }

    fn add(&mut self, batch: &ChipBatch, row: usize) -> Result<(), NodeError> {
        let window = batch.window(row).map_err(|error| NodeError::from_error("edge.invalid", &error))?;
        let Some(inside) = window.intersection(&self.grid.full()) else { return Ok(()) };
        // High resolution is left out: a pixel classifier has no use for a thousand pixels in one.
        let series: Vec<(&str, Series<'_>)> =
            ["s2", "s1"].into_iter().filter_map(|name| Some((name, batch.series(name, row)?))).collect();
        // What an earlier chip gave is kept: overlapping chips hold the same pixels.
        let mut fresh = BTreeSet::new();
        for y in inside.y..inside.bottom() {
            for x in inside.x..inside.right() {
                let pixel = y as usize * self.grid.width + x as usize;
                if self.pixels[pixel].is_none() {
                    fresh.insert((pixel, (y - window.y) as usize, (x - window.x) as usize));
                }
            }
        }
        for &(pixel, line, column) in &fresh {
            let mut observations = Observations::new();
            for (name, series) in &series {
                let [times, bands, height, width] = series.shape;
                for time in 0..times {
                    let place = line * width + column;
                    if series.valid[time * height * width + place] == 0 {
                        continue;
                    }
                    let at = |band: usize| (time * bands + band) * height * width + place;
                    let values = (0..bands).map(|band| value(&series.pixels, at(band))).collect();
                    let key = ((*name).to_owned(), series.datetimes[time]);
                    self.slots.insert(key.clone(), bands);
                    observations.insert(key, values);
                }
            }
            self.pixels[pixel] = Some(observations);
        }
        Ok(())
    }

    /// Whether a pixel was seen on any date.
    pub(crate) fn has(&self, pixel: usize) -> bool {
        self.pixels[pixel].as_ref().is_some_and(|observations| !observations.is_empty())
    }

    /// Length of [`Stack::vector`].
    pub(crate) fn length(&self) -> usize {
        self.slots.values().sum()
    }

    /// All bands of all dates of a pixel; a date that it was not seen on takes its nearest one, as for the model, and
    /// NaN where its modality has none.
    pub(crate) fn vector(&self, pixel: usize) -> Vec<f32> {
        let empty = Observations::new();
        let observations = self.pixels[pixel].as_ref().unwrap_or(&empty);
        let mut vector = Vec::with_capacity(self.length());
        for ((modality, date), &bands) in &self.slots {
            let near = observations
                .iter()
                .filter(|((name, _), _)| name == modality)
                .min_by_key(|((_, other), _)| other.abs_diff(*date));
            match near {
                Some((_, values)) => vector.extend(values),
                None => vector.extend(std::iter::repeat_n(f32::NAN, bands)),
            }
        }
        vector
    }
}

fn value(pixels: &PixelsRef<'_>, at: usize) -> f32 {
    match pixels {
        PixelsRef::U8(values) => f32::from(values[at]),
        PixelsRef::U16(values) => f32::from(values[at]),
        PixelsRef::I16(values) => f32::from(values[at]),
        PixelsRef::F32(values) => values[at],
    }
}
