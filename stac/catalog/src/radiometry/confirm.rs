//! What pixels say about a decision.

use serde::{Deserialize, Serialize};

use super::{Backscatter, Choice, Decision, Expected};

/// Corrected reflectance below this is unphysical: the offset that was subtracted was not there.
const TOO_DARK: f64 = -0.02;
/// A dark floor below this share of the offset cannot carry it.
const DARK: f64 = 0.8;

/// Percentiles of the valid pixels (neither nodata nor the edge value 1) of an overview, in digital numbers.
///
/// Where a check names several bands, those of the band with the lowest `p01`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PixelStatistics {
    /// Number of valid pixels.
    pub count: u64,
    /// 1st percentile: the dark floor.
    pub p01: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// What the pixels say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They fit; what was seen goes into provenance. `None` where nothing was to be looked at.
    Confirmed(Option<String>),
    /// They settle a question that metadata left open; this decision replaces the first.
    Settled(Decision),
    /// They do not tell. With `required` the item must not be used without a word in the workflow.
    Unsettled {
        /// Whether the item needs an answer.
        required: bool,
        /// What was seen.
        seen: String,
    },
    /// They deny what metadata states.
    Contradiction {
        /// What was seen and what was expected.
        sentence: String,
        /// What to do.
        hint: String,
    },
}

impl Decision {
    /// Judges a decision by the statistics of the pixels that its check names.
    pub fn confirm(&self, statistics: &PixelStatistics) -> Verdict {
        let Some(check) = &self.check else {
            return Verdict::Confirmed(None);
        };
        if statistics.count == 0 || !statistics.p01.is_finite() || !statistics.p50.is_finite() {
            return Verdict::Unsettled { required: check.required, seen: "no valid pixel to check it by".into() };
        }
        match check.expected {
            Expected::Floor { scale, offset } => self.floor(statistics, scale, offset, check.required, check.stated),
            Expected::Unit(unit) => self.unit(statistics, unit, check.required, check.stated),
        }
    }

    fn floor(&self, statistics: &PixelStatistics, scale: f64, offset: f64, required: bool, stated: bool) -> Verdict {
        let floor = statistics.p01 * scale;
        let seen = format!("1st percentile {} DN is reflectance {floor:.4} before any offset", statistics.p01);
        if offset < 0.0 {
            return if floor + offset >= TOO_DARK {
                Verdict::Confirmed(Some(format!("pixels fit: {seen}")))
            } else if stated {
                Verdict::Contradiction {
                    sentence: format!(
                        "{}; but {seen}, which the offset would push to {:.4}: it is no longer in the pixels",
                        self.sentence,
                        floor + offset
                    ),
                    hint: "state the truth in the workflow: `radiometry: {<collection>: {offset: 0}}`".into(),
                }
            } else {
                let sentence = format!("offset 0 by the pixels; overrules: {}", self.sentence);
                Verdict::Settled(Decision {
                    seen: Some(seen),
                    ..Decision::plain(Choice::Offset(0.0), "pixels", sentence)
                })
            };
        }
        // The offset of every Sentinel-2 product so far; a floor well below it shows that it is not there.
        if floor < DARK * 0.1 {
            return Verdict::Confirmed(Some(format!("pixels fit: {seen}")));
        }
        Verdict::Unsettled {
            required,
            seen: format!("{seen}: a bright scene, or an offset of 0.1 that is still there"),
        }
    }

