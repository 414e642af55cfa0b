//! Filters on properties of items, in CQL2: read from text or JSON, judged here, and written for servers.
//!
//! What is understood is Basic CQL2 and its advanced comparisons: `AND`, `OR`, `NOT`, `= <> < <= > >=`, `LIKE`,
//! `BETWEEN`, `IN` and `IS NULL` between a property and values. Space and time have settings of their own. Every filter
//! can be judged here, so it holds for static catalogs, for servers without filters, and for those that do not keep
//! their word.

mod json;
mod text;

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CatalogError, Item, Result, format_datetime, parse_datetime};

/// A filter on the properties of items.
///
/// ```
/// # use skysense_catalog::Filter;
/// let filter = Filter::parse("eo:cloud_cover < 20 AND platform IN ('sentinel-2a', 'sentinel-2b')").unwrap();
/// assert_eq!(filter.to_text(), r#""eo:cloud_cover" < 20 AND "platform" IN ('sentinel-2a', 'sentinel-2b')"#);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Filter(Test);

/// What is true of an item, false, or (of what it does not say) neither.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Compare(Operator, Operand, Operand),
    Like(Operand, String),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    IsNull(Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// The longer signs come before those that they begin with.
    const ALL: [Self; 6] =
        [Self::Equal, Self::Unequal, Self::LessOrEqual, Self::Less, Self::GreaterOrEqual, Self::Greater];

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Property(String),
    Number(f64),
    Text(String),
    Truth(bool),
    Moment(DateTime<Utc>),
}

/// Brackets within brackets, and operators within operators.
const DEEPEST: usize = 32;

impl Filter {
    /// Reads CQL2 text.
    ///
    /// # Errors
    /// Names what cannot be understood and where it stands.
    pub fn parse(text: &str) -> Result<Self> {
        text::read(text).map(Self).map_err(|message| CatalogError::Filter { message })
    }

    /// Reads CQL2 JSON, or text in a JSON string.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn from_json(value: &Value) -> Result<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            _ => json::read(value, 0).map(Self).map_err(|message| CatalogError::Filter { message }),
        }
    }

    /// As CQL2 text.
    pub fn to_text(&self) -> String {
        text::write(&self.0)
    }

    /// As CQL2 JSON.
    pub fn to_json(&self) -> Value {
        json::write(&self.0)
    }

    /// Whether an item passes; one that does not say what is asked for does not.
    pub fn passes(&self, item: &Item) -> bool {
        self.0.of(item) == Some(true)
    }

    /// What cloud cover a server may leave out: items that do not say theirs stay.
    pub(crate) fn clouds_up_to(limit: f64) -> Self {
        let cover = || Operand::Property("eo:cloud_cover".into());
        let within = Test::Compare(Operator::LessOrEqual, cover(), Operand::Number(limit));
        Self(Test::Or(vec![within, Test::IsNull(cover())]))
    }

    /// Both filters at once.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(Test::And(vec![self.0, other.0]))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text())
    }
}

impl TryFrom<Value> for Filter {
    type Error = CatalogError;

    fn try_from(value: Value) -> Result<Self> {
        Self::from_json(&value)
    }
}

impl From<Filter> for Value {
    fn from(filter: Filter) -> Self {
        filter.to_json()
    }
}

