//! Positions in a source by cells of the grid, where they follow no axes.
//!
//! Through a projection the exact position is computed at nodes and followed linearly between them where
//! that is right to a hundredth of a pixel. Nodes stand at whole multiples of 64 pixels counted from the
//! origin of the reference system, so a pixel gets the same position whichever window of the grid is read.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use skysense_grid::GeoBox;

use crate::locate::Locate;
use crate::pixels::Rect;
use crate::pool::Lease;
use crate::{Header, Result, Source};

/// Pixels a side of a cell.
pub(crate) const CELL: usize = 64;
/// Distance of nodes inside a cell that one bilinear patch does not follow.
const FINE: usize = 16;
/// Pixels of the source by which a position may be off.
const TOLERANCE: f64 = 0.01;
/// Lattices that are kept: the bands and dates of a scene lie on few grids and are read window by window.
const KEPT: usize = 16;
/// Most nodes of a lattice that is kept, a megabyte of them.
const SMALL: usize = 1 << 16;

static KNOWN: Mutex<Vec<(GeoBox, GeoBox, Arc<Lattice>)>> = Mutex::new(Vec::new());

/// Positions by cells of the grid.
pub(crate) struct Lattice {
    /// The grid's first pixel, counted from the origin of the reference system.
    base: (i64, i64),
    /// Number of the first cell.
    first: (i64, i64),
    columns: usize,
    cells: Vec<Cell>,
    /// Source pixels per grid pixel, at the place inside the source where they are fewest; 1 where the grid is finer.
    pub(crate) coarseness: f64,
}

/// Positions inside one cell.
struct Cell {
    /// Pixels between nodes.
    step: usize,
    /// `[CELL / step + 1]²` positions, row by row; NaN where there is none. With a step of 1, `[CELL]²`.
    nodes: Vec<(f64, f64)>,
    /// Source pixels per grid pixel along x and y.
    ratio: (f64, f64),
}

/// The part of a cell that lies inside a part of the grid.
pub(crate) struct Block<'a> {
    cell: &'a Cell,
    /// Its pixels on the grid.
    pub(crate) rect: Rect,
    /// Its first pixel in the cell.
    corner: (usize, usize),
}

/// Between which positions the centres of a block's pixels lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) low: (f64, f64),
    pub(crate) high: (f64, f64),
    /// Whether every pixel has a position.
    pub(crate) whole: bool,
}

/// The number of a grid's first pixel along an axis, counted from the origin of the reference system.
pub(crate) fn anchor(origin: f64, step: f64, rotated: f64) -> i64 {
    let pixels = (origin / step).round();
    if rotated == 0.0 && pixels.abs() < 1e12 { pixels as i64 } else { 0 }
}

impl Lattice {
    /// The lattice of a whole grid, made once for all sources that lie on one grid.
    pub(crate) fn of(lease: &Lease, source: &Source, header: &Header, dst: &GeoBox) -> Result<Arc<Self>> {
        let Some(from) = header.geobox() else {
            return Ok(Arc::new(Self::new(&Locate::new(lease, source, header, dst)?, header, dst)));
        };
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, found)) = known().iter().find(|(a, b, _)| a == from && b == dst) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(Self::new(&Locate::new(lease, source, header, dst)?, header, dst));
        if made.cells.iter().map(|cell| cell.nodes.len()).sum::<usize>() <= SMALL {
            let mut known = known();
            if known.len() >= KEPT {
                known.remove(0);
            }
            known.push((from.clone(), dst.clone(), Arc::clone(&made)));
        }
        Ok(made)
    }

    fn new(locate: &Locate<'_>, header: &Header, dst: &GeoBox) -> Self {
        let t = dst.transform;
        let base = (anchor(t.c, t.a, t.b), anchor(t.f, t.e, t.d));
        let cell = CELL as i64;
        let first = (base.0.div_euclid(cell), base.1.div_euclid(cell));
        let last =
            ((base.0 + dst.width as i64 - 1).div_euclid(cell), (base.1 + dst.height as i64 - 1).div_euclid(cell));
        let (columns, rows) = ((last.0 - first.0 + 1) as usize, (last.1 - first.1 + 1) as usize);
        let mut cells = Vec::with_capacity(columns * rows);
        let mut coarseness = f64::INFINITY;
        for row in 0..rows as i64 {
            for column in 0..columns as i64 {
                let corner = ((first.0 + column) * cell - base.0, (first.1 + row) * cell - base.1);
                let (made, centre) = Cell::new(locate, (corner.0 as f64, corner.1 as f64));
                let inside =
                    (0.0..=header.width as f64).contains(&centre.0) && (0.0..=header.height as f64).contains(&centre.1);
                if inside {
                    coarseness = coarseness.min(made.ratio.0).min(made.ratio.1);
                }
                cells.push(made);
            }
        }
        let coarseness = if coarseness.is_finite() { coarseness.max(1.0) } else { 1.0 };
        Self { base, first, columns, cells, coarseness }
    }

    /// The cells of a part of the grid.
    pub(crate) fn blocks(&self, part: Rect) -> impl Iterator<Item = Block<'_>> {
        let columns = cuts(self.base.0, part.x..part.x + part.width);
        cuts(self.base.1, part.y..part.y + part.height).flat_map(move |(row, y, v, height)| {
            columns.clone().map(move |(column, x, u, width)| {
                let at = (row - self.first.1) as usize * self.columns + (column - self.first.0) as usize;
                Block { cell: &self.cells[at], rect: Rect { x, y, width, height }, corner: (u, v) }
            })
        })
    }
}

