//! The unit of radar pixels, which items seldom state.

use super::{Backscatter, Choice, Decision, Expected, Override, PixelCheck, UnitName};
use crate::{DataType, Refusal};

/// What is known about the unit of an item's radar pixels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence<'a> {
    /// The item, for messages.
    pub(crate) item: &'a str,
    /// The asset, for messages.
    pub(crate) asset: &'a str,
    /// What the workflow states.
    pub(crate) stated: Option<&'a Override>,
    /// `unit` of the band, where declared.
    pub(crate) unit: Option<&'a str>,
    /// Title and description of the asset.
    pub(crate) words: String,
    /// Declared type.
    pub(crate) dtype: Option<DataType>,
    /// The sensor file's rule for this collection.
    pub(crate) collection: Option<Backscatter>,
    /// Whether the pixels lie in ground-range geometry (an uncalibrated product).
    pub(crate) ground_range: bool,
    /// Bands to look at.
    pub(crate) check_bands: Vec<String>,
}

/// Decides the unit: workflow, declared unit, formula in words, collection rule, words, type and pixels.
pub(crate) fn decide(evidence: &Evidence<'_>) -> Result<Decision, Refusal> {
    if let Some(stated) = evidence.stated.filter(|stated| stated.unit.is_some()) {
        let unit = from_workflow(stated).map_err(|(field, expected)| Refusal::Metadata {
            item: evidence.item.into(),
            field: format!("radiometry.{field}"),
            found: "absent in the workflow".into(),
            expected: expected.into(),
        })?;
        return Ok(Decision::plain(
            Choice::Unit(unit),
            "workflow",
            format!("{}: stated in the workflow", unit.describe()),
        ));
    }
    if evidence.ground_range {
        return Err(Refusal::Uncalibrated { item: evidence.item.into() });
    }
    if let Some(unit) = evidence.unit.and_then(from_declared) {
        let sentence =
            format!("{}: declared by the item as unit `{}`", unit.describe(), evidence.unit.unwrap_or_default());
        return Ok(asked(evidence, unit, "declared", sentence, true));
    }
    if let Some(unit) = formula(&evidence.words) {
        let sentence = format!("{}: formula in the asset's words", unit.describe());
        return Ok(asked(evidence, unit, "formula", sentence, true));
    }
    if let Some(unit) = evidence.collection {
        let sentence = format!("{}: rule of the sensor file for this collection", unit.describe());
        return Ok(asked(evidence, unit, "collection", sentence, false));
    }
    if let Some(unit) = from_words(&evidence.words) {
        let sentence = format!("{}: from the asset's words \"{}\"", unit.describe(), evidence.words.trim());
        return Ok(asked(evidence, unit, "words", sentence, false));
    }
    match evidence.dtype {
        Some(dtype) if dtype.is_integer() => Err(Refusal::UnknownUnit {
            item: evidence.item.into(),
            asset: evidence.asset.into(),
            found: format!("pixels are {} and nothing says how they become backscatter", dtype.name()),
        }),
        _ => {
            let mut decision = asked(
                evidence,
                Backscatter::Linear,
                "assumed",
                "linear power: assumed, since nothing states the unit".into(),
                false,
            );
            if let Some(check) = &mut decision.check {
                check.required = true;
            }
            Ok(decision)
        }
    }
}

fn asked(evidence: &Evidence<'_>, unit: Backscatter, rule: &str, sentence: String, stated: bool) -> Decision {
    let check =
        PixelCheck { bands: evidence.check_bands.clone(), expected: Expected::Unit(unit), required: false, stated };
    Decision { choice: Choice::Unit(unit), rule: rule.into(), sentence, seen: None, check: Some(check) }
}

fn from_workflow(stated: &Override) -> Result<Backscatter, (&'static str, &'static str)> {
    Ok(match stated.unit {
        Some(UnitName::Linear) | None => Backscatter::Linear,
        Some(UnitName::Decibel) => Backscatter::Decibel,
        Some(UnitName::Amplitude) => Backscatter::Amplitude {
            calibration_db: stated.calibration_db.ok_or(("calibration_db", "the calibration constant in dB"))?,
        },
        Some(UnitName::ScaledDecibel) => Backscatter::ScaledDecibel {
            factor: stated.factor.ok_or(("factor", "the factor of the logarithm, such as 20"))?,
            constant: stated.constant.ok_or(("constant", "the constant in dB, such as -83"))?,
        },
        Some(UnitName::DecibelSteps) => Backscatter::DecibelSteps {
            scale: stated.scale.ok_or(("scale", "decibels per digital number"))?,
            offset: stated.offset.unwrap_or(0.0),
        },
    })
}

