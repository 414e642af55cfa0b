//! Making the values of a grid from the pixels of a source that lie elsewhere.

use skysense_grid::GeoBox;

use crate::kernel::{Taps, taps};
use crate::mapping::{Lattice, Mapping, widened};
use crate::pixels::{Level, Patch, Rect};
use crate::read::Before;
use crate::{Pixels, RasterError, Resampling, Result, Sample};

/// Source pixels held at once; larger reads are cut into parts.
const HELD: usize = 8 << 20;
/// Source pixels that a part which cannot be cut further may take.
const MOST: usize = 256 << 20;
/// The smallest part, in pixels a side.
const PART: usize = 64;

/// Fills `dst` from a level of a source.
pub(crate) fn resample<T: Sample>(
    level: &Level<'_>,
    mapping: &Mapping,
    dst: &GeoBox,
    resampling: Resampling,
    before: Option<Before<'_>>,
) -> Result<Pixels<T>> {
    let mut out = Pixels::invalid(dst.width, dst.height);
    let full = Rect { x: 0, y: 0, width: dst.width, height: dst.height };
    let scale = (level.width as f64 / level.header.width as f64, level.height as f64 / level.header.height as f64);
    let job = Job { level, mapping, resampling, scale };
    let mut parts = vec![full];
    while let Some(part) = parts.pop() {
        let Some(needed) = job.needed(part) else { continue };
        if needed.area() > HELD && part.width.max(part.height) > PART {
            parts.extend(halves(part));
            continue;
        }
        if needed.area() > MOST {
            let message = format!(
                "one pixel of the grid covers {} of the source, which has no overview to read instead; make overviews or choose a finer resolution",
                needed.area() / part.area().max(1)
            );
            let source = level.source;
            return Err(RasterError::Read {
                name: source.name.clone(),
                href: source.shown(),
                x: needed.x,
                y: needed.y,
                right: needed.x + needed.width,
                bottom: needed.y + needed.height,
                message,
            });
        }
        let mut patch = level.read::<T>(needed)?;
        if let Some(before) = before {
            patch.change(before);
        }
        job.fill(&patch, part, &mut out);
    }
    Ok(out)
}

fn halves(part: Rect) -> [Rect; 2] {
    if part.height >= part.width {
        let upper = part.height / 2;
        [Rect { height: upper, ..part }, Rect { y: part.y + upper, height: part.height - upper, ..part }]
    } else {
        let left = part.width / 2;
        [Rect { width: left, ..part }, Rect { x: part.x + left, width: part.width - left, ..part }]
    }
}

struct Job<'a> {
    level: &'a Level<'a>,
    mapping: &'a Mapping,
    resampling: Resampling,
    /// Pixels of the level per pixel of the file.
    scale: (f64, f64),
}

/// Taps of all columns or rows of a part.
struct Axis {
    taps: Vec<Taps>,
    weights: Vec<f64>,
    /// Level pixels per grid pixel.
    ratio: f64,
}

impl Axis {
    fn new(resampling: Resampling, (step, origin): (f64, f64), range: std::ops::Range<usize>, size: usize) -> Self {
        let ratio = widened(step.abs());
        let mut weights = Vec::new();
        let taps =
            range.map(|at| taps(resampling, step * (at as f64 + 0.5) + origin, ratio, size, &mut weights)).collect();
        Self { taps, weights, ratio }
    }

    /// First source pixel and the one after the last.
    fn span(&self) -> Option<(usize, usize)> {
        let used = || self.taps.iter().filter(|taps| taps.count > 0);
        Some((used().map(|taps| taps.first).min()?, used().map(|taps| taps.first + taps.count).max()?))
    }
}