/// Cuts pixels into cells: number of the cell, first pixel on the grid, first pixel in the cell, count.
fn cuts(base: i64, pixels: Range<usize>) -> impl Iterator<Item = (i64, usize, usize, usize)> + Clone {
    let cell = CELL as i64;
    let mut next = pixels.start;
    std::iter::from_fn(move || {
        let absolute = base + next as i64;
        let from = absolute.rem_euclid(cell) as usize;
        let count = (CELL - from).min(pixels.end.saturating_sub(next));
        let cut = (absolute.div_euclid(cell), next, from, count);
        next += count;
        (count > 0).then_some(cut)
    })
}

impl Block<'_> {
    /// Source pixels per grid pixel along x and y.
    pub(crate) fn ratio(&self) -> (f64, f64) {
        self.cell.ratio
    }

    /// Where the block lies in the source; `None` where no pixel has a position.
    pub(crate) fn span(&self) -> Option<Span> {
        let infinite = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut x, mut y, mut whole) = (infinite, infinite, true);
        let mut add = |u: usize, v: usize| {
            let (px, py) = self.cell.position(u, v);
            whole &= px.is_finite() && py.is_finite();
            // NaN is never the smaller or greater one.
            x = (px.min(x.0), px.max(x.1));
            y = (py.min(y.0), py.max(y.1));
        };
        // Between its nodes a position is bilinear: it is least and greatest at the corners of each patch.
        let ends = |from: usize, count: usize| {
            let step = self.cell.step;
            let patches = from / step..(from + count - 1) / step + 1;
            patches.flat_map(move |patch| [from.max(patch * step), (from + count - 1).min(patch * step + step - 1)])
        };
        for v in ends(self.corner.1, self.rect.height) {
            ends(self.corner.0, self.rect.width).for_each(|u| add(u, v));
        }
        (x.0.is_finite() && y.0.is_finite()).then_some(Span { low: (x.0, y.0), high: (x.1, y.1), whole })
    }

    /// Positions of the pixels of one of the block's rows, scaled; NaN where there is none.
    pub(crate) fn row(&self, row: usize, scale: (f64, f64), xs: &mut [f64; CELL], ys: &mut [f64; CELL]) {
        let (cell, v) = (self.cell, self.corner.1 + row);
        let (from, to) = (self.corner.0, self.corner.0 + self.rect.width);
        if cell.step == 1 {
            for (at, &(x, y)) in cell.nodes[v * CELL + from..v * CELL + to].iter().enumerate() {
                (xs[at], ys[at]) = (x * scale.0, y * scale.1);
            }
            return;
        }
        let mut u = from;
        while u < to {
            let end = (u / cell.step * cell.step + cell.step).min(to);
            let along = cell.along(u, v);
            let begin = u % cell.step;
            for at in 0..end - u {
                let (x, y) = along.at(begin + at);
                (xs[u - from + at], ys[u - from + at]) = (x * scale.0, y * scale.1);
            }
            u = end;
        }
    }
}

