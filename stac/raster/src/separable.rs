//! Resampling where columns depend on columns and rows on rows: along rows first, then the rows.

use std::ops::Range;

use crate::combine::{ENOUGH, Found, Weighted, combine};
use crate::dtype::sealed::{Real, Sealed};
use crate::kernel::{Taps, taps};
use crate::mapping::{Line, widened};
use crate::pixels::{Measured, Patch, Rect};
use crate::{Pixels, Resampling, Sample};

/// Columns that are done at once.
const COLUMNS: usize = 128;
/// Rows that are done at once; fewer where the grid is coarser, so that rows between the passes stay in the cache.
const ROWS: usize = 64;

/// Taps of a range of columns or rows.
pub(crate) struct Axis<R> {
    taps: Vec<Taps>,
    /// Weights per value: `side` each, filled up with zeros.
    side: usize,
    weights: Vec<R>,
    /// Whether the grid is coarser than the source.
    coarse: bool,
    /// Part of each value's kernel that lies on the source.
    share: Vec<f32>,
}

impl<R: Real> Axis<R> {
    /// `scale` is the number of pixels of the level per pixel of the file.
    pub(crate) fn new(resampling: Resampling, line: &Line, scale: f64, range: Range<usize>, size: usize) -> Self {
        let ratio = widened(line.ratio() * scale);
        let (mut own, mut flat) = (Vec::new(), Vec::with_capacity(2 * range.len()));
        let mut all: Vec<Taps> = Vec::with_capacity(range.len());
        for at in range {
            all.push(taps(resampling, line.at(at) * scale, ratio, size, &mut own));
            flat.extend_from_slice(&own);
        }
        let side = all.iter().map(|taps| taps.count).max().unwrap_or(0);
        let mut weights = vec![R::default(); side * all.len()];
        let mut begin = 0;
        for (at, taps) in all.iter_mut().enumerate().filter(|(_, taps)| taps.count > 0) {
            // All values take as many pixels; at the end of the source the ones too many come first.
            let before = (taps.first + side).saturating_sub(size);
            let into = &mut weights[at * side + before..][..taps.count];
            let from = &flat[begin..begin + taps.count];
            into.iter_mut().zip(from).for_each(|(weight, &wide)| *weight = R::of(wide));
            begin += taps.count;
            (taps.first, taps.count) = (taps.first - before, side);
        }
        let share = all.iter().map(|taps| taps.share as f32).collect();
        Self { taps: all, side, weights, coarse: ratio > 1.0, share }
    }

    /// First source pixel of some values and the one after the last.
    fn span(&self, values: Range<usize>) -> Option<(usize, usize)> {
        let used = || self.taps[values.clone()].iter().filter(|taps| taps.count > 0);
        Some((used().map(|taps| taps.first).min()?, used().map(|taps| taps.first + taps.count).max()?))
    }

    fn weighted(&self, at: usize) -> Weighted<'_, R> {
        Weighted { taps: self.taps[at], weights: &self.weights[at * self.side..(at + 1) * self.side] }
    }
}

/// Columns and rows of a part of the grid.
pub(crate) struct Axes<R> {
    pub(crate) columns: Axis<R>,
    pub(crate) rows: Axis<R>,
}

impl<R: Real> Axes<R> {
    /// The window of the level that the part needs; `None` where they do not meet.
    pub(crate) fn needed(&self) -> Option<Rect> {
        let (x, right) = self.columns.span(0..self.columns.taps.len())?;
        let (y, bottom) = self.rows.span(0..self.rows.taps.len())?;
        Some(Rect { x, y, width: right - x, height: bottom - y })
    }

    fn coarse(&self) -> bool {
        self.columns.coarse || self.rows.coarse
    }
}