    fn unit(&self, statistics: &PixelStatistics, unit: Backscatter, required: bool, stated: bool) -> Verdict {
        let PixelStatistics { p01, p50, p99, .. } = *statistics;
        let seen = format!("percentiles 1, 50 and 99 are {p01:.4}, {p50:.4} and {p99:.4}");
        // Land and water at C band lie between −45 and +10 dB nearly everywhere.
        let plausible = |db: f64| (-45.0..=10.0).contains(&db);
        let fits = match unit {
            Backscatter::Decibel => p50 < 0.0 && plausible(p50),
            Backscatter::Linear => p01 >= 0.0 && p50 > 0.0 && plausible(10.0 * p50.log10()),
            other => other.power(p50).is_some_and(|power| plausible(10.0 * power.log10())),
        };
        if fits {
            return Verdict::Confirmed(Some(format!("pixels fit: {seen}")));
        }
        let other = match unit {
            Backscatter::Linear if p50 < 0.0 && plausible(p50) => Some(Backscatter::Decibel),
            Backscatter::Decibel if p01 >= 0.0 && p50 > 0.0 && p99 < 100.0 && plausible(10.0 * p50.log10()) => {
                Some(Backscatter::Linear)
            }
            _ => None,
        };
        match other {
            Some(other) if !stated => {
                let sentence = format!("{} by the pixels; overrules: {}", other.describe(), self.sentence);
                Verdict::Settled(Decision {
                    seen: Some(seen),
                    ..Decision::plain(Choice::Unit(other), "pixels", sentence)
                })
            }
            None if required => {
                Verdict::Unsettled { required, seen: format!("{seen} fit neither linear power nor dB") }
            }
            _ => Verdict::Contradiction {
                sentence: format!("{}; but {seen}, which does not fit", self.sentence),
                hint: "state the truth in the workflow: `radiometry: {<collection>: {unit: …}}`".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PixelCheck, reflectance};
    use super::*;

    fn pixels(p01: f64, p50: f64, p99: f64) -> PixelStatistics {
        PixelStatistics { count: 1000, p01, p50, p99 }
    }

    fn offset(declared: Vec<f64>, baseline: Option<u32>, applied: Option<bool>) -> Decision {
        reflectance::decide(&reflectance::Evidence {
            declared,
            baseline,
            applied: applied.map(|value| ("boa", value)),
            scale: 1e-4,
            since: (400, -0.1),
            check_bands: vec!["B12".into()],
            ..Default::default()
        })
    }

    fn radar(unit: Backscatter, stated: bool, required: bool) -> Decision {
        let check = PixelCheck { bands: vec!["VV".into()], expected: Expected::Unit(unit), required, stated };
        Decision {
            choice: Choice::Unit(unit),
            rule: "test".into(),
            sentence: "test".into(),
            seen: None,
            check: Some(check),
        }
    }

    #[test]
    fn dark_pixels_confirm_an_offset_that_was_applied() {
        let decision = offset(vec![-0.1], Some(509), Some(true));
        assert!(matches!(decision.confirm(&pixels(145.0, 900.0, 4000.0)), Verdict::Confirmed(_)));
        assert!(matches!(
            decision.confirm(&pixels(1080.0, 2000.0, 4000.0)),
            Verdict::Unsettled { required: false, .. }
        ));
    }

    #[test]
    fn a_stated_offset_that_pixels_deny_is_a_contradiction() {
        let decision = offset(vec![-0.1], None, None);
        assert!(matches!(decision.confirm(&pixels(1010.0, 2000.0, 5000.0)), Verdict::Confirmed(_)));
        assert!(matches!(decision.confirm(&pixels(120.0, 2000.0, 5000.0)), Verdict::Contradiction { .. }));
    }

    #[test]
    fn an_offset_by_rule_gives_way_to_pixels() {
        match offset(vec![], Some(510), None).confirm(&pixels(200.0, 900.0, 4000.0)) {
            Verdict::Settled(decision) => assert_eq!(decision.choice, Choice::Offset(0.0)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_evidence_a_bright_scene_is_not_guessed() {
        let decision = offset(vec![], None, None);
        assert!(matches!(decision.confirm(&pixels(300.0, 900.0, 4000.0)), Verdict::Confirmed(_)));
        assert!(matches!(decision.confirm(&pixels(1100.0, 1900.0, 4000.0)), Verdict::Unsettled { required: true, .. }));
        assert!(matches!(
            decision.confirm(&PixelStatistics { count: 0, p01: f64::NAN, p50: f64::NAN, p99: f64::NAN }),
            Verdict::Unsettled { required: true, .. }
        ));
    }

    #[test]
    fn radar_units_are_told_apart() {
        let (linear, decibel) = (pixels(0.002, 0.06, 1.2), pixels(-25.0, -12.0, 1.0));
        assert!(matches!(radar(Backscatter::Linear, false, false).confirm(&linear), Verdict::Confirmed(_)));
        assert!(matches!(radar(Backscatter::Decibel, true, false).confirm(&decibel), Verdict::Confirmed(_)));
        assert!(matches!(radar(Backscatter::Decibel, true, false).confirm(&linear), Verdict::Contradiction { .. }));
        match radar(Backscatter::Linear, false, false).confirm(&decibel) {
            Verdict::Settled(decision) => assert_eq!(decision.choice, Choice::Unit(Backscatter::Decibel)),
            other => panic!("{other:?}"),
        }
        let scaled = Backscatter::ScaledDecibel { factor: 20.0, constant: -83.0 };
        assert!(matches!(radar(scaled, true, false).confirm(&pixels(900.0, 3500.0, 9000.0)), Verdict::Confirmed(_)));
        assert!(matches!(
            radar(Backscatter::Linear, false, true).confirm(&pixels(90.0, 350.0, 900.0)),
            Verdict::Unsettled { required: true, .. }
        ));
    }
}
