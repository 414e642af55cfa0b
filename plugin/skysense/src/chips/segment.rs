//! The run of `raster.chips`: chips in row-major order of each period, a few columns at a time.

use std::collections::BTreeMap;

use skysense_abi::{Host, NodeError};
use skysense_edges::{ChipBuilder, ChipRow, Pixels, SeriesRow};
use skysense_grid::{Chip, ChipGrid, GeoBox, Window};

use super::chip_plan::{ChipPlan, PlannedDate, PlannedModality};
use super::cost::BLOCK_CACHE;
use super::scene_reader::{DatePixels, SceneReader};
use crate::errors;

/// Batches of chips, made when they are asked for.
struct Segments {
    plan: ChipPlan,
    grid: ChipGrid,
    reader: SceneReader,
    pool: rayon::ThreadPool,
    host: Host,
    /// Period, row and first column of the next segment.
    next: (usize, usize, usize),
    done: u64,
}

/// Starts reading chips.
///
/// # Errors
/// A plan whose chips cannot tile its grid, or threads that the system refuses.
pub(crate) fn run(
    plan: ChipPlan,
    host: Host,
) -> Result<impl Iterator<Item = Result<arrow::array::RecordBatch, NodeError>> + Send, NodeError> {
    let options = block_cache();
    skysense_raster::setup(&options).map_err(|error| errors::raster(&error))?;
    let grid = plan.grid().map_err(|error| NodeError::from_error("plan.invalid", &error))?;
    let threads = host.about().threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("chips-{n}")).build();
    let pool =
        pool.map_err(|error| NodeError::from_error("threads", &error).hint("set a smaller number of threads"))?;
    let reader = SceneReader::new(&plan, host.clone());
    Ok(Segments { plan, grid, reader, pool, host, next: (0, 0, 0), done: 0 })
}

/// GDAL's settings while chips are read.
pub(crate) fn block_cache() -> skysense_raster::Options {
    let mut options = skysense_raster::Options::default();
    options.cache_bytes = BLOCK_CACHE;
    options
}

impl Iterator for Segments {
    type Item = Result<arrow::array::RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (period, row, column) = self.next;
        if period >= self.plan.periods.len() {
            return None;
        }
        let end = (column + self.plan.columns).min(self.grid.columns());
        let chips: Vec<Chip> = (column..end).filter_map(|c| self.grid.get(row * self.grid.columns() + c)).collect();
        self.next = match (end < self.grid.columns(), row + 1 < self.grid.rows()) {
            (true, _) => (period, row, end),
            (false, true) => (period, row + 1, 0),
            (false, false) => (period + 1, 0, 0),
        };
        let batch = self.pool.install(|| self.segment(period, &chips));
        match &batch {
            Ok(_) => {
                self.done += chips.len() as u64;
                self.host.progress(self.done, Some((self.grid.len() * self.plan.periods.len()) as u64), "chips");
            }
            // An error ends the stream.
            Err(_) => self.next = (self.plan.periods.len(), 0, 0),
        }
        Some(batch)
    }
}

impl Segments {
    fn segment(&self, period: usize, chips: &[Chip]) -> Result<arrow::array::RecordBatch, NodeError> {
        let planned = &self.plan.periods[period];
        let mut series: Vec<BTreeMap<String, SeriesRow>> = vec![BTreeMap::new(); chips.len()];
        for modality in &self.plan.modalities {
            let dates = planned.dates.get(&modality.modality).map(Vec::as_slice).unwrap_or_default();
            let mut open: Vec<Option<SeriesRow>> = vec![None; chips.len()];
            for date in dates {
                self.host.check_cancelled()?;
                self.date(date, modality, chips, &mut open)?;
            }
            for (place, found) in open.into_iter().enumerate() {
                if let Some(found) = found {
                    series[place].insert(modality.modality.name().to_owned(), found);
                }
            }
        }
        let mut builder = ChipBuilder::new(self.plan.schema());
        for (chip, series) in chips.iter().zip(series) {
            let number = u32::try_from(chip.index).map_err(|_| {
                NodeError::new("chips.many", format!("chip {} is beyond what a chip's number holds", chip.index))
                    .hint("use larger chips or a smaller area")
            })?;
            let row = ChipRow { chip: number, period: planned.period.name.clone(), window: chip.window, series };
            builder.push(row).map_err(|error| errors::edge(&error))?;
        }
        builder.finish().map_err(|error| errors::edge(&error))
    }

