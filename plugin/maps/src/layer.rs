//! One raster of an output: how blended values become stored numbers, and what the file says about them.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_edges::{ClassFacts, MapFacts};
use skysense_grid::GeoBox;
use skysense_raster::{BandSpec, CogSpec, CogWriter, DType, Result, Rows};

/// Steps of a stored probability or entropy: 250 steps leave 255 for nodata and are exact at 0 and 1.
const STEPS: f64 = 250.0;
/// Stored value of pixels without data in quantised layers.
const NODATA: u8 = 255;
/// Steps per unit of a feature that is stored as int16.
const FEATURE_STEPS: f64 = 512.0;
/// Stored value of features without data.
const NO_FEATURE: i16 = i16::MIN;

/// What is written of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// The class of the highest probability.
    Class,
    /// The probability of each class, one band for each.
    Probability,
    /// How undecided the model is: 0 where one class is certain, 1 where all are equal.
    Entropy,
    /// The value of a quantity, of a model that gives one.
    Value,
}

/// Type in which features are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeatureType {
    /// As they are.
    #[default]
    Float32,
    /// 1/512 of a unit, from -64 to 64: a half of the size.
    Int16,
}

/// One raster of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "layer")]
pub enum Layer {
    /// See [`Output::Class`].
    Class {
        /// The classes, in the order of the channels.
        classes: Vec<ClassFacts>,
        /// Value of pixels without data.
        nodata: u8,
    },
    /// See [`Output::Probability`].
    Probability {
        /// The classes, in the order of the channels.
        classes: Vec<ClassFacts>,
    },
    /// See [`Output::Entropy`].
    Entropy,
    /// See [`Output::Value`].
    Value {
        /// Of the quantity.
        name: String,
        /// Empty where there is none.
        unit: String,
    },
    /// Feature maps.
    Features {
        /// How many.
        channels: usize,
        /// How they are stored.
        dtype: FeatureType,
    },
}

/// Pixels as they are stored, `[band, height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Bytes.
    U8(Vec<u8>),
    /// 16 bits, signed.
    I16(Vec<i16>),
    /// 32 bits, floating point.
    F32(Vec<f32>),
}

/// The layers of an edge: those asked for of a prediction, or the features.
///
/// # Errors
/// In words: no value is left for pixels without data, or an output that the task does not give.
pub fn layers(
    facts: &MapFacts,
    outputs: Option<&[Output]>,
    dtype: FeatureType,
    features: bool,
) -> std::result::Result<Vec<Layer>, String> {
    if features {
        return Ok(vec![Layer::Features { channels: facts.channels, dtype }]);
    }
    let any = facts.task == "multi_label";
    let usual = match (&facts.quantity, any) {
        (Some(_), _) => Output::Value,
        (None, true) => Output::Probability,
        (None, false) => Output::Class,
    };
    let mut outputs = outputs.map_or_else(|| vec![usual], <[Output]>::to_vec);
    outputs.sort();
    outputs.dedup();
    let layer = |output| match (output, &facts.quantity) {
        (Output::Value, Some(quantity)) => {
            Ok(Layer::Value { name: quantity.name.clone(), unit: quantity.unit.clone() })
        }
        (Output::Value, None) => Err(format!("{} gives no value, expected class, probability or entropy", facts.task)),
        (_, Some(quantity)) => Err(format!("the model gives values of {}, expected value", quantity.name)),
        (Output::Class | Output::Entropy, None) if any => {
            Err("a chip may have any of these classes, so none is the one: expected probability".into())
        }
        (Output::Class, None) => {
            let free = (0..=255_u8).rev().find(|value| facts.classes.iter().all(|class| class.value != *value));
            let nodata = free.ok_or("all 256 values of a byte are classes: none is left for pixels without data")?;
            Ok(Layer::Class { classes: facts.classes.clone(), nodata })
        }
        (Output::Probability, None) => Ok(Layer::Probability { classes: facts.classes.clone() }),
        (Output::Entropy, None) => Ok(Layer::Entropy),
    };
    outputs.into_iter().map(layer).collect()
}

