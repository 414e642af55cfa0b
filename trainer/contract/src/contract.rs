//! The contract itself: plain data, written as `model.yaml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Detector, GeoContext, HeadKind, Quantity, Task};

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
    /// Channels of the feature map: fused, with geo-context where the package has it; without a fusion, those of the
    /// encoders side by side.
    pub channels: usize,
    /// Channels that each encoder gives. Packages before this was written down do not say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encoders: BTreeMap<Modality, usize>,
    /// Which tokens carry the encoding of the day of the year.
    pub calendar: Calendar,
    /// Prototypes by region, and how the Earth is divided into these; which one a chip has follows from its centre. There
    /// where the package has that graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo_context: Option<GeoContext>,
    /// What the head gives; a package without one gives features only.
    pub head: Option<Head>,
    /// ONNX graphs by module. Where there is no fusion, each encoder takes one date, and what they give stands side by
    /// side along the channels, HR, S2 and S1 in turn, zeros for a modality that a chip lacks.
    pub graphs: BTreeMap<Module, GraphFile>,
    /// Probe batch with expected output.
    pub probe: Probe,
    /// Licence of the weights as an SPDX expression, or `proprietary`.
    pub licence: String,
    /// SHA-256 of `weights.safetensors`, or of the list of its shards where there are such; lower-case hexadecimal.
    pub weights_sha256: String,
    /// Shards of weights above 2 GB, which `weights.safetensors.index.json` lists by tensor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights_shards: Vec<DataFile>,
    /// Sizes of the modules where the preset does not say them, in the words of the program that made the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<serde_json::Value>,
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
    /// `pixels` `[batch, band, 32·height, 32·width]` → `features` `[batch, channel, height, width]`; at an image's own pixels
    /// both have the same sides.
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
    /// `features` f32 `[batch, channel, height, width]` → `logits` f32 `[batch, class, height, width]`. Where a task compares
    /// two times the features of both stand one after the other along the channels, the earlier ones first; where it is one
    /// of chips all pixels of a chip are alike.
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
    /// Pixels per pixel of the grid of the maps along one side: 1 for S2 and S1; 32 for HR, or 1 where maps have the image's own
    /// pixels.
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
    /// What it was trained for.
    pub task: Task,
    /// Which of the heads for that task it is.
    #[serde(default, skip_serializing_if = "is_light")]
    pub kind: HeadKind,
    /// Classes in the order of the logits; none for a regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// How boxes are found, where the model finds boxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Detector>,
    /// What the numbers of a regression are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// What logits are divided by before they become probabilities, fitted on what was not learned from; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_light(kind: &HeadKind) -> bool {
    *kind == HeadKind::Light
}

impl Head {
    /// The light head of a task over classes.
    pub fn of(task: Task, classes: Vec<Class>) -> Self {
        Self { task, kind: HeadKind::Light, classes, detector: None, quantity: None, temperature: None }
    }

    /// Channels of what the head gives: one for each class, or one for a quantity.
    pub fn channels(&self) -> usize {
        self.classes.len().max(1)
    }
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
    /// Size in bytes, so that a truncated copy is found without reading it.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Constants that lie beside the graph, for graphs near the limit of 2 GiB of a protobuf message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataFile>,
}

/// Constants of a graph, in a file that the graph names, or a shard of the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Path relative to the package, the one that the graph or the list of shards looks for.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
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

impl Modality {
    /// All modalities in the order of the fusion's tokens: HR, S2, S1.
    pub const ALL: [Self; 3] = [Self::Hr, Self::S2, Self::S1];

    /// Name in files and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::S2 => "s2",
            Self::S1 => "s1",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Module {
    /// Name in files, and stem of the graph's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::S2 => "s2",
            Self::S1 => "s1",
            Self::Fusion => "fusion",
            Self::GeoContext => "geo_context",
            Self::Head => "head",
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Modality> for Module {
    fn from(modality: Modality) -> Self {
        match modality {
            Modality::Hr => Self::Hr,
            Modality::S2 => Self::S2,
            Modality::S1 => Self::S1,
        }
    }
}

impl Unit {
    /// Name in files and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReflectanceE4 => "reflectance_e4",
            Self::Decibel => "decibel",
            Self::Byte => "byte",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Dtype {
    /// Bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Calendar {
    /// Whether the tokens of a modality carry the encoding.
    pub fn covers(self, modality: Modality) -> bool {
        match self {
            Self::None => false,
            Self::S2Only => modality == Modality::S2,
            Self::All => true,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small sound contract.
    pub(crate) fn sample() -> Contract {
        let sum = |digit: char| digit.to_string().repeat(64);
        let graph = |module: Module| {
            let file = GraphFile { path: format!("{module}.onnx"), size: 3, sha256: sum('1'), data: None };
            (module, file)
        };
        let class = |value, name: &str, color: &str| Class { value, name: name.into(), color: color.into() };
        let input = Input {
            bands: ["B02", "B03", "B04"].map(String::from).to_vec(),
            unit: Unit::ReflectanceE4,
            dtype: Dtype::I16,
            mean: vec![884.296_737_56, 1144.0, 1297.5],
            std: vec![1155.0, 1183.0, 1368.0],
            dates: 8,
            scale: 1,
        };
        Contract {
            contract: crate::CONTRACT_VERSION,
            name: "sample".into(),
            preset: "tiny".into(),
            modalities: BTreeMap::from([(Modality::S2, input)]),
            chip_size: 16,
            margin: 2,
            channels: 32,
            encoders: BTreeMap::new(),
            calendar: Calendar::S2Only,
            geo_context: None,
            head: Some(Head::of(Task::Segmentation, vec![class(1, "water", "000000"), class(2, "1e5", "123456")])),
            graphs: [Module::S2, Module::Fusion, Module::Head].map(graph).into(),
            probe: Probe { path: "probe.safetensors".into(), sha256: sum('2'), absolute: 1e-4, relative: 1e-4 },
            licence: "Apache-2.0".into(),
            weights_sha256: sum('3'),
            weights_shards: Vec::new(),
            architecture: None,
            notes: BTreeMap::from([("scores".into(), serde_json::json!({"oa": 0.5, "list": [1, "two", null]}))]),
        }
    }

    #[test]
    fn yaml_gives_back_the_same_contract() {
        let text = serde_yaml::to_string(&sample()).unwrap();
        let read: Contract = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read, sample(), "{text}");
    }
}