    /// Reads one date for all chips of a segment at once; where that fails, chip by chip, so that what a
    /// damaged file costs does not depend on how chips are bundled.
    fn date(
        &self,
        date: &PlannedDate,
        modality: &PlannedModality,
        chips: &[Chip],
        open: &mut [Option<SeriesRow>],
    ) -> Result<(), NodeError> {
        let (Some(first), Some(last)) = (chips.first(), chips.last()) else { return Ok(()) };
        let whole = Window { width: (last.window.right() - first.window.x) as usize, ..first.window };
        match self.read(date, modality, &whole)? {
            Ok(pixels) => {
                for (chip, slot) in chips.iter().zip(open) {
                    let cut = cut(&pixels, &whole, &chip.window, modality);
                    self.keep(date, modality, chip, cut, slot);
                }
            }
            Err(_) if chips.len() > 1 => {
                for (place, chip) in chips.iter().enumerate() {
                    self.date(date, modality, std::slice::from_ref(chip), &mut open[place..=place])?;
                }
            }
            // The chip goes without this date, and the report names the asset.
            Err(error) => {
                if let Some(scene) = date.scenes.first() {
                    self.reader.note(scene, &error);
                }
            }
        }
        Ok(())
    }

    fn read(
        &self,
        date: &PlannedDate,
        modality: &PlannedModality,
        window: &Window,
    ) -> Result<Result<DatePixels, NodeError>, NodeError> {
        let grid = |geobox: Result<GeoBox, skysense_grid::GridError>| {
            geobox.map_err(|error| NodeError::from_error("plan.invalid", &error))
        };
        let coarse = grid(self.plan.geobox.window(window))?;
        let dst = if modality.scale == 1 { coarse } else { grid(coarse.finer(modality.scale))? };
        let mut read = self.reader.read(date, modality, &dst)?;
        if let Ok(pixels) = &mut read {
            self.clip(pixels, window, modality.scale);
        }
        Ok(read)
    }

    /// Pixels beyond a target that is smaller than a chip are padding, whatever the source holds there.
    fn clip(&self, pixels: &mut DatePixels, window: &Window, scale: usize) {
        let geobox = &self.plan.geobox;
        if window.right() <= geobox.width as i64 && window.bottom() <= geobox.height as i64 {
            return;
        }
        let width = window.width * scale;
        for (at, valid) in pixels.valid.iter_mut().enumerate() {
            let (x, y) = (window.x + (at % width / scale) as i64, window.y + (at / width / scale) as i64);
            if x >= geobox.width as i64 || y >= geobox.height as i64 {
                *valid = 0;
            }
        }
    }

    /// Adds a date to a chip's series, if enough of it is valid.
    fn keep(
        &self,
        date: &PlannedDate,
        modality: &PlannedModality,
        chip: &Chip,
        cut: DatePixels,
        slot: &mut Option<SeriesRow>,
    ) {
        let seen = cut.valid.iter().filter(|&&v| v != 0).count();
        // What lies beyond the target cannot be valid, and is not held against a date.
        let inside = chip
            .window
            .intersection(&self.plan.geobox.full())
            .map_or(0, |w| w.area() * modality.scale * modality.scale);
        if seen == 0 || (seen as f64) < self.plan.min_valid * inside as f64 {
            return;
        }
        let side = self.plan.size * modality.scale;
        let masked = |place: usize, value: f32| if cut.valid[place % (side * side)] == 0 { 0.0 } else { value };
        let values: Vec<f32> = cut.values.iter().enumerate().map(|(place, &value)| masked(place, value)).collect();
        let pixels = Pixels::from_f32(modality.dtype, &values);
        let row = slot.get_or_insert_with(|| SeriesRow {
            shape: [0, modality.bands.len(), side, side],
            pixels: Pixels::empty(modality.dtype),
            valid: Vec::new(),
            datetimes: Vec::new(),
            items: Vec::new(),
        });
        let _same_type = row.pixels.extend(pixels.as_ref());
        row.shape[0] += 1;
        row.valid.extend_from_slice(&cut.valid);
        row.datetimes.push(date.datetime);
        row.items.push(date.scenes.iter().map(|scene| scene.item.clone()).collect());
    }
}

/// The part of a segment that a chip covers.
fn cut(pixels: &DatePixels, whole: &Window, window: &Window, modality: &PlannedModality) -> DatePixels {
    let scale = modality.scale;
    let (from, side, height) = (whole.width * scale, window.width * scale, window.height * scale);
    let left = (window.x - whole.x) as usize * scale;
    let take = |plane: &[f32], out: &mut Vec<f32>| {
        (0..height).for_each(|row| out.extend_from_slice(&plane[row * from + left..][..side]))
    };
    let mut values = Vec::with_capacity(modality.bands.len() * side * height);
    pixels.values.chunks_exact(from * height).for_each(|plane| take(plane, &mut values));
    let valid = (0..height).flat_map(|row| pixels.valid[row * from + left..][..side].iter().copied()).collect();
    DatePixels { values, valid }
}
