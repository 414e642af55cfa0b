//! What a COG shall hold.

use serde::{Deserialize, Serialize};
use skysense_grid::GeoBox;

use crate::{DType, RasterError, Result};

/// What the values mean to overviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Classes and masks: overviews take one pixel of four.
    Classes,
    /// Quantities: overviews take the mean of valid pixels.
    Values,
}

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Read by everything.
    #[default]
    Deflate,
    /// Smaller and quicker; read by GDAL builds that have it.
    Zstd,
    /// As it is.
    None,
}

/// One band of a COG.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BandSpec {
    /// Name, as GDAL's band description.
    pub name: String,
    /// A sentence about the band.
    pub description: Option<String>,
    /// Unit of `value * scale + offset`.
    pub unit: Option<String>,
    /// Factor from the stored to the real value.
    pub scale: Option<f64>,
    /// Summand from the stored to the real value.
    pub offset: Option<f64>,
    /// Colours of values: red, green, blue, alpha. For one band of 8 bits.
    pub colours: Vec<(u8, [u8; 4])>,
    /// Names of values, stored as metadata items `CLASS_<value>`.
    pub classes: Vec<(u8, String)>,
}

impl BandSpec {
    /// A band of which no more is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What a COG shall hold.
#[derive(Debug, Clone, PartialEq)]
pub struct CogSpec {
    /// Where the pixels lie.
    pub geobox: GeoBox,
    /// Type of all bands.
    pub dtype: DType,
    /// Value of invalid pixels; the type must hold it.
    pub nodata: Option<f64>,
    /// The bands in order.
    pub bands: Vec<BandSpec>,
    /// What the values mean to overviews.
    pub content: Content,
    /// How blocks are compressed.
    pub compression: Compression,
    /// Metadata items of the file. Anything that changes from run to run changes the checksum.
    pub metadata: Vec<(String, String)>,
    /// Threads that compress; the bytes do not depend on them.
    pub threads: usize,
}

impl CogSpec {
    /// A map of classes in bytes: deflate, one thread.
    pub fn classes(geobox: GeoBox, band: BandSpec, nodata: Option<f64>) -> Self {
        Self {
            geobox,
            dtype: DType::UInt8,
            nodata,
            bands: vec![band],
            content: Content::Classes,
            compression: Compression::Deflate,
            metadata: Vec::new(),
            threads: 1,
        }
    }

    /// Quantities: deflate, one thread.
    pub fn values(geobox: GeoBox, dtype: DType, bands: Vec<BandSpec>, nodata: Option<f64>) -> Self {
        Self {
            geobox,
            dtype,
            nodata,
            bands,
            content: Content::Values,
            compression: Compression::Deflate,
            metadata: Vec::new(),
            threads: 1,
        }
    }

    /// Pixels a side of a block: smaller where many bands make one block heavy.
    pub(crate) fn block(&self) -> usize {
        if self.bands.len() * self.dtype.bytes() > 16 { 256 } else { 512 }
    }

    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        let fault = |problem: String| Err(RasterError::Spec { path: path.into(), problem });
        if self.bands.is_empty() || self.bands.len() > 65_535 {
            return fault(format!("{} bands: a COG has between 1 and 65535", self.bands.len()));
        }
        if matches!(self.dtype, DType::UInt32 | DType::Int32 | DType::Float64) {
            return fault(format!("pixel type {}: COGs are written as uint8, uint16, int16 or float32", self.dtype));
        }
        if let (Some(nodata), Some((low, high))) = (self.nodata, self.dtype.range())
            && (!(low..=high).contains(&nodata) || nodata.fract() != 0.0)
        {
            return fault(format!("nodata {nodata} is no value of {}, which holds {low} to {high}", self.dtype));
        }
        let coloured = self.bands.iter().any(|band| !band.colours.is_empty());
        if coloured && (self.dtype != DType::UInt8 || self.bands.len() != 1) {
            return fault(format!(
                "a colour table belongs to a single band of uint8, not to {} of {}",
                self.bands.len(),
                self.dtype
            ));
        }
        let texts =
            self.metadata.iter().flat_map(|(key, value)| [key, value]).chain(self.bands.iter().map(|band| &band.name));
        if let Some(text) = texts.into_iter().find(|text| text.contains('\0')) {
            return fault(format!("the text {text:?} holds a zero byte"));
        }
        if let Some((key, _)) = self.metadata.iter().find(|(key, _)| key.is_empty() || key.contains(['=', ':'])) {
            return fault(format!("metadata key {key:?}: it must not be empty nor hold '=' or ':'"));
        }
        Ok(())
    }
}