fn from_declared(unit: &str) -> Option<Backscatter> {
    Some(match unit.trim().to_ascii_lowercase().as_str() {
        "db" | "decibel" | "decibels" => Backscatter::Decibel,
        "linear" | "power" | "linear power" | "m2/m2" | "1" => Backscatter::Linear,
        _ => return None,
    })
}

fn from_words(words: &str) -> Option<Backscatter> {
    let words = words.to_ascii_lowercase();
    let has = |word: &str| words.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == word);
    match (has("db") || has("decibel") || has("decibels"), has("linear") || has("power")) {
        (true, false) => Some(Backscatter::Decibel),
        (false, true) => Some(Backscatter::Linear),
        _ => None,
    }
}

/// `dB = 20*log10(DN) - 83` in a title or description.
fn formula(words: &str) -> Option<Backscatter> {
    let text: String = words
        .to_ascii_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| if matches!(c, '−' | '–') { '-' } else { c })
        .collect();
    let (before, after) = text.split_once("log10(dn)")?;
    let before = before.trim_end_matches(['*', '·', '×']);
    let start = before
        .rfind(|c: char| !c.is_ascii_digit() && c != '.')
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let factor = before[start..].parse::<f64>().ok()?;
    let end = after
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_digit() || c == '.' || at == 0 && matches!(c, '+' | '-')))
        .map_or(after.len(), |(at, _)| at);
    let constant = if end == 0 { 0.0 } else { after[..end].trim_end_matches('.').parse::<f64>().ok()? };
    (factor > 0.0).then_some(Backscatter::ScaledDecibel { factor, constant })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_of(evidence: &Evidence<'_>) -> Choice {
        decide(evidence).unwrap().choice
    }

    #[test]
    fn words_formula_and_declared_units() {
        let words = |words: &str| Evidence { words: words.into(), ..Evidence::default() };
        let scaled = Choice::Unit(Backscatter::ScaledDecibel { factor: 20.0, constant: -83.0 });
        assert_eq!(unit_of(&words("VV sigma0, DN; dB = 20*log10(DN) - 83")), scaled);
        assert_eq!(unit_of(&words("dB=20·log10(DN)−83.")), scaled);
        assert_eq!(unit_of(&words("VV, VH backscatter, linear power")), Choice::Unit(Backscatter::Linear));
        assert_eq!(unit_of(&words("Sentinel-1 RTC gamma0, dB")), Choice::Unit(Backscatter::Decibel));
        assert_eq!(
            unit_of(&Evidence { unit: Some("dB"), words: "linear".into(), ..Evidence::default() }),
            Choice::Unit(Backscatter::Decibel)
        );
    }

    #[test]
    fn integers_without_a_word_are_refused_and_floats_are_asked() {
        assert!(matches!(
            decide(&Evidence { dtype: Some(DataType::Uint16), ..Evidence::default() }),
            Err(Refusal::UnknownUnit { .. })
        ));
        assert!(
            decide(&Evidence { dtype: Some(DataType::Float32), ..Evidence::default() })
                .unwrap()
                .check
                .unwrap()
                .required
        );
    }

    #[test]
    fn ground_range_needs_a_stated_calibration() {
        let ground = Evidence { ground_range: true, unit: Some("dB"), ..Evidence::default() };
        assert!(matches!(decide(&ground), Err(Refusal::Uncalibrated { .. })));
        let half = Override { unit: Some(UnitName::Amplitude), ..Override::default() };
        assert!(matches!(decide(&Evidence { stated: Some(&half), ..ground.clone() }), Err(Refusal::Metadata { .. })));
        let whole = Override { calibration_db: Some(59.0), ..half };
        assert_eq!(
            unit_of(&Evidence { stated: Some(&whole), ..ground }),
            Choice::Unit(Backscatter::Amplitude { calibration_db: 59.0 })
        );
    }
}
