//! Making the values of a grid from the pixels of a source that lie elsewhere.

use skysense_grid::GeoBox;

use crate::dtype::sealed::Real;
use crate::mapping::{Line, Mapping};
use crate::pixels::{Level, Patch, Rect};
use crate::read::Before;
use crate::separable::{self, Axes, Axis};
use crate::warped::Warp;
use crate::{Pixels, RasterError, Resampling, Result, Sample};

/// Source pixels held at once; larger reads are cut into parts, which stay in the processor's cache.
const HELD: usize = 1 << 18;
/// Likewise for sources behind a server: GDAL asks for all blocks of a window at once.
const HELD_REMOTE: usize = 8 << 20;
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
    let held = if level.source.is_remote() { HELD_REMOTE } else { HELD };
    let mut parts = vec![Rect { x: 0, y: 0, width: dst.width, height: dst.height }];
    while let Some(part) = parts.pop() {
        let way = Way::<T::Sum>::new(level, mapping, resampling, part);
        let Some(needed) = way.needed(part) else { continue };
        if needed.area() > held && part.width.max(part.height) > PART {
            parts.extend(halves(part).into_iter().rev());
            continue;
        }
        if needed.area() > MOST {
            return Err(too_coarse(level, part, needed));
        }
        let mut patch = level.read::<T>(needed)?;
        if let Some(before) = before {
            patch.change(before);
        }
        way.fill(&patch, part, &mut out);
    }
    Ok(out)
}

/// How one part of the grid is filled.
enum Way<'a, R> {
    Nearest(Axes<R>),
    /// Cubic kernels that lack pixels give way to the second axes.
    Separable(Axes<R>, Option<Axes<R>>),
    Warp(Warp<'a>),
}

impl<'a, R: Real> Way<'a, R> {
    fn new(level: &Level<'_>, mapping: &'a Mapping, resampling: Resampling, part: Rect) -> Self {
        let size = (level.width, level.height);
        let scale = (size.0 as f64 / level.header.width as f64, size.1 as f64 / level.header.height as f64);
        let axes = |x: &Line, y: &Line, resampling: Resampling| Axes {
            columns: Axis::new(resampling, x, scale.0, part.x..part.x + part.width, size.0),
            rows: Axis::new(resampling, y, scale.1, part.y..part.y + part.height, size.1),
        };
        match mapping {
            Mapping::Lattice(lattice) => Self::Warp(Warp { lattice, resampling, scale, size }),
            Mapping::Axes { x, y } if resampling == Resampling::Nearest => Self::Nearest(axes(x, y, resampling)),
            Mapping::Axes { x, y } => {
                let fallback = (resampling == Resampling::Cubic).then(|| axes(x, y, Resampling::Bilinear));
                Self::Separable(axes(x, y, resampling), fallback)
            }
        }
    }

    /// The window of the level that the part needs; `None` where they do not meet.
    fn needed(&self, part: Rect) -> Option<Rect> {
        match self {
            Self::Nearest(axes) => axes.needed(),
            Self::Separable(axes, fallback) => {
                let (needed, more) = (axes.needed()?, fallback.as_ref().and_then(Axes::needed));
                Some(more.map_or(needed, |more| needed.around(&more)))
            }
            Self::Warp(warp) => warp.needed(part),
        }
    }

    fn fill<T: Sample<Sum = R>>(&self, patch: &Patch<T>, part: Rect, out: &mut Pixels<T>) {
        match self {
            Self::Nearest(axes) => separable::fill_nearest(patch, axes, part, out),
            Self::Separable(axes, fallback) => separable::fill(patch, axes, fallback.as_ref(), part, out),
            Self::Warp(warp) => warp.fill(patch, part, out),
        }
    }
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

fn too_coarse(level: &Level<'_>, part: Rect, needed: Rect) -> RasterError {
    let message = format!(
        "one pixel of the grid covers {} of the source, which has no overview to read instead; make overviews or choose a finer resolution",
        needed.area() / part.area().max(1)
    );
    RasterError::Read {
        name: level.source.name.clone(),
        href: level.source.shown(),
        x: needed.x,
        y: needed.y,
        right: needed.x + needed.width,
        bottom: needed.y + needed.height,
        message,
    }
}
