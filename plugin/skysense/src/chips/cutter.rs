//! Dates cut into chips: what reading on one grid and reading at many places share.

use std::collections::BTreeMap;

use skysense_abi::{Host, NodeError};
use skysense_catalog::Modality;
use skysense_edges::{Pixels, SeriesRow};
use skysense_grid::{Chip, GeoBox, Window};

use super::chip_plan::{ChipPlan, PlannedDate, PlannedModality};
use super::scene_reader::{DatePixels, SceneReader};

/// Reads dates and cuts chips out of them.
pub(crate) struct Cutter {
    pub(crate) plan: ChipPlan,
    reader: SceneReader,
    host: Host,
}

impl Cutter {
    pub(crate) fn new(plan: ChipPlan, host: Host) -> Self {
        Self { reader: SceneReader::new(&plan, host.clone()), plan, host }
    }

    /// The series of chips of one row of a grid, by modality; a date that a chip sees too little of is left out.
    ///
    /// # Errors
    /// An asset that cannot be read, under `on_error: fail`; and cancellation.
    pub(crate) fn cut(
        &self,
        grid: &GeoBox,
        dates: &BTreeMap<Modality, Vec<PlannedDate>>,
        chips: &[Chip],
    ) -> Result<Vec<BTreeMap<String, SeriesRow>>, NodeError> {
        let mut series: Vec<BTreeMap<String, SeriesRow>> = vec![BTreeMap::new(); chips.len()];
        for modality in &self.plan.modalities {
            let dates = dates.get(&modality.modality).map(Vec::as_slice).unwrap_or_default();
            let mut open: Vec<Option<SeriesRow>> = vec![None; chips.len()];
            for date in dates {
                self.host.check_cancelled()?;
                self.date(grid, date, modality, chips, &mut open)?;
            }
            for (place, found) in open.into_iter().enumerate() {
                if let Some(found) = found {
                    series[place].insert(modality.modality.name().to_owned(), found);
                }
            }
        }
        Ok(series)
    }

    /// Reads one date for all chips of a segment at once; where that fails, chip by chip, so that what a
    /// damaged file costs does not depend on how chips are bundled.
    fn date(
        &self,
        grid: &GeoBox,
        date: &PlannedDate,
        modality: &PlannedModality,
        chips: &[Chip],
        open: &mut [Option<SeriesRow>],
    ) -> Result<(), NodeError> {
        let (Some(first), Some(last)) = (chips.first(), chips.last()) else { return Ok(()) };
        let whole = Window { width: (last.window.right() - first.window.x) as usize, ..first.window };
        match self.read(grid, date, modality, &whole)? {
            Ok(pixels) => {
                for (chip, slot) in chips.iter().zip(open) {
                    let cut = cut(&pixels, &whole, &chip.window, modality);
                    self.keep(grid, date, modality, chip, cut, slot);
                }
            }
            Err(_) if chips.len() > 1 => {
                for (place, chip) in chips.iter().enumerate() {
                    self.date(grid, date, modality, std::slice::from_ref(chip), &mut open[place..=place])?;
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
        grid: &GeoBox,
        date: &PlannedDate,
        modality: &PlannedModality,
        window: &Window,
    ) -> Result<Result<DatePixels, NodeError>, NodeError> {
        let made = |geobox: Result<GeoBox, skysense_grid::GridError>| {
            geobox.map_err(|error| NodeError::from_error("plan.invalid", &error))
        };
        let coarse = made(grid.window(window))?;
        let dst = if modality.scale == 1 { coarse } else { made(coarse.finer(modality.scale))? };
        let mut read = self.reader.read(date, modality, &dst)?;
        if let Ok(pixels) = &mut read {
            clip(grid, pixels, window, modality.scale);
        }
        Ok(read)
    }

    /// Adds a date to a chip's series, if enough of it is valid.
    fn keep(
        &self,
        grid: &GeoBox,
        date: &PlannedDate,
        modality: &PlannedModality,
        chip: &Chip,
        cut: DatePixels,
        slot: &mut Option<SeriesRow>,
    ) {
        let seen = cut.valid.iter().filter(|&&v| v != 0).count();
        // What lies beyond the target cannot be valid, and is not held against a date.
        let inside = chip.window.intersection(&grid.full()).map_or(0, |w| w.area() * modality.scale * modality.scale);
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

/// Pixels beyond a target that is smaller than a chip are padding, whatever the source holds there.
fn clip(geobox: &GeoBox, pixels: &mut DatePixels, window: &Window, scale: usize) {
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
