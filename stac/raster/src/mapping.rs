//! From the pixels of a grid to the pixels of a source.
//!
//! Through a projection the exact position is computed at nodes and followed linearly between them where
//! that is right to a hundredth of a pixel. Nodes stand at whole multiples of 64 pixels counted from the
//! origin of the reference system, so a pixel gets the same position whichever window of the grid is read.

use std::ffi::CString;
use std::rc::Rc;

use gdal::spatial_ref::CoordTransform;
use skysense_grid::{Affine, GeoBox};

use crate::messages::capture;
use crate::pool::Lease;
use crate::{Georeference, Header, RasterError, Result, Source, crs};

/// Pixels a side of a cell.
const CELL: usize = 64;
/// Distance of nodes inside a cell that one bilinear patch does not follow.
const FINE: usize = 16;
/// Pixels of the source by which a position may be off.
const TOLERANCE: f64 = 0.01;
/// A grid this little coarser than the source counts as equally fine.
const EQUAL: f64 = 1.02;

/// Where each pixel of a grid lies in a source, in pixels of the source's finest level.
pub(crate) enum Mapping {
    /// Columns depend on columns and rows on rows.
    Axes {
        /// Source column = `x.0 * column + x.1`, for continuous columns of the grid.
        x: (f64, f64),
        /// Likewise for rows.
        y: (f64, f64),
    },
    /// Any other way.
    Lattice(Lattice),
}

/// Positions by cells of the grid.
pub(crate) struct Lattice {
    /// The grid's first pixel, counted from the origin of the reference system.
    base: (i64, i64),
    /// Number of the first cell.
    first: (i64, i64),
    columns: usize,
    cells: Vec<Cell>,
    coarseness: f64,
}

/// Positions inside one cell.
pub(crate) struct Cell {
    /// Pixels between nodes.
    step: usize,
    /// `[CELL / step + 1]²` positions, row by row; NaN where there is none. With a step of 1, `[CELL]²`.
    nodes: Vec<(f64, f64)>,
    /// Source pixels per grid pixel along x and y.
    pub(crate) ratio: (f64, f64),
}

impl Mapping {
    /// The mapping of a whole grid.
    pub(crate) fn new(lease: &Lease, source: &Source, header: &Header, dst: &GeoBox) -> Result<Self> {
        if let Georeference::Grid(grid) = &header.georeference {
            if crs::same(&grid.crs, &dst.crs)? {
                let (to, from) = (grid.transform.inverse()?, dst.transform);
                let (a, b) = (to.a * from.a + to.b * from.d, to.a * from.b + to.b * from.e);
                let (d, e) = (to.d * from.a + to.e * from.d, to.d * from.b + to.e * from.e);
                let (c, f) = to.apply(from.c, from.f);
                if b == 0.0 && d == 0.0 {
                    return Ok(Self::Axes { x: (a, c), y: (e, f) });
                }
            }
        }
        let locate = Locate::new(lease, source, header, dst)?;
        Ok(Self::Lattice(Lattice::new(&locate, header, dst)))
    }

    /// Source pixels per grid pixel, at the place inside the source where they are fewest; 1 where the grid is finer.
    pub(crate) fn coarseness(&self) -> f64 {
        match self {
            Self::Axes { x, y } => x.0.abs().min(y.0.abs()).max(1.0),
            Self::Lattice(lattice) => lattice.coarseness,
        }
    }
}

/// A ratio below which kernels are not widened counts as 1.
pub(crate) fn widened(ratio: f64) -> f64 {
    if ratio < EQUAL { ratio.min(1.0) } else { ratio }
}

impl Lattice {
    fn new(locate: &Locate<'_>, header: &Header, dst: &GeoBox) -> Self {
        let t = dst.transform;
        let anchor = |origin: f64, step: f64, rotated: f64| {
            let pixels = (origin / step).round();
            if rotated == 0.0 && pixels.abs() < 1e12 { pixels as i64 } else { 0 }
        };
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

    /// Calls `each(column, cell, x, y)` for the pixels `columns` of a row of the grid; NaN where the place
    /// does not lie in the source's projection.
    pub(crate) fn row(
        &self,
        row: usize,
        columns: std::ops::Range<usize>,
        mut each: impl FnMut(usize, &Cell, f64, f64),
    ) {
        let cell = CELL as i64;
        let absolute = self.base.1 + row as i64;
        let cell_row = (absolute.div_euclid(cell) - self.first.1) as usize;
        let v = absolute.rem_euclid(cell) as usize;
        let mut column = columns.start;
        while column < columns.end {
            let absolute = self.base.0 + column as i64;
            let cell_column = (absolute.div_euclid(cell) - self.first.0) as usize;
            let from = absolute.rem_euclid(cell) as usize;
            let count = (CELL - from).min(columns.end - column);
            let found = &self.cells[cell_row * self.columns + cell_column];
            for u in from..from + count {
                let (x, y) = found.position(u, v);
                each(column + u - from, found, x, y);
            }
            column += count;
        }
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
    #[inline]
    fn position(&self, u: usize, v: usize) -> (f64, f64) {
        if self.step == 1 {
            return self.nodes[v * CELL + u];
        }
        let side = CELL / self.step + 1;
        let (column, row) = (u / self.step, v / self.step);
        let scale = 1.0 / self.step as f64;
        let (s, t) = ((u % self.step) as f64 * scale, (v % self.step) as f64 * scale);
        let at = row * side + column;
        let (a, b, c, d) = (self.nodes[at], self.nodes[at + 1], self.nodes[at + side], self.nodes[at + side + 1]);
        let blend = |a: f64, b: f64, c: f64, d: f64| {
            let (top, bottom) = (a + (b - a) * s, c + (d - c) * s);
            top + (bottom - top) * t
        };
        (blend(a.0, b.0, c.0, d.0), blend(a.1, b.1, c.1, d.1))
    }
}

/// Finds exact positions.
struct Locate<'a> {
    world: Affine,
    way: Way<'a>,
}

enum Way<'a> {
    Projection {
        transform: Rc<CoordTransform>,
        to_pixel: Affine,
        /// Middle longitude of a source in degrees: positions are looked for on its side of the antimeridian.
        around: Option<f64>,
    },
    SameCrs {
        to_pixel: Affine,
    },
    Gcps(Spline<'a>),
}

/// GDAL's transformer through ground control points.
struct Spline<'a> {
    arguments: *mut std::ffi::c_void,
    _dataset: &'a Lease,
}

