//! STAC catalogs: from a link to the sources of pixels, and from results back to items. JSON only.
//!
//! ```text
//! SearchRequest ─► search ─► Item ─► resolve(Sensor) ─► Scene { RasterSource … } ─► stac/raster
//!                                          └─► Refusal          results ─► publish ─► item, collection
//! ```
//!
//! A [`SearchRequest`] is answered from a static catalog, a file or a STAC API as [`Item`]s with absolute
//! hrefs. A [`Sensor`], which is a data file, says what the bands of an item are called; [`resolve()`] binds
//! each band by name to one [`RasterSource`] and decides the radiometry in one place ([`Radiometry`],
//! [`Decision`]). Nothing here opens a raster: where metadata does not settle a question, the decision
//! names the pixels to look at, and [`Decision::confirm`] judges what was found.

mod access;
mod aoi;
mod asset;
mod bbox;
mod datetime;
mod decode;
mod dedup;
mod error;
mod features;
mod filter;
mod geometry;
mod group;
mod href;
mod item;
mod projection;
mod publish;
mod radiometry;
mod refusal;
mod resolve;
mod scene;
mod search;
mod sensor;
mod sign;
mod source;

pub use access::{Access, Location, RASTER_EXTENSIONS};
pub use aoi::{Area, to_wkb};
pub use asset::{Asset, AssetBand, FORMAT, SUBDATASET};
pub use bbox::Bbox;
pub use datetime::{Interval, format_datetime, parse_datetime, solar_day};
pub use dedup::{Dedup, deduplicate};
pub use error::{CatalogError, Result};
pub use features::{FeatureRow, FeatureTable, bounds, polygon_wkb, write_flatgeobuf, write_geopackage};
pub use filter::Filter;
pub use geometry::{bbox_of, footprint, intersects};
pub use group::{Day, by_solar_day};
pub use href::Root;
pub use item::Item;
pub use publish::{
    AssetRecord, BandRecord, ClassRecord, CollectionRecord, Exists, ItemRecord, ModelRecord, Published, Publishing,
    Statistics, Target, checksum, item_path, write_json, write_whole,
};
pub use radiometry::{
    Backscatter, Choice, Decision, Expected, Override, PixelCheck, PixelStatistics, Radiometry, UnitName, Verdict,
};
pub use refusal::Refusal;
pub use resolve::{Options, resolve};
pub use scene::{Mask, MaskRule, Scene};
pub use search::{Http, Limits, SearchOutcome, SearchRequest, Skipped, search};
pub use sensor::{Matches, Modality, Sensor, SensorBand, SensorMask, SensorRadiometry, Sensors};
pub use sign::Signer;
pub use source::{DataType, Georeference, RasterSource, Role};
