//! Resampling through a lattice, where each pixel has a position of its own.

use crate::combine::{Found, Small, Weighted, combine, cubic, linear};
use crate::dtype::sealed::Real;
use crate::kernel::{reach, taps};
use crate::lattice::{Block, CELL, Lattice};
use crate::mapping::widened;
use crate::pixels::{Measured, Patch, Rect};
use crate::{Pixels, Resampling, Sample};

/// How positions of the lattice become pixels of a level.
#[derive(Clone, Copy)]
pub(crate) struct Warp<'a> {
    pub(crate) lattice: &'a Lattice,
    pub(crate) resampling: Resampling,
    /// Pixels of the level per pixel of the file.
    pub(crate) scale: (f64, f64),
    /// Width and height of the level.
    pub(crate) size: (usize, usize),
}

/// What a block needs of the level.
struct Need {
    rect: Rect,
    /// Whether all kernels lie inside the level as a whole.
    inside: bool,
}

impl Warp<'_> {
    /// The window of the level that a part of the grid needs; `None` where they do not meet.
    pub(crate) fn needed(&self, part: Rect) -> Option<Rect> {
        let needs = self.lattice.blocks(part).filter_map(|block| self.need(&block));
        needs.map(|need| need.rect).reduce(|all, rect| all.around(&rect))
    }

    fn ratio(&self, block: &Block<'_>) -> (f64, f64) {
        let ratio = block.ratio();
        (widened(ratio.0 * self.scale.0), widened(ratio.1 * self.scale.1))
    }

    fn need(&self, block: &Block<'_>) -> Option<Need> {
        let (span, ratio) = (block.span()?, self.ratio(block));
        let axis = |low: f64, high: f64, scale: f64, ratio: f64, size: usize| {
            let reach = reach(self.resampling, ratio);
            let (low, high) = ((low * scale - reach).floor(), (high * scale + reach).ceil());
            let inside = low >= 0.0 && high <= size as f64;
            let (low, high) = (low.clamp(0.0, size as f64) as usize, high.clamp(0.0, size as f64) as usize);
            (high > low).then_some((low, high - low, inside))
        };
        let (x, width, inside_x) = axis(span.low.0, span.high.0, self.scale.0, ratio.0, self.size.0)?;
        let (y, height, inside_y) = axis(span.low.1, span.high.1, self.scale.1, ratio.1, self.size.1)?;
        Some(Need { rect: Rect { x, y, width, height }, inside: span.whole && inside_x && inside_y })
    }

    /// Fills a part of the grid from a patch that holds what it needs.
    pub(crate) fn fill<T: Sample>(&self, patch: &Patch<T>, part: Rect, out: &mut Pixels<T>) {
        for block in self.lattice.blocks(part) {
            let Some(need) = self.need(&block) else { continue };
            let measured = patch.measured(need.rect);
            let ratio = self.ratio(&block);
            let coarse = ratio.0 > 1.0 || ratio.1 > 1.0;
            let small = Small::of(self.resampling, coarse);
            match (measured, small) {
                (Measured::None, _) => {}
                (Measured::All, Some(small)) if need.inside => self.fill_whole(&block, small, patch, out),
                _ => self.fill_single(&block, Table { small, ratio, coarse }, patch, out),
            }
        }
    }

    /// All kernels of the block lie inside the level, and all of their pixels are valid.
    fn fill_whole<T: Sample>(&self, block: &Block<'_>, small: Small, patch: &Patch<T>, out: &mut Pixels<T>) {
        let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
        let mut places = Places::default();
        let (rect, width) = (block.rect, patch.rect.width);
        for row in 0..rect.height {
            block.row(row, self.scale, &mut xs, &mut ys);
            places.find(&xs[..rect.width], &ys[..rect.width], small, patch.rect);
            let to = (rect.y + row) * out.width + rect.x;
            let values = &mut out.values[to..to + rect.width];
            out.valid[to..to + rect.width].fill(1);
            let all = values.iter_mut().zip(&places.at).zip(places.s.iter().zip(&places.t));
            match small {
                Small::Nearest => all.for_each(|((value, &at), _)| *value = patch.values[at as usize]),
                Small::Linear => all.for_each(|((value, &at), (&s, &t))| {
                    *value = T::from_sum(linear(&patch.values, at as usize, width, s, t));
                }),
                Small::Cubic => all.for_each(|((value, &at), (&s, &t))| {
                    *value = T::from_sum(cubic(&patch.values, at as usize, width, s, t));
                }),
            }
        }
    }

    /// Value by value: at the edge of the level, where pixels are missing, and with kernels of any width.
    fn fill_single<T: Sample>(&self, block: &Block<'_>, table: Table, patch: &Patch<T>, out: &mut Pixels<T>) {
        let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
        let mut scratch = Scratch::<T::Sum>::default();
        let rect = block.rect;
        for row in 0..rect.height {
            block.row(row, self.scale, &mut xs, &mut ys);
            let to = (rect.y + row) * out.width + rect.x;
            for column in 0..rect.width {
                let found = self.single(&table, patch, (xs[column], ys[column]), &mut scratch);
                found.store(&mut out.values[to + column], &mut out.valid[to + column]);
            }
        }
    }

    fn single<T: Sample>(
        &self,
        table: &Table,
        patch: &Patch<T>,
        position: (f64, f64),
        scratch: &mut Scratch<T::Sum>,
    ) -> Found<T::Sum> {
        // As in a whole block, so that a value does not depend on what else lies in its block.
        if let Some(found) = table.small.and_then(|small| self.whole(small, patch, position)) {
            return Found::Value(found);
        }
        let found = self.tabled(self.resampling, table, patch, position, scratch);
        match found {
            Found::Gaps => self.tabled(Resampling::Bilinear, table, patch, position, scratch),
            found => found,
        }
    }

    /// The value of a small kernel, if all of its pixels are there and valid.
    fn whole<T: Sample>(&self, small: Small, patch: &Patch<T>, (x, y): (f64, f64)) -> Option<T::Sum> {
        let (x, y) = (x + small.shift(), y + small.shift());
        let last = |size: usize| size as f64 - small.side() as f64 + 1.0;
        if !(x >= 0.0 && y >= 0.0 && x < last(self.size.0) && y < last(self.size.1)) {
            return None;
        }
        let (column, row) = (x as usize, y as usize);
        let rect = Rect { x: column, y: row, width: small.side(), height: small.side() };
        if patch.measured(rect) != Measured::All {
            return None;
        }
        let (s, t) = (T::Sum::of(x - column as f64), T::Sum::of(y - row as f64));
        let (at, width) = (patch.place(column, row), patch.rect.width);
        Some(match small {
            Small::Nearest => patch.values[at].to_sum(),
            Small::Linear => linear(&patch.values, at, width, s, t),
            Small::Cubic => cubic(&patch.values, at, width, s, t),
        })
    }

    fn tabled<T: Sample>(
        &self,
        resampling: Resampling,
        table: &Table,
        patch: &Patch<T>,
        (x, y): (f64, f64),
        scratch: &mut Scratch<T::Sum>,
    ) -> Found<T::Sum> {
        let mut along = |position: f64, ratio: f64, size: usize, weights: &mut Vec<T::Sum>| {
            let found = taps(resampling, position, ratio, size, &mut scratch.wide);
            weights.clear();
            weights.extend(scratch.wide.iter().map(|&weight| T::Sum::of(weight)));
            found
        };
        let columns = along(x, table.ratio.0, self.size.0, &mut scratch.across);
        let rows = along(y, table.ratio.1, self.size.1, &mut scratch.down);
        let across = Weighted { taps: columns, weights: &scratch.across };
        let down = Weighted { taps: rows, weights: &scratch.down };
        // A cubic that lacks pixels gives way to the bilinear kernel.
        combine(patch, across, down, table.coarse, resampling != Resampling::Cubic)
    }
}

