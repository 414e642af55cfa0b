//! Whether the offset of Sentinel-2 is still in the pixels.
//!
//! Since processing baseline 04.00 digital numbers carry +1000, so that reflectance below zero survives.
//! Some catalogs subtract it and say so, some subtract it and still declare the offset, some say nothing.

use super::{Choice, Decision, Expected, Override, PixelCheck};

/// What is known about the offset of an item.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence<'a> {
    /// What the workflow states.
    pub(crate) stated: Option<&'a Override>,
    /// What the sensor file says for this collection.
    pub(crate) collection_offset: Option<f64>,
    /// A property that says whether the catalog subtracted the offset: its name and value.
    pub(crate) applied: Option<(&'a str, bool)>,
    /// Declared offsets of the bands, reflectance; empty where none is declared.
    pub(crate) declared: Vec<f64>,
    /// Declared scale, or the sensor's.
    pub(crate) scale: f64,
    /// Processing baseline times 100.
    pub(crate) baseline: Option<u32>,
    /// First baseline whose numbers carry the offset, and that offset, from the sensor file.
    pub(crate) since: (u32, f64),
    /// Bands to look at when pixels are asked.
    pub(crate) check_bands: Vec<String>,
}

/// Decides the offset: workflow, collection rule, "applied" property, declared offset, baseline, pixels.
pub(crate) fn decide(evidence: &Evidence<'_>) -> Decision {
    let (since, rule_offset) = evidence.since;
    let by_baseline = evidence.baseline.map(|baseline| if baseline >= since { rule_offset } else { 0.0 });
    let baseline = evidence.baseline.map_or_else(|| "unknown".to_owned(), |b| format!("{:02}.{:02}", b / 100, b % 100));
    let uniform = evidence.declared.first().copied().filter(|first| evidence.declared.iter().all(|o| o == first));

    if let Some(offset) = evidence.stated.and_then(|stated| stated.offset) {
        return Decision::plain(Choice::Offset(offset), "workflow", format!("offset {offset}: stated in the workflow"));
    }
    if let Some(offset) = evidence.collection_offset {
        return Decision::plain(
            Choice::Offset(offset),
            "collection",
            format!("offset {offset}: rule of the sensor file for this collection"),
        );
    }
    match (evidence.applied, evidence.declared.is_empty()) {
        (Some((property, true)), _) => {
            let declared = uniform
                .filter(|&o| o != 0.0)
                .map_or(String::new(), |o| format!(", so the declared offset {o} must not be applied again"));
            let sentence = format!("offset 0: `{property}` is true{declared} (baseline {baseline})");
            // Before baseline 04.00 there was nothing to apply, so nothing can have gone wrong.
            let quiet = evidence.baseline.is_some_and(|b| b < since);
            checked(
                evidence,
                Choice::Offset(0.0),
                0.0,
                "applied",
                sentence,
                Ask { needed: !quiet, required: false, stated: true },
            )
        }
        (_, false) => declared(evidence, uniform, by_baseline, &baseline),
        (_, true) => undeclared(evidence, by_baseline, &baseline),
    }
}

struct Ask {
    needed: bool,
    required: bool,
    stated: bool,
}

fn declared(evidence: &Evidence<'_>, uniform: Option<f64>, by_baseline: Option<f64>, baseline: &str) -> Decision {
    let applied = evidence.applied.map_or(String::new(), |(property, value)| format!(", `{property}` is {value}"));
    let Some(offset) = uniform else {
        let list = evidence.declared.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        return Decision::plain(
            Choice::Declared,
            "declared per band",
            format!("offsets as declared per band: {list}{applied}"),
        );
    };
    let sentence = format!("offset {offset}: declared by the item (baseline {baseline}{applied})");
    // Declaration and baseline agree: two sources are enough. Otherwise pixels are asked.
    let needed = by_baseline != Some(offset);
    checked(evidence, Choice::Declared, offset, "declared", sentence, Ask { needed, required: false, stated: true })
}

