//! How digital numbers become values: decided once per item, here and nowhere else.
//!
//! Two questions have no reliable answer in published metadata: whether the offset of Sentinel-2 baseline
//! 04.00 is still in the pixels, and in which unit Sentinel-1 values are. [`reflectance::decide`] and
//! [`backscatter::decide`] answer them by rule from all evidence at hand, and say in a [`Decision`] which
//! rule it was. Where evidence is weak or contradicts itself the decision asks for a look at pixels
//! ([`PixelCheck`]); [`Decision::confirm`] judges what was seen.

pub(crate) mod backscatter;
mod confirm;
pub(crate) mod reflectance;

pub use confirm::{PixelStatistics, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the digital numbers of one band become values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Radiometry {
    /// reflectance = DN · scale + offset.
    Reflectance {
        /// Reflectance per digital number.
        scale: f64,
        /// Added after scaling.
        offset: f64,
    },
    /// Radar backscatter.
    Backscatter(Backscatter),
    /// Display values, taken as they are.
    Display,
    /// Classes, flags and probabilities, taken as they are: never scaled, whatever the metadata says.
    Mask,
}

impl Radiometry {
    /// The value on the edges between nodes: reflectance × 10000, linear power, or the number itself.
    ///
    /// `None` where the number has no value: power that is not positive, or not a number.
    pub fn value(self, number: f64) -> Option<f64> {
        let value = match self {
            Self::Reflectance { scale, offset } => (number * scale + offset) * 10_000.0,
            Self::Backscatter(unit) => return unit.power(number),
            Self::Display | Self::Mask => number,
        };
        (!value.is_nan()).then_some(value)
    }
}

/// Unit of radar pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "unit")]
pub enum Backscatter {
    /// Linear power.
    Linear,
    /// 10 · log10 of linear power.
    Decibel,
    /// dB = 20 · log10(DN) − `calibration_db`.
    Amplitude {
        /// Calibration constant.
        calibration_db: f64,
    },
    /// dB = `factor` · log10(DN) + `constant`.
    ScaledDecibel {
        /// Factor of the logarithm.
        factor: f64,
        /// Added after it.
        constant: f64,
    },
    /// dB = DN · `scale` + `offset`.
    DecibelSteps {
        /// Decibels per digital number.
        scale: f64,
        /// Added after scaling.
        offset: f64,
    },
}

impl Backscatter {
    /// Linear power, the only unit in which backscatter may be averaged or warped.
    ///
    /// `None` where there is none: zero power is absent data (several catalogs fill with 0), not −∞ dB.
    pub fn power(self, number: f64) -> Option<f64> {
        let from_db = |db: f64| 10_f64.powf(db / 10.0);
        let power = match self {
            Self::Linear => number,
            Self::Decibel => from_db(number),
            Self::Amplitude { calibration_db } if number > 0.0 => from_db(20.0 * number.log10() - calibration_db),
            Self::ScaledDecibel { factor, constant } if number > 0.0 => from_db(factor * number.log10() + constant),
            Self::Amplitude { .. } | Self::ScaledDecibel { .. } => return None,
            Self::DecibelSteps { scale, offset } => from_db(number * scale + offset),
        };
        (power.is_finite() && power > 0.0).then_some(power)
    }

    /// Name and formula, for provenance.
    pub fn describe(self) -> String {
        match self {
            Self::Linear => "linear power".into(),
            Self::Decibel => "dB".into(),
            Self::Amplitude { calibration_db } => format!("amplitude, dB = 20·log10(DN) − {calibration_db}"),
            Self::ScaledDecibel { factor, constant } => format!("scaled integer, dB = {factor}·log10(DN) + {constant}"),
            Self::DecibelSteps { scale, offset } => format!("scaled integer, dB = DN·{scale} + {offset}"),
        }
    }
}

/// What a workflow states about radiometry, per collection; it beats every rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Override {
    /// Reflectance (or decibels, with `unit: decibel_steps`) per digital number.
    pub scale: Option<f64>,
    /// Added after scaling: `-0.1` for pixels that still carry the offset of baseline 04.00, `0` for those that do not.
    pub offset: Option<f64>,
    /// Unit of radar pixels.
    pub unit: Option<UnitName>,
    /// With `unit: scaled_decibel`: dB = factor · log10(DN) + constant.
    pub factor: Option<f64>,
    /// See `factor`.
    pub constant: Option<f64>,
    /// With `unit: amplitude`: dB = 20 · log10(DN) − calibration_db.
    pub calibration_db: Option<f64>,
}

