//! The run of `raster.chips`: chips in row-major order of each period, or those that are asked for, a few columns at a
//! time.

use std::collections::VecDeque;

use skysense_abi::{Host, NodeError, RunInput};
use skysense_edges::{ChipBuilder, ChipRow, named_chips};
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
    order: Order,
    done: u64,
}

/// Which segment comes next.
enum Order {
    /// Period, row and first column of the next segment of all.
    All(usize, usize, usize),
    /// What is asked for, and segments of what was.
    Asked(RunInput, VecDeque<Segment>),
    /// None: the end, or an error that ended the stream.
    Ended,
}

/// Neighbouring chips of one row, and their period.
type Segment = (usize, Vec<Chip>);

/// Starts reading chips: all, or those that `only` names, whenever it names some.
///
/// # Errors
/// A plan whose chips cannot tile its grid, or threads that the system refuses.
pub(crate) fn run(
    plan: ChipPlan,
    only: Option<RunInput>,
    host: Host,
) -> Result<impl Iterator<Item = Result<arrow::array::RecordBatch, NodeError>> + Send, NodeError> {
    let options = block_cache();
    skysense_raster::setup(&options).map_err(|error| errors::raster(&error))?;
    let grid = plan.grid().map_err(|error| NodeError::from_error("plan.invalid", &error))?;
    let pool = readers(&host)?;
    let cutter = Cutter::new(plan, host.clone());
    let order = only.map_or(Order::All(0, 0, 0), |only| Order::Asked(only, VecDeque::new()));
    Ok(Segments { grid, cutter, pool, host, order, done: 0 })
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
        let (period, chips) = match self.following() {
            Ok(following) => following?,
            Err(error) => {
                self.order = Order::Ended;
                return Some(Err(error));
            }
        };
        let cutter = &self.cutter;
        let batch = self.pool.install(|| segment(cutter, period, &chips));
        match &batch {
            Ok(_) => {
                self.done += chips.len() as u64;
                let all = (self.grid.len() * self.cutter.plan.periods.len()) as u64;
                let total = matches!(self.order, Order::All(..)).then_some(all);
                self.host.progress(self.done, total, "chips");
            }
            // An error ends the stream.
            Err(_) => self.order = Order::Ended,
        }
        Some(batch)
    }
}

impl Segments {
    /// The next segment.
    fn following(&mut self) -> Result<Option<Segment>, NodeError> {
        match &mut self.order {
            Order::Ended => Ok(None),
            Order::All(period, row, column) => {
                let (at, from) = (*period, *column);
                if at >= self.cutter.plan.periods.len() {
                    return Ok(None);
                }
                let columns = self.grid.columns();
                let end = (from + self.cutter.plan.columns).min(columns);
                let chips = (from..end).filter_map(|c| self.grid.get(*row * columns + c)).collect();
                (*period, *row, *column) = match (end < columns, *row + 1 < self.grid.rows()) {
                    (true, _) => (at, *row, end),
                    (false, true) => (at, *row + 1, 0),
                    (false, false) => (at + 1, 0, 0),
                };
                Ok(Some((at, chips)))
            }
            Order::Asked(only, segments) => {
                while segments.is_empty() {
                    let Some(batch) = only.next().transpose()? else { return Ok(None) };
                    let named = named_chips(&batch).map_err(|error| errors::edge(&error))?;
                    *segments = asked(&self.cutter.plan, &self.grid, &named)?;
                }
                Ok(segments.pop_front())
            }
        }
    }
}

/// Neighbouring chips of one row, as a batch.
fn segment(cutter: &Cutter, period: usize, chips: &[Chip]) -> Result<arrow::array::RecordBatch, NodeError> {
    let plan = &cutter.plan;
    let planned = &plan.periods[period];
    let series = cutter.cut(&plan.geobox, &planned.dates, chips)?;
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

/// The chips that are asked for, in their order, neighbours of a row together.
fn asked(plan: &ChipPlan, grid: &ChipGrid, named: &[(u32, String)]) -> Result<VecDeque<Segment>, NodeError> {
    let mut segments: VecDeque<Segment> = VecDeque::new();
    for (number, name) in named {
        let fault = |what: String| NodeError::new("chips.unknown", what).hint("ask for chips of this very plan");
        let period = plan.periods.iter().position(|planned| planned.period.name == *name);
        let period = period.ok_or_else(|| {
            fault(format!("chip {number} is asked for in period {name}, which the plan does not have"))
        })?;
        let chip = grid.get(*number as usize);
        let chip = chip.ok_or_else(|| fault(format!("chip {number} is asked for, and the plan has {}", grid.len())))?;
        match segments.back_mut() {
            Some((of, chips))
                if *of == period
                    && chips.len() < plan.columns
                    && chips.last().is_some_and(|last| last.row == chip.row && last.column + 1 == chip.column) =>
            {
                chips.push(chip);
            }
            _ => segments.push_back((period, vec![chip])),
        }
    }
    Ok(segments)
}