/// Fills a part of the grid; `fallback` makes the values for whose kernel pixels are missing.
pub(crate) fn fill<T: Sample>(
    patch: &Patch<T>,
    axes: &Axes<T::Sum>,
    fallback: Option<&Axes<T::Sum>>,
    part: Rect,
    out: &mut Pixels<T>,
) {
    let coarse = axes.coarse();
    let mut pass = Vec::new();
    let mut top = 0;
    while top < part.height {
        let height = rows_at_once(&axes.rows, top).min(part.height - top);
        let rows = top..top + height;
        for left in (0..part.width).step_by(COLUMNS) {
            let columns = left..(left + COLUMNS).min(part.width);
            let (Some((x, right)), Some((y, bottom))) =
                (axes.columns.span(columns.clone()), axes.rows.span(rows.clone()))
            else {
                continue;
            };
            let window = Rect { x, y, width: right - x, height: bottom - y };
            let block = Block { patch, axes, columns, rows: rows.clone(), coarse };
            match patch.measured(window) {
                Measured::None => {}
                Measured::All => block.fill_whole(window, part, &mut pass, out),
                Measured::Some => block.fill_gaps(fallback, part, out),
            }
        }
        top += height;
    }
}

/// As many rows as keep the pass along rows small.
fn rows_at_once<R>(rows: &Axis<R>, top: usize) -> usize {
    let ahead = &rows.taps[top..(top + ROWS).min(rows.taps.len())];
    let begin = ahead.iter().find(|taps| taps.count > 0).map_or(0, |taps| taps.first);
    let near = |taps: &&Taps| taps.count == 0 || taps.first.abs_diff(begin) + taps.count <= 3 * ROWS;
    ahead.iter().take_while(near).count().max(1)
}

struct Block<'a, T: Sample> {
    patch: &'a Patch<T>,
    axes: &'a Axes<<T as Sealed>::Sum>,
    columns: Range<usize>,
    rows: Range<usize>,
    coarse: bool,
}

impl<T: Sample> Block<'_, T> {
    /// All pixels are valid: two passes.
    fn fill_whole(&self, window: Rect, part: Rect, pass: &mut Vec<T::Sum>, out: &mut Pixels<T>) {
        let width = self.columns.len();
        let (columns, rows) = (&self.axes.columns, &self.axes.rows);
        pass.clear();
        pass.resize(width * window.height, T::Sum::default());
        // Values without any pixel have no weight either; any place inside will do for them.
        let firsts: Vec<usize> = columns.taps[self.columns.clone()]
            .iter()
            .map(|taps| if taps.count == 0 { 0 } else { taps.first - window.x })
            .collect();
        let weights = &columns.weights[self.columns.start * columns.side..self.columns.end * columns.side];
        for (row, into) in pass.chunks_exact_mut(width).enumerate() {
            let from = &self.patch.values[self.patch.place(window.x, window.y + row)..][..window.width];
            along(from, &firsts, weights, columns.side, into);
        }
        let share = &columns.share[self.columns.clone()];
        let under: Vec<u8> =
            columns.taps[self.columns.clone()].iter().map(|taps| u8::from(taps.under.is_some())).collect();
        let mut sums = vec![T::Sum::default(); width];
        for row in self.rows.clone() {
            let taps = rows.taps[row];
            if taps.count == 0 || !self.coarse && taps.under.is_none() {
                continue;
            }
            let begin = (taps.first - window.y) * width;
            let weights = &rows.weights[row * rows.side..(row + 1) * rows.side];
            across(&pass[begin..begin + rows.side * width], weights, &mut sums);
            let to = (part.y + row) * out.width + part.x + self.columns.start;
            let (values, valid) = (&mut out.values[to..to + width], &mut out.valid[to..to + width]);
            if self.coarse {
                for (valid, &share) in valid.iter_mut().zip(share) {
                    *valid = u8::from(share * rows.share[row] >= ENOUGH as f32);
                }
            } else {
                valid.copy_from_slice(&under);
            }
            for ((value, &valid), &sum) in values.iter_mut().zip(&*valid).zip(&sums) {
                let found = T::from_sum(sum);
                *value = if valid != 0 { found } else { T::default() };
            }
        }
    }

    /// Some pixels are missing: value by value.
    fn fill_gaps(&self, fallback: Option<&Axes<T::Sum>>, part: Rect, out: &mut Pixels<T>) {
        for row in self.rows.clone() {
            let to = (part.y + row) * out.width + part.x;
            let down = self.axes.rows.weighted(row);
            for column in self.columns.clone() {
                let across = self.axes.columns.weighted(column);
                let mut found = combine(self.patch, across, down, self.coarse, fallback.is_none());
                if let (Found::Gaps, Some(axes)) = (&found, fallback) {
                    let (across, down) = (axes.columns.weighted(column), axes.rows.weighted(row));
                    found = combine(self.patch, across, down, self.coarse, true);
                }
                found.store(&mut out.values[to + column], &mut out.valid[to + column]);
            }
        }
    }
}