/// How values of a block are made one by one.
struct Table {
    small: Option<Small>,
    ratio: (f64, f64),
    coarse: bool,
}

#[derive(Default)]
struct Scratch<R> {
    wide: Vec<f64>,
    across: Vec<R>,
    down: Vec<R>,
}

/// Where the small kernels of a row begin in a patch, and how far behind their begin its positions lie.
struct Places<R> {
    at: [u32; CELL],
    s: [R; CELL],
    t: [R; CELL],
}

impl<R: Real> Default for Places<R> {
    fn default() -> Self {
        Self { at: [0; CELL], s: [R::default(); CELL], t: [R::default(); CELL] }
    }
}

impl<R: Real> Places<R> {
    /// All positions must lie inside the patch with all of their kernels.
    fn find(&mut self, xs: &[f64], ys: &[f64], small: Small, rect: Rect) {
        let shift = small.shift();
        let (left, top, width) = (rect.x as i32, rect.y as i32, rect.width as i32);
        for (at, (&x, &y)) in xs.iter().zip(ys).enumerate() {
            let (x, y) = (x + shift, y + shift);
            // Positions are not negative here, so this is the whole number below.
            let (column, row) = (x as i32, y as i32);
            self.at[at] = ((row - top) * width + column - left) as u32;
            self.s[at] = R::of(x - f64::from(column));
            self.t[at] = R::of(y - f64::from(row));
        }
    }
}
