//! The run of `raster.chips`: chips in row-major order of each period, a few columns at a time.

use skysense_abi::{Host, NodeError};
use skysense_edges::{ChipBuilder, ChipRow};
use skysense_grid::{Chip, ChipGrid};

use super::chip_plan::ChipPlan;
use super::cost::BLOCK_CACHE;
use super::cutter::Cutter;
use crate::errors;

/// Batches of chips, made when they are asked for.
struct Segments {
    grid: ChipGrid,
    cutter: Cutter,
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
    let pool = readers(&host)?;
    let cutter = Cutter::new(plan, host.clone());
    Ok(Segments { grid, cutter, pool, host, next: (0, 0, 0), done: 0 })
}

/// The threads that read, as many as the run has.
///
/// # Errors
/// Threads that the system refuses.
pub(crate) fn readers(host: &Host) -> Result<rayon::ThreadPool, NodeError> {
    let threads = host.about().threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("chips-{n}")).build();
    pool.map_err(|error| NodeError::from_error("threads", &error).hint("set a smaller number of threads"))
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
        if period >= self.cutter.plan.periods.len() {
            return None;
        }
        let end = (column + self.cutter.plan.columns).min(self.grid.columns());
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
                self.host.progress(self.done, Some((self.grid.len() * self.cutter.plan.periods.len()) as u64), "chips");
            }
            // An error ends the stream.
            Err(_) => self.next = (self.cutter.plan.periods.len(), 0, 0),
        }
        Some(batch)
    }
}

impl Segments {
    fn segment(&self, period: usize, chips: &[Chip]) -> Result<arrow::array::RecordBatch, NodeError> {
        let plan = &self.cutter.plan;
        let planned = &plan.periods[period];
        let series = self.cutter.cut(&plan.geobox, &planned.dates, chips)?;
        let mut builder = ChipBuilder::new(plan.schema());
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
}