impl Drop for Spline<'_> {
    fn drop(&mut self) {
        // SAFETY: made by GDALCreateGenImgProjTransformer2, destroyed once.
        unsafe { gdal_sys::GDALDestroyGenImgProjTransformer(self.arguments) };
    }
}

impl<'a> Locate<'a> {
    fn new(lease: &'a Lease, source: &Source, header: &Header, dst: &GeoBox) -> Result<Self> {
        let way = match &header.georeference {
            Georeference::Grid(grid) if crs::same(&grid.crs, &dst.crs)? => {
                Way::SameCrs { to_pixel: grid.transform.inverse()? }
            }
            Georeference::Grid(grid) => {
                let bounds = grid.bounds();
                let around = crs::is_geographic(&grid.crs)?.then_some((bounds[0] + bounds[2]) / 2.0);
                Way::Projection {
                    transform: crs::transformation(&dst.crs, &grid.crs)?,
                    to_pixel: grid.transform.inverse()?,
                    around,
                }
            }
            Georeference::Gcps { .. } => Way::Gcps(Spline::new(lease, source, dst)?),
        };
        Ok(Self { world: dst.transform, way })
    }

    /// Source positions of points of the grid.
    fn all(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) =
            points.iter().map(|&(column, row)| self.world.apply(column, row)).unzip();
        let to_pixel = match &self.way {
            Way::SameCrs { to_pixel } => to_pixel,
            Way::Projection { transform, to_pixel, around } => {
                crs::project(transform, &mut x, &mut y);
                if let Some(around) = around {
                    x.iter_mut().for_each(|x| *x -= 360.0 * ((*x - around) / 360.0).round());
                }
                to_pixel
            }
            Way::Gcps(spline) => {
                spline.locate(&mut x, &mut y);
                return x.into_iter().zip(y).collect();
            }
        };
        x.into_iter().zip(y).map(|(x, y)| to_pixel.apply(x, y)).collect()
    }
}

impl<'a> Spline<'a> {
    fn new(lease: &'a Lease, source: &Source, dst: &GeoBox) -> Result<Self> {
        let fault = |message| RasterError::Gdal {
            call: "GDALCreateGenImgProjTransformer2",
            message: format!("{}: {}: {message}", source.name, source.shown()),
        };
        let (wkt, messages) = capture(|| crs::spatial_reference(&dst.crs).map(|reference| reference.to_wkt()));
        let wkt = wkt?.map_err(|_| fault(messages.text()))?;
        let target = CString::new(format!("DST_SRS={wkt}")).map_err(|error| fault(error.to_string()))?;
        let mut options = [target.as_ptr().cast_mut(), c"METHOD=GCP_TPS".as_ptr().cast_mut(), std::ptr::null_mut()];
        let dataset = lease.dataset().c_dataset();
        // SAFETY: the dataset is leased; the options are terminated strings, the list ends with null, and GDAL
        // copies what it keeps.
        let (arguments, messages) = capture(|| unsafe {
            gdal_sys::GDALCreateGenImgProjTransformer2(dataset, std::ptr::null_mut(), options.as_mut_ptr())
        });
        if arguments.is_null() { Err(fault(messages.text())) } else { Ok(Self { arguments, _dataset: lease }) }
    }

    fn locate(&self, x: &mut [f64], y: &mut [f64]) {
        let count = x.len().min(y.len());
        let (mut z, mut ok) = (vec![0.0; count], vec![0; count]);
        // SAFETY: all arrays hold `count` values; the transformer is used by this thread alone.
        let ((), _) = capture(|| unsafe {
            gdal_sys::GDALGenImgProjTransform(
                self.arguments,
                1,
                count as i32,
                x.as_mut_ptr(),
                y.as_mut_ptr(),
                z.as_mut_ptr(),
                ok.as_mut_ptr(),
            );
        });
        for at in 0..count {
            if ok[at] == 0 {
                (x[at], y[at]) = (f64::NAN, f64::NAN);
            }
        }
    }
}