/// `by` as soon as one of the tests says so, the contrary where all say the contrary, `None` where one does not know.
fn decided(tests: &[Test], item: &Item, by: bool) -> Option<bool> {
    let mut all_known = true;
    for test in tests {
        match test.of(item) {
            Some(holds) if holds == by => return Some(by),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!by)
}

impl Test {
    /// The three-valued logic of SQL: `None` where a property that decides is missing.
    fn of(&self, item: &Item) -> Option<bool> {
        match self {
            Self::And(all) => decided(all, item, false),
            Self::Or(any) => decided(any, item, true),
            Self::Not(test) => test.of(item).map(|holds| !holds),
            Self::Compare(operator, left, right) => {
                compare(&left.of(item)?, &right.of(item)?).map(|o| operator.holds(o))
            }
            Self::Between(value, low, high) => {
                let value = value.of(item)?;
                Some(compare(&value, &low.of(item)?)?.is_ge() && compare(&value, &high.of(item)?)?.is_le())
            }
            Self::In(value, list) => {
                let value = value.of(item)?;
                let same = |other: &Operand| other.of(item).and_then(|other| compare(&value, &other));
                Some(list.iter().any(|other| same(other).is_some_and(Ordering::is_eq)))
            }
            Self::Like(value, pattern) => match value.of(item)? {
                Operand::Text(text) => Some(like(&text, pattern)),
                _ => None,
            },
            Self::IsNull(value) => Some(value.of(item).is_none()),
        }
    }
}

impl Operand {
    /// The value that it has for an item; `None` where the item does not say.
    fn of(&self, item: &Item) -> Option<Self> {
        let Self::Property(name) = self else { return Some(self.clone()) };
        let value =
            match name.strip_prefix("properties.").unwrap_or(name) {
                "id" => return Some(Self::Text(item.id().to_owned())),
                "collection" => return item.collection().map(|id| Self::Text(id.to_owned())),
                "datetime" => return item.datetime().map(Self::Moment),
                name => match item.property(name) {
                    // `a.b` is a key of its own, or `b` within `a`.
                    Value::Null => name.split('.').skip(1).fold(
                        name.split('.').next().map_or(&Value::Null, |first| item.property(first)),
                        |value, key| value.get(key).unwrap_or(&Value::Null),
                    ),
                    value => value,
                },
            };
        match value {
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Bool(truth) => Some(Self::Truth(*truth)),
            _ => None,
        }
    }
}

/// The order of two values of one kind; a text beside a number or a moment is read as one.
fn compare(left: &Operand, right: &Operand) -> Option<Ordering> {
    match (left, right) {
        (Operand::Number(a), Operand::Number(b)) => a.partial_cmp(b),
        (Operand::Truth(a), Operand::Truth(b)) => Some(a.cmp(b)),
        (Operand::Moment(a), Operand::Moment(b)) => Some(a.cmp(b)),
        (Operand::Moment(a), Operand::Text(b)) => Some(a.cmp(&parse_datetime(b)?)),
        (Operand::Text(a), Operand::Moment(b)) => Some(parse_datetime(a)?.cmp(b)),
        (Operand::Number(a), Operand::Text(b)) => a.partial_cmp(&b.trim().parse().ok()?),
        (Operand::Text(a), Operand::Number(b)) => a.trim().parse::<f64>().ok()?.partial_cmp(b),
        (Operand::Text(a), Operand::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// `%` stands for any text, `_` for one character, `\` takes what follows as it is.
fn like(text: &str, pattern: &str) -> bool {
    enum Piece {
        Any,
        One,
        Is(char),
    }
    let mut pieces = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        pieces.push(match letter {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Is(letters.next().unwrap_or('\\')),
            other => Piece::Is(other),
        });
    }
    // Which prefixes of the pattern fit the text so far: no recursion and no backtracking, whatever the pattern.
    let mut fits = vec![false; pieces.len() + 1];
    fits[0] = true;
    let after_any = |fits: &mut [bool]| {
        for (place, piece) in pieces.iter().enumerate() {
            fits[place + 1] |= fits[place] && matches!(piece, Piece::Any);
        }
    };
    after_any(&mut fits);
    for letter in text.chars() {
        let mut next = vec![false; fits.len()];
        for (place, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Any => next[place] |= fits[place],
                Piece::One => next[place + 1] |= fits[place],
                Piece::Is(wanted) => next[place + 1] |= fits[place] && *wanted == letter,
            }
        }
        after_any(&mut next);
        fits = next;
    }
    fits[pieces.len()]
}

/// A moment as CQL2 writes it.
fn moment(at: DateTime<Utc>) -> String {
    format_datetime(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Root;

    fn item() -> Item {
        let value = json!({"type": "Feature", "id": "S2A_1", "collection": "s2", "assets": {}, "properties": {
            "datetime": "2021-06-01T10:00:00Z", "eo:cloud_cover": 12.5, "platform": "sentinel-2a", "orbit": "33",
            "valid": true, "view": {"sun": 41}}});
        Item::from_json(value, "/c/a.json", Root::Local("/c".into())).unwrap()
    }

    #[test]
    fn filters_are_judged_and_survive_both_encodings() {
        for (text, wanted) in [
            ("eo:cloud_cover < 20", true),
            ("eo:cloud_cover > 20", false),
            ("20 > eo:cloud_cover", true),
            ("properties.eo:cloud_cover <= 12.5 and platform = 'sentinel-2a'", true),
            ("platform <> 'sentinel-2a' OR \"view.sun\" >= 41", true),
            ("NOT (platform = 'sentinel-2a' AND valid = TRUE)", false),
            ("platform LIKE 'sentinel-2_'", true),
            ("platform NOT LIKE '%2a'", false),
            ("id LIKE 'S2A\\__'", true),
            ("collection IN ('s1', 's2')", true),
            ("orbit NOT IN (1, 2, 33)", false),
            ("eo:cloud_cover BETWEEN 10 AND 12.5 AND valid = true", true),
            ("eo:cloud_cover NOT BETWEEN -1e1 AND 12.5", false),
            ("sat:orbit IS NULL", true),
            ("platform IS NOT NULL", true),
            // What an item does not say is neither true nor false.
            ("sat:orbit = 5", false),
            ("NOT sat:orbit = 5", false),
            ("sat:orbit = 5 OR valid = true", true),
            ("datetime >= TIMESTAMP('2021-06-01T10:00:00Z') AND datetime < DATE('2021-06-02')", true),
            ("datetime < '2021-06-01T09:00:00Z'", false),
            ("platform = 'it''s'", false),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.passes(&item()), wanted, "{text}");
            assert_eq!(Filter::parse(&filter.to_text()).unwrap(), filter, "{text}");
            assert_eq!(Filter::from_json(&filter.to_json()).unwrap(), filter, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told_with_its_place() {
        for (text, told) in [
            ("", "nothing"),
            ("eo:cloud_cover", "character 15"),
            ("eo:cloud_cover < ", "ends"),
            ("a = 'open", "quote"),
            ("a = 5 b", "`b`"),
            ("a == 5", "`=`"),
            ("(a = 5", "`)`"),
            ("S_INTERSECTS(geometry, POINT(1 2))", "S_INTERSECTS"),
            ("a = TIMESTAMP('soon')", "soon"),
            ("a IN ()", "`)`"),
            ("a = 5 AND", "ends"),
        ] {
            let error = Filter::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let deep = format!("{}a = 1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(Filter::parse(&deep).unwrap_err().to_string().contains("deep"));
        assert!(Filter::parse(&format!("{}a = 1", "NOT ".repeat(100_000))).unwrap_err().to_string().contains("deep"));
        for (value, told) in [
            (json!({"op": "s_intersects", "args": []}), "s_intersects"),
            (json!({"op": "=", "args": [{"property": "a"}]}), "2"),
            (json!({"op": "=", "args": [{"property": "a"}, [1]]}), "[1]"),
            (json!({"a": 1}), "op"),
            (json!(5), "5"),
        ] {
            let error = Filter::from_json(&value).unwrap_err().to_string();
            assert!(error.contains(told), "{value}: {error}");
        }
    }
}
