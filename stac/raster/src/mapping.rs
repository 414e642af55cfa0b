//! From the pixels of a grid to the pixels of a source.

use std::sync::Arc;

use skysense_grid::GeoBox;

use crate::lattice::{self, Lattice};
use crate::pool::Lease;
use crate::{Georeference, Header, Result, Source, crs};

/// A grid this little coarser than the source counts as equally fine.
const EQUAL: f64 = 1.02;

/// Where each pixel of a grid lies in a source, in pixels of the source's finest level.
pub(crate) enum Mapping {
    /// Columns depend on columns and rows on rows.
    Axes {
        /// For columns.
        x: Line,
        /// For rows.
        y: Line,
    },
    /// Any other way.
    Lattice(Arc<Lattice>),
}

/// Positions along one axis.
///
/// They are counted from the origin of the reference system, so that a pixel gets the same position whichever
/// window of the grid is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Source pixels per pixel of the grid; negative where they run against each other.
    step: f64,
    /// Position of the grid pixel whose number is 0.
    origin: f64,
    /// Number of the grid's first pixel.
    base: i64,
}

impl Line {
    /// `pixel` are the source's pixels per unit and their position at 0, `own` the grid's units per pixel and its begin.
    fn new(pixel: (f64, f64), own: (f64, f64)) -> Self {
        let base = lattice::anchor(own.1, own.0, 0.0);
        let rest = own.1 - base as f64 * own.0;
        Self { step: pixel.0 * own.0, origin: pixel.0 * rest + pixel.1, base }
    }

    /// The source's position of the centre of a pixel of the grid.
    pub(crate) fn at(&self, pixel: usize) -> f64 {
        self.step * ((self.base + pixel as i64) as f64 + 0.5) + self.origin
    }

    /// Source pixels per grid pixel.
    pub(crate) fn ratio(&self) -> f64 {
        self.step.abs()
    }
}

impl Mapping {
    /// The mapping of a whole grid.
    pub(crate) fn new(lease: &Lease, source: &Source, header: &Header, dst: &GeoBox) -> Result<Self> {
        if let Georeference::Grid(grid) = &header.georeference {
            let (to, from) = (grid.transform.inverse()?, dst.transform);
            let straight = to.b == 0.0 && to.d == 0.0 && from.b == 0.0 && from.d == 0.0;
            if straight && crs::same(&grid.crs, &dst.crs)? {
                let x = Line::new((to.a, to.c), (from.a, from.c));
                return Ok(Self::Axes { x, y: Line::new((to.e, to.f), (from.e, from.f)) });
            }
        }
        Ok(Self::Lattice(Lattice::of(lease, source, header, dst)?))
    }

    /// Source pixels per grid pixel, at the place inside the source where they are fewest; 1 where the grid is finer.
    pub(crate) fn coarseness(&self) -> f64 {
        match self {
            Self::Axes { x, y } => x.ratio().min(y.ratio()).max(1.0),
            Self::Lattice(lattice) => lattice.coarseness,
        }
    }
}

/// A ratio below which kernels are not widened counts as 1.
pub(crate) fn widened(ratio: f64) -> f64 {
    if ratio < EQUAL { ratio.min(1.0) } else { ratio }
}
