//! Where to learn from: polygons, and squares on the grids of their zones.

mod draw;
mod lattice;
mod polygon;

pub(crate) use draw::{DrawError, Method, Sampling, draw};
pub(crate) use lattice::Lattice;
pub(crate) use polygon::Polygons;
