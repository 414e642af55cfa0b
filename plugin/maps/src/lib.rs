//! What a map is when it is stored: its layers, how blended values become pixels, and how it is described.
//!
//! Whoever stores a map goes through here: `stac.write`, which writes whole COGs, and the GDAL driver, which computes the
//! window that is read. So both give the same pixels.

mod layer;
mod lineage;

pub use layer::{FeatureType, Layer, Output, Stored, layers};
pub use lineage::lineage;
