//! The contract of a model package: what a model needs to be fed and what it gives.
//!
//! Written by training when it exports, read by inference and by every plan. A package is a folder:
//! `model.yaml` (the [`Contract`]), one ONNX graph per module, `weights.safetensors`, a probe batch with
//! its expected output, and `mlm.json`, the same contract as a STAC item for other software.
//!
//! Axis order everywhere is `[batch, time, band, height, width]`; an axis a tensor lacks is left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one model package promises and asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Version of this layout.
    pub contract: u32,
    /// Name of the model, unique enough to find it again.
    pub name: String,
    /// Preset of the architecture, such as `tiny`.
    pub preset: String,
    /// Inputs by modality, at least one.
    pub modalities: BTreeMap<Modality, Input>,
    /// Side of a chip in pixels of the 10 m grid; every graph is exported for this size.
    pub chip_size: usize,
    /// Pixels from the rim of a chip whose values depend on what lies outside it.
    pub margin: usize,
    /// Channels of the fused feature map, with geo-context where the package has it.
    pub channels: usize,
    /// Which tokens carry the encoding of the day of the year.
    pub calendar: Calendar,
    /// What the head gives; a package without one gives features only.
    pub head: Option<Head>,
    /// ONNX graphs by module.
    pub graphs: BTreeMap<Module, GraphFile>,
    /// Probe batch with expected output.
    pub probe: Probe,
    /// Licence of the weights as an SPDX expression, or `proprietary`.
    pub licence: String,
    /// SHA-256 of `weights.safetensors`, lower-case hexadecimal.
    pub weights_sha256: String,
    /// Free notes: training data, scores, choices where paper and code differ.
    #[serde(default)]
    pub notes: BTreeMap<String, serde_json::Value>,
}

/// One of the three kinds of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// High-resolution optical, 32 pixels to one of the 10 m grid.
    Hr,
    /// Sentinel-2 time series on the 10 m grid.
    S2,
    /// Sentinel-1 time series on the 10 m grid.
    S1,
}

/// One graph of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Module {
    /// `pixels` `[batch, band, 32·height, 32·width]` → `features` `[batch, channel, height, width]`.
    Hr,
    /// `pixels` `[batch, band, height, width]` → `features` `[batch, channel, height, width]`; batch counts dates.
    S2,
    /// As [`Module::S2`] for radar.
    S1,
    /// `tokens` f32 `[batch, time, channel, height, width]`, `day` i64 `[batch, time]` (day of year − 1),
    /// `calendar` f32 `[batch, time]` (1 where the token takes the calendar encoding), `present` bool
    /// `[batch, time]` → `features` f32 `[batch, channel, height, width]`.
    Fusion,
    /// `features` f32 `[batch, channel, height, width]`, `region` i64 `[batch]` → `features` with prototypes attached.
    GeoContext,
    /// `features` f32 `[batch, channel, height, width]` → `logits` f32 `[batch, class, height, width]`.
    Head,
}

/// What one modality must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Names of the bands, in the order of the patch embedding (`B02` … for S2, `VV`, `VH`, `red` …).
    pub bands: Vec<String>,
    /// Unit of the pixels that go in.
    pub unit: Unit,
    /// Type of the pixels that go in.
    pub dtype: Dtype,
    /// Normalisation inside the graph, per band: `(pixel − mean) / std`, in the pixels' unit.
    pub mean: Vec<f64>,
    /// See `mean`.
    pub std: Vec<f64>,
    /// Most dates the model was trained with; a longer series is refused, a shorter one is padded and masked.
    pub dates: usize,
    /// Pixels per pixel of the 10 m grid along one side: 1 for S2 and S1, 32 for HR.
    pub scale: usize,
}

/// Unit of input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Reflectance × 10000 without offset; the digital number of Sentinel-2 before baseline 04.00.
    ReflectanceE4,
    /// Backscatter in dB (10·log10 of linear power).
    Decibel,
    /// Eight-bit display values, 0 to 255.
    Byte,
}

/// Type of input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Unsigned 8 bit.
    U8,
    /// Signed 16 bit.
    I16,
    /// 32 bit float.
    F32,
}

/// Which tokens carry the encoding of the day of the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// None.
    None,
    /// Sentinel-2 only, as in the official code.
    S2Only,
    /// All modalities, as in the paper's equation.
    All,
}

/// What a head gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Task, such as `segmentation`.
    pub task: String,
    /// Classes in the order of the logits.
    pub classes: Vec<Class>,
}

/// One class of a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Pixel value in maps.
    pub value: u8,
    /// Name for the legend.
    pub name: String,
    /// Colour as `RRGGBB`, lower-case hexadecimal.
    pub color: String,
}

/// A graph file of the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphFile {
    /// Path relative to the package.
    pub path: String,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// A stored batch and what the model gives for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Path relative to the package, a safetensors file.
    ///
    /// Tensors: per modality `hr` | `s2` | `s1` pixels `[batch, time, band, height, width]` in the contract's
    /// dtype, `s2.day` and `s1.day` i64 `[batch, time]`, `hr.day`; `output` f32, what the last graph gives.
    pub path: String,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// `|a − b| ≤ absolute + relative·|b|`.
    pub absolute: f64,
    /// See `absolute`.
    pub relative: f64,
}