impl Job<'_> {
    fn axes(&self, x: (f64, f64), y: (f64, f64), part: Rect, resampling: Resampling) -> (Axis, Axis) {
        let scaled = |(step, origin): (f64, f64), scale: f64| (step * scale, origin * scale);
        (
            Axis::new(resampling, scaled(x, self.scale.0), part.x..part.x + part.width, self.level.width),
            Axis::new(resampling, scaled(y, self.scale.1), part.y..part.y + part.height, self.level.height),
        )
    }

    /// The window of the level that a part of the grid needs; `None` where they do not meet.
    fn needed(&self, part: Rect) -> Option<Rect> {
        let (left, right, top, bottom) = match self.mapping {
            Mapping::Axes { x, y } => {
                let (columns, rows) = self.axes(*x, *y, part, self.resampling);
                let ((left, right), (top, bottom)) = (columns.span()?, rows.span()?);
                (left, right, top, bottom)
            }
            Mapping::Lattice(lattice) => {
                let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
                for row in part.y..part.y + part.height {
                    lattice.row(row, part.x..part.x + part.width, |_, cell, x, y| {
                        let reach = (
                            2.0 * (cell.ratio.0 * self.scale.0).max(1.0) + 1.0,
                            2.0 * (cell.ratio.1 * self.scale.1).max(1.0) + 1.0,
                        );
                        let (x, y) = (x * self.scale.0, y * self.scale.1);
                        let near = x > -reach.0
                            && y > -reach.1
                            && x < self.level.width as f64 + reach.0
                            && y < self.level.height as f64 + reach.1;
                        if near {
                            low = (low.0.min(x - reach.0), low.1.min(y - reach.1));
                            high = (high.0.max(x + reach.0), high.1.max(y + reach.1));
                        }
                    });
                }
                let edge = |value: f64, size: usize| value.clamp(0.0, size as f64) as usize;
                let (width, height) = (self.level.width, self.level.height);
                (
                    edge(low.0.floor(), width),
                    edge(high.0.ceil(), width),
                    edge(low.1.floor(), height),
                    edge(high.1.ceil(), height),
                )
            }
        };
        (right > left && bottom > top).then(|| Rect { x: left, y: top, width: right - left, height: bottom - top })
    }

    fn fill<T: Sample>(&self, patch: &Patch<T>, part: Rect, out: &mut Pixels<T>) {
        match self.mapping {
            Mapping::Axes { x, y } => self.fill_axes(patch, *x, *y, part, out),
            Mapping::Lattice(lattice) => self.fill_lattice(patch, lattice, part, out),
        }
    }

    fn fill_axes<T: Sample>(&self, patch: &Patch<T>, x: (f64, f64), y: (f64, f64), part: Rect, out: &mut Pixels<T>) {
        let (columns, rows) = self.axes(x, y, part, self.resampling);
        let fallback = (self.resampling == Resampling::Cubic && patch.valid.is_some())
            .then(|| self.axes(x, y, part, Resampling::Bilinear));
        let coarse = columns.ratio > 1.0 || rows.ratio > 1.0;
        for (row, down) in rows.taps.iter().enumerate() {
            let to = (part.y + row) * out.width + part.x;
            for (column, across) in columns.taps.iter().enumerate() {
                let mut found =
                    combine(patch, across, &columns.weights, down, &rows.weights, coarse, fallback.is_none());
                if let (Found::Gaps, Some((columns, rows))) = (&found, &fallback) {
                    found = combine(
                        patch,
                        &columns.taps[column],
                        &columns.weights,
                        &rows.taps[row],
                        &rows.weights,
                        coarse,
                        true,
                    );
                }
                found.store(to + column, out);
            }
        }
    }

    fn fill_lattice<T: Sample>(&self, patch: &Patch<T>, lattice: &Lattice, part: Rect, out: &mut Pixels<T>) {
        let (mut across, mut down) = (Vec::new(), Vec::new());
        for row in part.y..part.y + part.height {
            let to = row * out.width;
            lattice.row(row, part.x..part.x + part.width, |column, cell, x, y| {
                let (x, y) = (x * self.scale.0, y * self.scale.1);
                let ratio = (widened(cell.ratio.0 * self.scale.0), widened(cell.ratio.1 * self.scale.1));
                let coarse = ratio.0 > 1.0 || ratio.1 > 1.0;
                if self.resampling == Resampling::Bilinear && !coarse {
                    if let Some(value) = linear(patch, x, y) {
                        Found::Value(value).store(to + column, out);
                        return;
                    }
                }
                let mut value = |resampling, gaps| {
                    across.clear();
                    down.clear();
                    let columns = taps(resampling, x, ratio.0, self.level.width, &mut across);
                    let rows = taps(resampling, y, ratio.1, self.level.height, &mut down);
                    combine(patch, &columns, &across, &rows, &down, coarse, gaps)
                };
                let mut found = value(self.resampling, self.resampling != Resampling::Cubic);
                if let Found::Gaps = found {
                    found = value(Resampling::Bilinear, true);
                }
                found.store(to + column, out);
            });
        }
    }
}