/// Positions along a row between two nodes.
struct Along {
    begin: (f64, f64),
    length: (f64, f64),
    scale: f64,
}

impl Along {
    #[inline]
    fn at(&self, pixel: usize) -> (f64, f64) {
        let share = pixel as f64 * self.scale;
        (self.begin.0 + self.length.0 * share, self.begin.1 + self.length.1 * share)
    }
}

impl Cell {
    /// The cell whose first pixel is `corner`, and the position of its middle.
    fn new(locate: &Locate<'_>, corner: (f64, f64)) -> (Self, (f64, f64)) {
        // The middle, and a pixel to the right of and below it.
        let half = CELL as f64 / 2.0;
        let around = locate.all(
            &[(half, half), (half + 1.0, half), (half, half + 1.0)]
                .map(|(u, v)| (corner.0 + u + 0.5, corner.1 + v + 0.5)),
        );
        let middle = around[0];
        let along = |to: (f64, f64)| (to.0 - middle.0, to.1 - middle.1);
        let (right, below) = (along(around[1]), along(around[2]));
        let ratio = (right.0.hypot(below.0), right.1.hypot(below.1));
        let ratio = if ratio.0.is_finite() && ratio.1.is_finite() { ratio } else { (1.0, 1.0) };
        for step in [CELL, FINE] {
            let side = CELL / step;
            // Nodes at even places, places to be checked between them at odd ones.
            let points: Vec<_> = (0..=2 * side)
                .flat_map(|row| (0..=2 * side).map(move |column| (column, row)))
                .map(|(column, row)| {
                    (corner.0 + (column * step) as f64 / 2.0 + 0.5, corner.1 + (row * step) as f64 / 2.0 + 0.5)
                })
                .collect();
            let exact = locate.all(&points);
            let at = |column: usize, row: usize| exact[row * (2 * side + 1) + column];
            let nodes: Vec<_> = (0..=side)
                .flat_map(|row| (0..=side).map(move |column| (column, row)))
                .map(|(column, row)| at(2 * column, 2 * row))
                .collect();
            let cell = Self { step, nodes, ratio };
            let follows =
                (0..=2 * side).flat_map(|row| (0..=2 * side).map(move |column| (column, row))).all(|(column, row)| {
                    let (u, v) = ((column * step / 2).min(CELL - 1), (row * step / 2).min(CELL - 1));
                    let (x, y) = if (column * step / 2, row * step / 2) == (u, v) {
                        cell.position(u, v)
                    } else {
                        at(column, row)
                    };
                    let wanted = at(column, row);
                    (x - wanted.0).abs() < TOLERANCE && (y - wanted.1).abs() < TOLERANCE
                });
            if follows {
                return (cell, middle);
            }
        }
        let points: Vec<_> = (0..CELL * CELL)
            .map(|at| (corner.0 + (at % CELL) as f64 + 0.5, corner.1 + (at / CELL) as f64 + 0.5))
            .collect();
        (Self { step: 1, nodes: locate.all(&points), ratio }, middle)
    }

    /// The position of the centre of pixel `(u, v)` of the cell.
    fn position(&self, u: usize, v: usize) -> (f64, f64) {
        if self.step == 1 {
            return self.nodes[v * CELL + u];
        }
        self.along(u, v).at(u % self.step)
    }

    /// The row of pixel `(u, v)` between the nodes left and right of it.
    fn along(&self, u: usize, v: usize) -> Along {
        let side = CELL / self.step + 1;
        let at = v / self.step * side + u / self.step;
        let scale = 1.0 / self.step as f64;
        let down = (v % self.step) as f64 * scale;
        let edge = |upper: (f64, f64), lower: (f64, f64)| {
            (upper.0 + (lower.0 - upper.0) * down, upper.1 + (lower.1 - upper.1) * down)
        };
        let begin = edge(self.nodes[at], self.nodes[at + side]);
        let end = edge(self.nodes[at + 1], self.nodes[at + side + 1]);
        Along { begin, length: (end.0 - begin.0, end.1 - begin.1), scale }
    }
}
