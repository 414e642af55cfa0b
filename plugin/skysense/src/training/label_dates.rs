//! Which labels belong to the chips of a period.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::Fault;
use skysense_catalog::parse_datetime;
use skysense_edges::ChipFacts;

use super::labels::LabelSource;

/// Which labels belong to the chips of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LabelDates {
    /// Those of the place, whatever time they are of.
    #[default]
    Any,
    /// Those of the place whose time overlaps the period.
    Match,
}

/// First and last moment, milliseconds since 1970 UTC.
pub(crate) type Span = (i64, i64);

impl LabelDates {
    /// The span that labels of a period must overlap; `None` where any will do.
    pub(crate) fn span(self, chips: &ChipFacts, period: &str) -> Option<Span> {
        let found = chips.periods.iter().find(|known| known.name == period).filter(|_| self == Self::Match)?;
        let moment = |text: &str| parse_datetime(text).map(|moment| moment.timestamp_millis());
        // A moment that cannot be read excludes nothing.
        Some((moment(&found.start).unwrap_or(i64::MIN), moment(&found.end).unwrap_or(i64::MAX)))
    }

    /// What of labels cannot be matched with chips.
    pub(crate) fn faults(self, sources: &[LabelSource], chips: &ChipFacts) -> Vec<Fault> {
        if self == Self::Any {
            return Vec::new();
        }
        let undated = sources.iter().filter(|source| source.span.is_none());
        let mut faults: Vec<Fault> = undated
            .map(|source| {
                let message = format!("item {} has no datetime that could match a period of the chips", source.item);
                Fault::new("/label_dates", "label.dates", message)
                    .hint("give the item a datetime, or start and end, or leave `label_dates` out")
            })
            .collect();
        let spans: Vec<Span> = chips.periods.iter().filter_map(|period| self.span(chips, &period.name)).collect();
        let met = |source: &LabelSource| source.span.is_some_and(|own| spans.iter().any(|span| overlap(own, *span)));
        if faults.is_empty() && !sources.iter().any(met) {
            let periods: Vec<String> =
                chips.periods.iter().map(|period| format!("{} to {}", period.start, period.end)).collect();
            let message = format!("no label is of the time of the chips, {}", periods.join(", "));
            faults.push(
                Fault::new("/label_dates", "label.dates", message)
                    .hint("search labels and scenes of one time, or leave `label_dates` out"),
            );
        }
        faults
    }
}

/// Whether two spans have a moment in common.
pub(crate) fn overlap(one: Span, other: Span) -> bool {
    one.0 <= other.1 && one.1 >= other.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skysense_catalog::Root;

    use super::*;

    fn chips() -> ChipFacts {
        serde_json::from_value(json!({
            "geobox": {"crs": "EPSG:32633", "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0], "width": 16, "height": 16},
            "chip_size": 16, "overlap": 0, "modalities": {}, "items": [], "decisions": [],
            "periods": [
                {"name": "2020", "start": "2020-01-01T00:00:00Z", "end": "2020-12-31T23:59:59Z"},
                {"name": "2021", "start": "2021-01-01T00:00:00Z", "end": "2021-12-31T23:59:59Z"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn labels_belong_to_the_periods_that_they_overlap_where_that_is_said() {
        let at = |text: &str| parse_datetime(text).unwrap().timestamp_millis();
        let source = |span| LabelSource {
            span,
            ..LabelSource::new("fields", "a", "a.tif", Root::Remote("https://a.example/".into()))
        };
        let summer = (at("2021-06-01T00:00:00Z"), at("2021-06-01T00:00:00Z"));
        let span = |period| LabelDates::Match.span(&chips(), period).unwrap();
        assert!(overlap(summer, span("2021")) && !overlap(summer, span("2020")));
        assert_eq!(LabelDates::Any.span(&chips(), "2021"), None);
        assert!(LabelDates::Match.faults(&[source(Some(summer))], &chips()).is_empty());
        let told = |span| LabelDates::Match.faults(&[source(span)], &chips())[0].message.clone();
        assert!(told(None).contains("item fields has no datetime"));
        let other = Some((at("2015-01-01T00:00:00Z"), at("2015-12-31T00:00:00Z")));
        assert!(told(other).contains("no label is of the time") && told(other).contains("2020-01-01"));
        assert!(LabelDates::Any.faults(&[source(None)], &chips()).is_empty());
    }
}
