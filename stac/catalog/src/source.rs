//! The border between catalogs and pixels: one record per band to read.

use serde::{Deserialize, Serialize};
use skysense_grid::GeoBox;

use crate::{Radiometry, Root};

/// One band of one file, as the catalog claims it to be.
///
/// The raster side opens `href` (or an alternate) within what [`crate::Access`] allows, and believes the file where
/// it contradicts the claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RasterSource {
    /// Id of the item.
    pub item: String,
    /// Key of the asset.
    pub asset: String,
    /// Name of the band in the sensor's words (`B02`, `VV`, `red`), or of the mask (`scl`).
    pub band: String,
    /// What the values are for.
    pub role: Role,
    /// Absolute href.
    pub href: String,
    /// Other places of the same file, best first.
    pub alternates: Vec<String>,
    /// Band of the file, from 1.
    pub band_index: usize,
    /// Which raster of a file that holds several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdataset: Option<String>,
    /// Number of bands that the catalog names in this file.
    pub band_count: usize,
    /// Grid that the item claims, where it claims one.
    pub claimed: Option<GeoBox>,
    /// How the file is tied to the Earth.
    pub georeference: Georeference,
    /// Claimed type of the pixels.
    pub dtype: Option<DataType>,
    /// Claimed nodata value; NaN where the item says `nan`.
    #[serde(with = "nodata")]
    pub nodata: Option<f64>,
    /// Claimed pixel size in metres, where the item or the asset's name gives one.
    pub resolution: Option<f64>,
    /// How digital numbers become values.
    pub radiometry: Radiometry,
    /// Where the catalog lives, for the access rules.
    pub root: Root,
}

/// What a band is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Measured values.
    Data,
    /// Says which pixels to leave out; resampled by nearest neighbour, never scaled.
    Mask,
}

/// How a file is tied to the Earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Georeference {
    /// An affine grid in a coordinate reference system.
    Affine,
    /// Ground control points: the file must be warped, and the affine that catalogs invent from the bbox is wrong.
    GroundControlPoints,
}

/// Type of stored pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// Signed 8 bit.
    Int8,
    /// Signed 16 bit.
    Int16,
    /// Signed 32 bit.
    Int32,
    /// Unsigned 8 bit.
    Uint8,
    /// Unsigned 16 bit.
    Uint16,
    /// Unsigned 32 bit.
    Uint32,
    /// 32 bit float.
    Float32,
    /// 64 bit float.
    Float64,
}

impl DataType {
    /// From the names of the STAC raster extension.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "uint8" | "byte" => Self::Uint8,
            "uint16" => Self::Uint16,
            "uint32" => Self::Uint32,
            "float32" => Self::Float32,
            "float64" => Self::Float64,
            _ => return None,
        })
    }

    /// The name in the STAC raster extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// Bytes of one pixel.
    pub fn size(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// Whether values are whole numbers.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::Float32 | Self::Float64)
    }
}

/// Nodata as a number, or as the text `nan`, which JSON numbers cannot hold.
mod nodata {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            None => serializer.serialize_none(),
            Some(number) if number.is_finite() => serializer.serialize_f64(*number),
            Some(number) if number.is_nan() => serializer.serialize_str("nan"),
            Some(number) => serializer.serialize_str(if *number > 0.0 { "inf" } else { "-inf" }),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(match Option::<Written>::deserialize(deserializer)? {
            None => None,
            Some(Written::Number(number)) => Some(number),
            Some(Written::Text(text)) => Some(text.parse().map_err(serde::de::Error::custom)?),
        })
    }
}