/// The pass along one row of pixels.
fn along<T: Sample>(from: &[T], firsts: &[usize], weights: &[T::Sum], side: usize, into: &mut [T::Sum]) {
    match side {
        1 => along_few::<T, 1>(from, firsts, weights, into),
        2 => along_few::<T, 2>(from, firsts, weights, into),
        3 => along_few::<T, 3>(from, firsts, weights, into),
        4 => along_few::<T, 4>(from, firsts, weights, into),
        _ => {
            for ((sum, &first), weights) in into.iter_mut().zip(firsts).zip(weights.chunks_exact(side.max(1))) {
                let mut found = T::Sum::default();
                for (value, &weight) in from[first..first + side].iter().zip(weights) {
                    found += weight * value.to_sum();
                }
                *sum = found;
            }
        }
    }
}

#[inline]
fn along_few<T: Sample, const SIDE: usize>(from: &[T], firsts: &[usize], weights: &[T::Sum], into: &mut [T::Sum]) {
    let (weights, _) = weights.as_chunks::<SIDE>();
    for ((sum, &first), weights) in into.iter_mut().zip(firsts).zip(weights) {
        let values = &from[first..first + SIDE];
        let mut found = T::Sum::default();
        for at in 0..SIDE {
            found += weights[at] * values[at].to_sum();
        }
        *sum = found;
    }
}

/// The pass over rows that lie below each other in `rows`.
fn across<R: Real>(rows: &[R], weights: &[R], sums: &mut [R]) {
    let width = sums.len();
    if let [upper, lower] = *weights {
        let (above, below) = rows.split_at(width);
        for ((sum, &a), &b) in sums.iter_mut().zip(above).zip(below) {
            let mut found = R::default();
            found += upper * a;
            found += lower * b;
            *sum = found;
        }
        return;
    }
    sums.fill(R::default());
    for (row, &weight) in rows.chunks_exact(width).zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += weight * value;
        }
    }
}

/// Fills a part of the grid with the pixel under each centre.
pub(crate) fn fill_nearest<T: Sample>(patch: &Patch<T>, axes: &Axes<T::Sum>, part: Rect, out: &mut Pixels<T>) {
    let places: Vec<Option<usize>> = axes.columns.taps.iter().map(|taps| taps.under).collect();
    // The columns that have a pixel; they follow each other without a gap.
    let begin = places.iter().position(Option::is_some).unwrap_or(places.len());
    let columns: Vec<usize> = places[begin..].iter().map_while(|place| place.map(|x| x - patch.rect.x)).collect();
    for (row, taps) in axes.rows.taps.iter().enumerate() {
        let Some(y) = taps.under else { continue };
        let line = (y - patch.rect.y) * patch.rect.width..(y - patch.rect.y + 1) * patch.rect.width;
        let to = (part.y + row) * out.width + part.x + begin;
        let values = &mut out.values[to..to + columns.len()];
        let valid = &mut out.valid[to..to + columns.len()];
        let from = &patch.values[line.clone()];
        match patch.valid.as_ref().map(|all| &all[line]) {
            None => {
                values.iter_mut().zip(&columns).for_each(|(value, &column)| *value = from[column]);
                valid.fill(1);
            }
            Some(measured) => {
                for ((value, valid), &column) in values.iter_mut().zip(valid).zip(&columns) {
                    *valid = measured[column];
                    *value = if measured[column] != 0 { from[column] } else { T::default() };
                }
            }
        }
    }
}