impl Layer {
    /// Key of the asset, and stem of the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Class { .. } => "class",
            Self::Probability { .. } => "probability",
            Self::Entropy => "entropy",
            Self::Value { .. } => "value",
            Self::Features { .. } => "features",
        }
    }

    /// A title for people.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Class { .. } => "Class of the highest probability",
            Self::Probability { .. } => "Probability of each class",
            Self::Entropy => "Entropy of the probabilities, 0 to 1",
            Self::Value { .. } => "Value that the model gives",
            Self::Features { .. } => "Features of the model",
        }
    }

    /// Bytes of a stored pixel, over all bands.
    pub fn pixel_bytes(&self) -> usize {
        match self {
            Self::Class { .. } | Self::Entropy => 1,
            Self::Probability { classes } => classes.len(),
            Self::Value { .. } => 4,
            Self::Features { channels, dtype: FeatureType::Float32 } => 4 * channels,
            Self::Features { channels, dtype: FeatureType::Int16 } => 2 * channels,
        }
    }

    /// What the file is.
    pub fn spec(&self, geobox: GeoBox) -> CogSpec {
        let step = 1.0 / STEPS;
        let quantised = |name: String, description: String| BandSpec {
            description: Some(description),
            scale: Some(step),
            offset: Some(0.0),
            ..BandSpec::named(name)
        };
        match self {
            Self::Class { classes, nodata } => {
                let mut band = BandSpec::named("class");
                band.classes = classes.iter().map(|class| (class.value, class.name.clone())).collect();
                band.colours = classes.iter().map(|class| (class.value, colour(&class.color))).collect();
                band.colours.push((*nodata, [0, 0, 0, 0]));
                CogSpec::classes(geobox, band, Some(f64::from(*nodata)))
            }
            Self::Probability { classes } => {
                let bands =
                    classes.iter().map(|class| quantised(class.name.clone(), format!("probability of {}", class.name)));
                CogSpec::values(geobox, DType::UInt8, bands.collect(), Some(f64::from(NODATA)))
            }
            Self::Entropy => CogSpec::values(
                geobox,
                DType::UInt8,
                vec![quantised("entropy".into(), "entropy of the probabilities over its largest value".into())],
                Some(f64::from(NODATA)),
            ),
            Self::Value { name, unit } => {
                let unit = Some(unit.clone()).filter(|unit| !unit.is_empty());
                let band = BandSpec { unit, ..BandSpec::named(name) };
                CogSpec::values(geobox, DType::Float32, vec![band], Some(f64::NAN))
            }
            Self::Features { channels, dtype } => {
                let name = |channel: usize| format!("feature_{channel}");
                match dtype {
                    FeatureType::Float32 => CogSpec::values(
                        geobox,
                        DType::Float32,
                        (0..*channels).map(|c| BandSpec::named(name(c))).collect(),
                        Some(f64::NAN),
                    ),
                    FeatureType::Int16 => {
                        let band = |c| BandSpec {
                            scale: Some(1.0 / FEATURE_STEPS),
                            offset: Some(0.0),
                            ..BandSpec::named(name(c))
                        };
                        CogSpec::values(
                            geobox,
                            DType::Int16,
                            (0..*channels).map(band).collect(),
                            Some(f64::from(NO_FEATURE)),
                        )
                    }
                }
            }
        }
    }

    /// Channels of a map that a band is made of, of `channels` in all.
    pub fn channels_of(&self, band: usize, channels: usize) -> Range<usize> {
        match self {
            Self::Class { .. } | Self::Entropy => 0..channels,
            Self::Probability { .. } | Self::Value { .. } | Self::Features { .. } => band..band + 1,
        }
    }

    /// Blended values as they are stored: of all channels, or of those of one band.
    pub fn store(&self, rows: &Rows) -> Stored {
        let area = rows.width * rows.height;
        let channels = rows.values.len() / area.max(1);
        let pixel = |p: usize| (0..channels).map(move |c| rows.values[c * area + p]);
        let bytes = |encode: &dyn Fn(usize) -> u8, nodata: u8| -> Stored {
            Stored::U8((0..area).map(|p| if rows.valid[p] == 0 { nodata } else { encode(p) }).collect())
        };
        match self {
            Self::Class { classes, nodata } => {
                bytes(&|p| classes.get(highest(pixel(p))).map_or(*nodata, |class| class.value), *nodata)
            }
            Self::Entropy => bytes(&|p| quantise(entropy(pixel(p), channels)), NODATA),
            Self::Probability { .. } => Stored::U8(stored(rows, NODATA, quantise)),
            Self::Value { .. } | Self::Features { dtype: FeatureType::Float32, .. } => {
                Stored::F32(stored(rows, f32::NAN, |value| value))
            }
            Self::Features { dtype: FeatureType::Int16, .. } => {
                let limit = f64::from(i16::MAX);
                let store = |value: f32| (f64::from(value) * FEATURE_STEPS).round().clamp(-limit, limit) as i16;
                Stored::I16(stored(rows, NO_FEATURE, store))
            }
        }
    }

    /// Encodes finished rows and appends them to the file.
    ///
    /// # Errors
    /// A full disk, or rows that do not follow the last ones.
    pub fn write(&self, writer: &mut CogWriter, rows: &Rows) -> Result<()> {
        match self.store(rows) {
            Stored::U8(pixels) => writer.write_rows(rows.y, &pixels),
            Stored::I16(pixels) => writer.write_rows(rows.y, &pixels),
            Stored::F32(pixels) => writer.write_rows(rows.y, &pixels),
        }
    }
}