fn undeclared(evidence: &Evidence<'_>, by_baseline: Option<f64>, baseline: &str) -> Decision {
    match by_baseline {
        Some(offset) => {
            let sentence = format!("offset {offset}: not declared; by processing baseline {baseline}");
            checked(
                evidence,
                Choice::Offset(offset),
                offset,
                "baseline",
                sentence,
                Ask { needed: offset != 0.0, required: false, stated: false },
            )
        }
        None => {
            let sentence = "offset 0: neither offset nor processing baseline is known".to_owned();
            checked(
                evidence,
                Choice::Offset(0.0),
                0.0,
                "assumed",
                sentence,
                Ask { needed: true, required: true, stated: false },
            )
        }
    }
}

fn checked(evidence: &Evidence<'_>, choice: Choice, offset: f64, rule: &str, sentence: String, ask: Ask) -> Decision {
    let check = ask.needed.then(|| PixelCheck {
        bands: evidence.check_bands.clone(),
        expected: Expected::Floor { scale: evidence.scale, offset },
        required: ask.required,
        stated: ask.stated,
    });
    Decision { choice, rule: rule.into(), sentence, seen: None, check }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence<'a>() -> Evidence<'a> {
        Evidence { scale: 1e-4, since: (400, -0.1), check_bands: vec!["B12".into()], ..Evidence::default() }
    }

    #[test]
    fn applied_beats_declared() {
        let decision = decide(&Evidence {
            applied: Some(("earthsearch:boa_offset_applied", true)),
            declared: vec![-0.1; 3],
            baseline: Some(509),
            ..evidence()
        });
        assert_eq!(decision.choice, Choice::Offset(0.0));
        assert!(decision.sentence.contains("must not be applied again"), "{}", decision.sentence);
        assert!(decision.check.is_some(), "the flag is wrong at times");
    }

    #[test]
    fn not_applied_and_declared_is_declared() {
        let decision = decide(&Evidence {
            applied: Some(("earthsearch:boa_offset_applied", false)),
            declared: vec![0.0; 3],
            baseline: Some(214),
            ..evidence()
        });
        assert_eq!((decision.choice, decision.check), (Choice::Declared, None));
    }

    #[test]
    fn a_declared_offset_of_its_own_is_kept_and_checked() {
        let decision = decide(&Evidence { declared: vec![-0.7; 3], baseline: Some(510), ..evidence() });
        assert_eq!(decision.choice, Choice::Declared);
        assert_eq!(decision.check.unwrap().expected, Expected::Floor { scale: 1e-4, offset: -0.7 });
        let mixed = decide(&Evidence { declared: vec![-0.1, -0.2], ..evidence() });
        assert_eq!((mixed.choice, mixed.rule.as_str()), (Choice::Declared, "declared per band"));
    }

    #[test]
    fn undeclared_follows_the_baseline_and_not_the_date() {
        assert_eq!(decide(&Evidence { baseline: Some(301), ..evidence() }).choice, Choice::Offset(0.0));
        assert_eq!(decide(&Evidence { baseline: Some(400), ..evidence() }).choice, Choice::Offset(-0.1));
        let unknown = decide(&evidence());
        assert!(unknown.check.unwrap().required, "without any evidence pixels must answer");
    }

    #[test]
    fn the_workflow_beats_everything_and_collections_beat_items() {
        let stated = Override { offset: Some(-0.1), ..Override::default() };
        let all = Evidence {
            stated: Some(&stated),
            collection_offset: Some(0.0),
            applied: Some(("x", true)),
            declared: vec![0.0],
            baseline: Some(200),
            ..evidence()
        };
        assert_eq!(decide(&all).choice, Choice::Offset(-0.1));
        assert_eq!(decide(&Evidence { stated: None, declared: vec![-0.1], ..all }).choice, Choice::Offset(0.0));
    }
}
