//! Fills a [`GeoBox`](skysense_grid::GeoBox) from a [`Source`] and writes COGs; the only crate that knows GDAL.
//!
//! Reading takes two steps: [`header()`] opens a file and says what it is (for plans), [`read()`] fills a grid
//! from it (for runs). [`CogWriter`] takes rows in order and leaves a finished COG or nothing; [`Blender`]
//! makes such rows from overlapping chips while it holds one row of chips.
//!
//! All functions block and may be called from many threads. Pixels are always `values` and `valid`: an
//! invalid pixel has the value 0 and never takes part in another pixel's value.

mod blend;
mod cog;
mod combine;
mod crs;
mod dtype;
mod error;
mod footprint;
mod header;
mod kernel;
mod lattice;
mod locate;
mod mapping;
mod messages;
mod outlines;
mod pixels;
mod pool;
mod probe;
mod read;
mod resample;
mod separable;
mod setup;
mod shapes;
mod sidecars;
mod source;
mod vector;
mod warped;

pub use blend::{Blender, Patch, Rows};
pub use cog::{BandSpec, BandStatistics, CogInfo, CogSpec, CogWriter, Compression, Content, checksum};
pub use crs::{centre_lon_lat, is_geographic, transform_bounds, transform_point};
pub use dtype::{DType, Sample};
pub use error::{RasterError, Result};
pub use footprint::{Footprint, footprint};
pub use header::{Georeference, Header, band_names, header, shape};
pub use outlines::{CrsDefinition, Outline, crs_definition, outlines};
pub use pixels::Pixels;
pub use pool::close_idle;
pub use probe::{PixelStatistics, pixel_statistics};
pub use read::{Before, Resampling, read, read_changed, read_typed};
pub use setup::{Options, Versions, setup, versions};
pub use shapes::Shapes;
pub use source::{Source, file_path};