/// Each value as it is stored, and the value of no data where there is none.
fn stored<T: Copy>(rows: &Rows, nodata: T, encode: impl Fn(f32) -> T) -> Vec<T> {
    let area = (rows.width * rows.height).max(1);
    let of = |(at, &value): (usize, &f32)| if rows.valid[at % area] == 0 { nodata } else { encode(value) };
    rows.values.iter().enumerate().map(of).collect()
}

/// Place of the highest value; the first of equal ones.
fn highest(values: impl Iterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, value) in values.enumerate() {
        if value > best.1 {
            best = (place, value);
        }
    }
    best.0
}

/// Shannon entropy over its largest value, 0 to 1.
fn entropy(values: impl Iterator<Item = f32>, classes: usize) -> f32 {
    if classes < 2 {
        return 0.0;
    }
    let sum: f32 = values.filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
    sum / (classes as f32).ln()
}

fn quantise(value: f32) -> u8 {
    (f64::from(value) * STEPS).round().clamp(0.0, STEPS) as u8
}

/// `RRGGBB` as red, green, blue and opaque; grey where it is none.
fn colour(text: &str) -> [u8; 4] {
    let part = |at: usize| text.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(128);
    [part(0), part(2), part(4), 255]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_classes_wins() {
        assert_eq!(highest([0.2, 0.4, 0.4].into_iter()), 1);
        assert_eq!(highest([f32::NAN].into_iter()), 0);
    }

    #[test]
    fn entropy_is_one_where_all_classes_are_equal() {
        assert!((entropy([0.25; 4].into_iter(), 4) - 1.0).abs() < 1e-6);
        assert_eq!(entropy([1.0, 0.0].into_iter(), 2), 0.0);
        assert_eq!(entropy([1.0].into_iter(), 1), 0.0);
    }

    #[test]
    fn stored_probabilities_are_exact_at_both_ends() {
        assert_eq!((quantise(0.0), quantise(1.0), quantise(0.5), quantise(f32::NAN)), (0, 250, 125, 0));
        assert_eq!(colour("ff8000"), [255, 128, 0, 255]);
        assert_eq!(colour("?"), [128, 128, 128, 255]);
    }

    #[test]
    fn the_scale_is_the_number_that_is_meant() {
        let geobox: GeoBox = serde_json::from_value(serde_json::json!({
            "crs": "EPSG:32633", "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0], "width": 16, "height": 16
        }))
        .unwrap();
        let scale = |layer: Layer| layer.spec(geobox.clone()).bands[0].scale;
        let class = ClassFacts { value: 1, name: "wheat".into(), color: "000000".into() };
        assert_eq!(scale(Layer::Probability { classes: vec![class] }), Some(0.004));
        assert_eq!(scale(Layer::Entropy), Some(0.004));
        assert_eq!(scale(Layer::Features { channels: 1, dtype: FeatureType::Int16 }), Some(0.001_953_125));
    }

    #[test]
    fn nodata_is_a_value_that_no_class_has() {
        let class = |value| ClassFacts { value, name: value.to_string(), color: "000000".into() };
        let mut facts: MapFacts = serde_json::from_value(serde_json::json!({
            "chips": {"geobox": {"crs": "EPSG:32633", "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0], "width": 1, "height": 1},
                "chip_size": 4, "overlap": 0, "periods": [], "modalities": {}, "items": [], "decisions": []},
            "model": {"name": "m", "preset": "tiny", "licence": "x"}, "channels": 2, "margin": 0
        }))
        .unwrap();
        facts.classes = vec![class(0), class(255)];
        let found = layers(&facts, Some(&[Output::Class]), FeatureType::Float32, false).unwrap();
        assert!(matches!(found[0], Layer::Class { nodata: 254, .. }));
        let names = |facts: &MapFacts, outputs| -> std::result::Result<Vec<&str>, String> {
            Ok(layers(facts, outputs, FeatureType::Float32, false)?.iter().map(Layer::name).collect())
        };
        assert_eq!(names(&facts, None).unwrap(), ["class"]);
        facts.task = "multi_label".into();
        assert_eq!(names(&facts, None).unwrap(), ["probability"]);
        assert!(names(&facts, Some(&[Output::Class])).unwrap_err().contains("any of these"));
        let unit = "t/ha".to_owned();
        let quantity = Some(skysense_edges::QuantityFacts { name: "biomass".into(), unit });
        let values = MapFacts { task: "regression".into(), classes: vec![], quantity, ..facts.clone() };
        assert_eq!(names(&values, None).unwrap(), ["value"]);
        assert!(names(&values, Some(&[Output::Entropy])).unwrap_err().contains("expected value"));
        facts.task = "segmentation".into();
        facts.classes = (0..=255).map(class).collect();
        assert!(layers(&facts, Some(&[Output::Class]), FeatureType::Float32, false).is_err());
    }
}