/// Names of radar units in a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitName {
    /// Linear power.
    Linear,
    /// Decibels.
    Decibel,
    /// Amplitude with a calibration constant.
    Amplitude,
    /// A logarithm stored as an integer.
    ScaledDecibel,
    /// Decibels stored as scaled integers.
    DecibelSteps,
}

/// What was decided for an item, by which rule, and what pixels should show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What to apply.
    pub choice: Choice,
    /// Name of the rule, for counting.
    pub rule: String,
    /// The decision in a sentence, for provenance; the same for all items that it was made for by the same words.
    pub sentence: String,
    /// What the item's pixels showed, where they were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The look at pixels that would confirm it; `None` where the evidence needs none.
    pub check: Option<PixelCheck>,
}

/// What to apply to the bands of an item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Each band's own declared scale and offset.
    Declared,
    /// This offset for all bands, with each band's scale.
    Offset(f64),
    /// This radar unit for all bands.
    Unit(Backscatter),
    /// Values as they are.
    AsTheyAre,
}

/// What pixels should show if the decision is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelCheck {
    /// Bands to look at; the statistics are those of the darkest one.
    pub bands: Vec<String>,
    /// What is expected.
    pub expected: Expected,
    /// Whether the item must not be used without an answer.
    pub required: bool,
    /// Whether metadata states the decision, so that pixels that deny it are a contradiction and not an answer.
    pub stated: bool,
}

/// What is expected of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// A dark floor that fits this offset.
    Floor {
        /// Reflectance per digital number.
        scale: f64,
        /// Decided offset.
        offset: f64,
    },
    /// Values that fit this radar unit.
    Unit(Backscatter),
}

impl Decision {
    /// The radiometry of a band under this decision, given what its metadata declares.
    pub fn radiometry(&self, band: &str, declared: Radiometry) -> Radiometry {
        match (self.choice, declared) {
            (_, Radiometry::Mask) => declared,
            (Choice::Offset(offset), Radiometry::Reflectance { scale, .. }) => {
                Radiometry::Reflectance { scale, offset }
            }
            (Choice::Unit(unit), _) => Radiometry::Backscatter(unit),
            (Choice::AsTheyAre, _) => Radiometry::Display,
            (Choice::Declared | Choice::Offset(_), _) => {
                tracing::trace!(band, "declared radiometry kept");
                declared
            }
        }
    }

    /// A decision that the workflow or the kind of sensor makes by itself.
    pub(crate) fn plain(choice: Choice, rule: &str, sentence: impl Into<String>) -> Self {
        Self { choice, rule: rule.into(), sentence: sentence.into(), seen: None, check: None }
    }

    /// The sentence, with what the pixels showed.
    pub fn explained(&self) -> String {
        self.seen.as_ref().map_or_else(|| self.sentence.clone(), |seen| format!("{}; {seen}", self.sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_the_edges() {
        let after_0400 = Radiometry::Reflectance { scale: 1e-4, offset: -0.1 };
        assert!((after_0400.value(1500.0).unwrap() - 500.0).abs() < 1e-9);
        assert!((after_0400.value(900.0).unwrap() + 100.0).abs() < 1e-9, "negative reflectance is kept");
        assert_eq!(Radiometry::Mask.value(4.0), Some(4.0));
        assert_eq!(Radiometry::Display.value(f64::NAN), None);
    }

    #[test]
    fn every_radar_unit_gives_power() {
        let close = |unit: Backscatter, number: f64, db: f64| {
            let power = unit.power(number).unwrap();
            assert!((10.0 * power.log10() - db).abs() < 1e-9, "{unit:?}");
        };
        close(Backscatter::Linear, 0.1, -10.0);
        close(Backscatter::Decibel, -10.0, -10.0);
        close(Backscatter::ScaledDecibel { factor: 20.0, constant: -83.0 }, 10_000.0, -3.0);
        close(Backscatter::Amplitude { calibration_db: 60.0 }, 1000.0, 0.0);
        close(Backscatter::DecibelSteps { scale: 0.01, offset: -50.0 }, 3000.0, -20.0);
    }

    #[test]
    fn zero_power_is_absent_and_not_minus_infinity() {
        assert_eq!(Backscatter::Linear.power(0.0), None);
        assert_eq!(Backscatter::Linear.power(-1.0), None);
        assert_eq!(Backscatter::Amplitude { calibration_db: 0.0 }.power(0.0), None);
        assert_eq!(Backscatter::ScaledDecibel { factor: 20.0, constant: -83.0 }.power(0.0), None);
        assert_eq!(Backscatter::Decibel.power(f64::NAN), None);
    }
}