/// What a kernel found.
enum Found {
    Value(f64),
    Invalid,
    /// Some pixels of the kernel are invalid, and the kernel does not bear it: negative weights would swing.
    Gaps,
}

impl Found {
    #[inline]
    fn store<T: Sample>(self, at: usize, out: &mut Pixels<T>) {
        if let Self::Value(value) = self {
            out.values[at] = T::from_f64(value);
            out.valid[at] = 1;
        }
    }
}

/// Four pixels, all inside the patch and all valid: the common case, without lists of weights.
#[inline]
fn linear<T: Sample>(patch: &Patch<T>, x: f64, y: f64) -> Option<f64> {
    if patch.valid.is_some() {
        return None;
    }
    let (left, top) = ((x - 0.5).floor(), (y - 0.5).floor());
    let (s, t) = (x - 0.5 - left, y - 0.5 - top);
    let (column, row) = (left - patch.rect.x as f64, top - patch.rect.y as f64);
    if !(column >= 0.0 && row >= 0.0 && column + 1.0 < patch.rect.width as f64 && row + 1.0 < patch.rect.height as f64)
    {
        return None;
    }
    let at = row as usize * patch.rect.width + column as usize;
    let below = at + patch.rect.width;
    let upper = patch.values.get(at..at + 2)?;
    let lower = patch.values.get(below..below + 2)?;
    let top = upper[0].to_f64() * (1.0 - s) + upper[1].to_f64() * s;
    let bottom = lower[0].to_f64() * (1.0 - s) + lower[1].to_f64() * s;
    Some(top * (1.0 - t) + bottom * t)
}

#[inline]
fn combine<T: Sample>(
    patch: &Patch<T>,
    across: &Taps,
    across_weights: &[f64],
    down: &Taps,
    down_weights: &[f64],
    coarse: bool,
    gaps: bool,
) -> Found {
    if across.count == 0 || down.count == 0 {
        return Found::Invalid;
    }
    let width = patch.rect.width;
    let place = |x: usize, y: usize| (y - patch.rect.y) * width + x - patch.rect.x;
    if !coarse {
        let (Some(x), Some(y)) = (across.under, down.under) else { return Found::Invalid };
        if patch.valid.as_ref().is_some_and(|valid| valid[place(x, y)] == 0) {
            return Found::Invalid;
        }
    }
    let columns = &across_weights[across.begin..across.begin + across.count];
    let rows = &down_weights[down.begin..down.begin + down.count];
    let (mut sum, mut weight, mut missing) = (0.0, 0.0, false);
    for (row, &wy) in rows.iter().enumerate() {
        let from = place(across.first, down.first + row);
        let values = &patch.values[from..from + columns.len()];
        match &patch.valid {
            None => {
                for (value, &wx) in values.iter().zip(columns) {
                    sum += wy * wx * value.to_f64();
                    weight += wy * wx;
                }
            }
            Some(valid) => {
                for ((value, &wx), &valid) in values.iter().zip(columns).zip(&valid[from..from + columns.len()]) {
                    if valid == 0 {
                        missing = true;
                    } else {
                        sum += wy * wx * value.to_f64();
                        weight += wy * wx;
                    }
                }
            }
        }
    }
    if missing && !gaps {
        return Found::Gaps;
    }
    // Half of a pixel's area up to rounding.
    let enough = if coarse { 0.5 - 1e-6 } else { 1e-6 };
    if weight < enough { Found::Invalid } else { Found::Value(sum / weight) }
}
