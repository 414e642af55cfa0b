//! A span of time as it is written: `30s`, `15m`, `2h`, `7d`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

use crate::Millis;

/// Units with their milliseconds.
const UNITS: [(&str, Millis); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Millis);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        // A thousand years is as good as for ever, and does not overflow.
        Some(Self(count.parse::<Millis>().ok()?.checked_mul(*millis)?.min(31_556_952_000_000)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no span of time such as `15m`")))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d|w)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_everything_else_is_not() {
        for (text, expected) in [("30s", 30_000), ("15m", 900_000), ("2h", 7_200_000), ("7d", 604_800_000), ("0s", 0)] {
            assert_eq!(Span::parse(text), Some(Span(expected)), "{text}");
        }
        for text in ["", "s", "15", "1.5h", "-1h", "1 h", "99999999999999999999d", "1y"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        assert_eq!(Span::parse("999999999w"), Some(Span(31_556_952_000_000)));
    }
}
