//! Pure grid arithmetic: where pixels lie on the Earth, without a file, a catalog or a library of projections.
//!
//! A [`GeoBox`] is the one grid value of the project: coordinate reference system, affine transform and
//! shape. Pixel rectangles are half-open [`Window`]s, and a [`ChipGrid`] cuts a `GeoBox` into overlapping
//! model inputs in row-major order. Reading means "fill this `GeoBox` from that source".

mod affine;
mod chip_grid;
mod crs;
mod error;
mod geobox;
mod window;

pub use affine::Affine;
pub use chip_grid::{Chip, ChipGrid};
pub use crs::Crs;
pub use error::{GridError, Result};
pub use geobox::GeoBox;
pub use window::Window;
