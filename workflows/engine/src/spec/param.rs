//! Typed parameters: their declaration, and the values that `-p name=value` gives them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::Serialize;
use serde_json::{Number, Value as Json, json};

use super::{
    document::Reader,
    suggest,
    yaml::{Entry, Key, Value, Yaml},
};

/// What values a param takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Any text.
    String,
    /// An address: a URL, or a path, which is resolved like `path`.
    Uri,
    /// A file or folder; relative ones start at the workflow's folder, those of `-p` where you stand.
    Path,
    /// A model package: its folder, resolved like `path`.
    Model,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A date, a datetime of RFC 3339, or an interval of two of them with `/`; an open end is `..`.
    Datetime,
    /// `30s`, `15m`, `2h`, `7d`, or a duration of ISO 8601 like `P1M`.
    Duration,
    /// Four numbers: west, south, east, north in degrees; for `-p` with commas between.
    Bbox,
    /// One of the `values`.
    Enum,
}

/// Every type with the word that names it, in the order of the docs.
pub const PARAM_TYPES: &[(&str, ParamType)] = &[
    ("string", ParamType::String),
    ("uri", ParamType::Uri),
    ("path", ParamType::Path),
    ("model", ParamType::Model),
    ("number", ParamType::Number),
    ("integer", ParamType::Integer),
    ("boolean", ParamType::Boolean),
    ("datetime", ParamType::Datetime),
    ("duration", ParamType::Duration),
    ("bbox", ParamType::Bbox),
    ("enum", ParamType::Enum),
];

const KEYS: &[&str] = &["type", "default", "doc", "min", "max", "values"];

/// A param as it is declared.
#[derive(Debug, Clone)]
pub(super) struct ParamDecl {
    pub(super) name: Key,
    pub(super) kind: ParamType,
    pub(super) default: Option<Yaml>,
    pub(super) doc: Option<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) values: Vec<String>,
}

impl ParamDecl {
    /// Reads a declaration; notes what is wrong with it.
    pub(super) fn read(reader: &mut Reader<'_>, Entry { key, value }: &Entry) -> Option<Self> {
        let entries = reader.map(value, &format!("param `{}`", key.name))?;
        reader.known(entries, "a param", KEYS);
        let kind = Self::kind(reader, entries, key)?;
        let mut param = Self {
            name: key.clone(),
            kind,
            default: None,
            doc: reader.text_entry(entries, "doc"),
            min: Self::bound(reader, entries, "min", kind),
            max: Self::bound(reader, entries, "max", kind),
            values: Self::values(reader, entries, key, kind),
        };
        let default = entries.iter().find(|entry| entry.key.name == "default").map(|entry| &entry.value);
        if let Some(default) = default.filter(|default| default.value != Value::Null) {
            // `${env:NAME}` is looked up, and checked, when the params are bound.
            let refers = matches!(&default.value, Value::Text(text) if text.starts_with('$'));
            match if refers { Ok(()) } else { param.check(&to_json(default)) } {
                Ok(()) => param.default = Some(default.clone()),
                Err(expected) => reader
                    .note("type", format!("the default of param `{}` does not fit its type", key.name), default.span)
                    .with(|fault| fault.expected(expected).found(to_json(default)))
                    .push(reader),
            }
        }
        Some(param)
    }

    fn kind(reader: &mut Reader<'_>, entries: &[Entry], key: &Key) -> Option<ParamType> {
        let names = || PARAM_TYPES.iter().map(|(name, _)| *name);
        let Some(entry) = entries.iter().find(|entry| entry.key.name == "type") else {
            let noted = reader.note("missing-key", format!("param `{}` has no type", key.name), key.span);
            noted.with(|fault| fault.expected(suggest::listed(names()))).push(reader);
            return None;
        };
        let word = reader.text_entry(entries, "type")?;
        let known = PARAM_TYPES.iter().find(|(name, _)| *name == word);
        if known.is_none() {
            let hint = match word.as_str() {
                "float" | "double" | "f32" | "f64" => Some("did you mean `number`?".to_owned()),
                "int" | "i64" | "u32" => Some("did you mean `integer`?".to_owned()),
                "bool" => Some("did you mean `boolean`?".to_owned()),
                "str" | "text" => Some("did you mean `string`?".to_owned()),
                "url" | "href" => Some("did you mean `uri`?".to_owned()),
                "date" | "time" | "timestamp" => Some("did you mean `datetime`?".to_owned()),
                "file" | "folder" | "dir" => Some("did you mean `path`?".to_owned()),
                word => suggest::did_you_mean(word, names()),
            };
            let noted = reader.note("type", format!("there is no param type `{word}`"), entry.value.span);
            noted.with(|fault| fault.expected(suggest::listed(names())).hint_if(hint)).push(reader);
        }
        known.map(|(_, kind)| *kind)
    }

    fn bound(reader: &mut Reader<'_>, entries: &[Entry], which: &str, kind: ParamType) -> Option<f64> {
        let entry = entries.iter().find(|entry| entry.key.name == which)?;
        let noted = match &entry.value.value {
            Value::Number(number) if matches!(kind, ParamType::Number | ParamType::Integer) => return number.as_f64(),
            Value::Number(_) => reader
                .note("value", format!("`{which}` bounds numbers"), entry.key.span)
                .with(|fault| fault.hint("drop it, or make the param a `number` or an `integer`")),
            _ => reader
                .note("type", format!("`{which}` is a number"), entry.value.span)
                .with(|fault| fault.expected("a number").found(entry.value.kind())),
        };
        noted.push(reader);
        None
    }

    fn values(reader: &mut Reader<'_>, entries: &[Entry], key: &Key, kind: ParamType) -> Vec<String> {
        let entry = entries.iter().find(|entry| entry.key.name == "values");
        let noted = match (entry, kind) {
            (None, ParamType::Enum) => reader
                .note("missing-key", format!("param `{}` lists no values", key.name), key.span)
                .with(|fault| fault.expected("`values: [one, another]`")),
            (None, _) => return Vec::new(),
            (Some(entry), ParamType::Enum) => match &entry.value.value {
                Value::List(items) if !items.is_empty() => {
                    let text = |item: &Yaml| match &item.value {
                        Value::Text(text) => Some(text.clone()),
                        Value::Number(number) => Some(number.to_string()),
                        _ => None,
                    };
                    let values: Option<Vec<String>> = items.iter().map(text).collect();
                    if let Some(values) = values {
                        return values;
                    }
                    reader.note("type", "the values of an enum are texts", entry.value.span)
                }
                _ => reader.note("type", "`values` is a list of at least one text", entry.value.span),
            },
            (Some(entry), _) => reader
                .note("value", "`values` belongs to params of type `enum`", entry.key.span)
                .with(|fault| fault.hint("drop it, or write `type: enum`")),
        };
        noted.push(reader);
        Vec::new()
    }

    /// Whether the value names a place that relative paths are resolved for.
    pub(super) fn is_path(&self) -> bool {
        matches!(self.kind, ParamType::Uri | ParamType::Path | ParamType::Model)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What would have been valid, in words.
    pub(super) fn check(&self, value: &Json) -> Result<(), String> {
        let valid = match (self.kind, value) {
            (ParamType::String, Json::String(_)) => true,
            (ParamType::Uri | ParamType::Path | ParamType::Model, Json::String(text)) => !text.is_empty(),
            (ParamType::Number, Json::Number(number)) => self.within(number),
            (ParamType::Integer, Json::Number(number)) => !number.is_f64() && self.within(number),
            (ParamType::Boolean, Json::Bool(_)) => true,
            (ParamType::Datetime, Json::String(text)) => is_datetime(text),
            (ParamType::Duration, Json::String(text)) => is_duration(text),
            (ParamType::Bbox, Json::Array(items)) => is_bbox(items),
            (ParamType::Enum, Json::String(text)) => self.values.contains(text),
            _ => false,
        };
        if valid { Ok(()) } else { Err(self.expected()) }
    }

    /// The value that a text on the command line stands for.
    ///
    /// # Errors
    /// What would have been valid, in words.
    pub(super) fn parse(&self, text: &str) -> Result<Json, String> {
        let number = |text: &str| {
            let text = text.trim();
            let whole = text.parse::<i64>().ok().map(Number::from);
            whole.or_else(|| text.parse().ok().and_then(Number::from_f64)).map(Json::Number)
        };
        let value = match self.kind {
            ParamType::Number | ParamType::Integer => number(text),
            ParamType::Boolean => text.parse().ok().map(Json::Bool),
            ParamType::Bbox => text.split(',').map(number).collect::<Option<Vec<_>>>().map(Json::Array),
            _ => Some(json!(text)),
        };
        let value = value.ok_or_else(|| self.expected())?;
        self.check(&value).map(|()| value)
    }

    fn within(&self, number: &Number) -> bool {
        let value = number.as_f64().unwrap_or(f64::NAN);
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// What values are valid, in words.
    pub(super) fn expected(&self) -> String {
        let bounds = match (self.min, self.max) {
            (Some(min), Some(max)) => format!(" from {min} to {max}"),
            (Some(min), None) => format!(" of at least {min}"),
            (None, Some(max)) => format!(" of at most {max}"),
            (None, None) => String::new(),
        };
        match self.kind {
            ParamType::String => "text".to_owned(),
            ParamType::Uri => "a URL or a path".to_owned(),
            ParamType::Path => "a path".to_owned(),
            ParamType::Model => "the folder of a model package".to_owned(),
            ParamType::Number => format!("a number{bounds}"),
            ParamType::Integer => format!("a whole number{bounds}"),
            ParamType::Boolean => "`true` or `false`".to_owned(),
            ParamType::Datetime => {
                "a date like 2021-03-01, a datetime of RFC 3339, or an interval START/END".to_owned()
            }
            ParamType::Duration => "a duration like `30s`, `15m`, `2h`, `7d` or `P1M`".to_owned(),
            ParamType::Bbox => "four numbers: west, south, east, north in degrees".to_owned(),
            ParamType::Enum => format!("one of {}", suggest::listed(self.values.iter().map(String::as_str))),
        }
    }
}

/// The tree as JSON, without positions and as it is written.
pub(super) fn to_json(yaml: &Yaml) -> Json {
    match &yaml.value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => Json::Number(number.clone()),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.name.clone(), to_json(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn is_datetime(text: &str) -> bool {
    let one = |text: &str| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
            || DateTime::parse_from_rfc3339(text).is_ok()
            || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").is_ok()
    };
    match text.split_once('/') {
        None => one(text),
        Some((start, end)) => {
            let (open_start, open_end) = (matches!(start, ".." | ""), matches!(end, ".." | ""));
            (open_start || one(start)) && (open_end || one(end)) && !(open_start && open_end)
        }
    }
}

fn is_duration(text: &str) -> bool {
    if let Some(iso) = text.strip_prefix('P') {
        let units = iso.split('T').next().unwrap_or_default();
        let valid = |part: &str, letters: &str| {
            part.ends_with(|c: char| letters.contains(c))
                && part.chars().all(|c| c.is_ascii_digit() || letters.contains(c))
                && part.starts_with(|c: char| c.is_ascii_digit())
        };
        return match iso.split_once('T') {
            None => valid(units, "YMWD"),
            Some((date, time)) => (date.is_empty() || valid(date, "YMWD")) && valid(time, "HMS"),
        };
    }
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    matches!(&text[number.len()..], "s" | "m" | "h" | "d" | "w") && number.parse::<u32>().is_ok_and(|count| count > 0)
}

fn is_bbox(items: &[Json]) -> bool {
    let numbers: Vec<f64> = items.iter().filter_map(Json::as_f64).collect();
    // West may lie east of east: such a box crosses the antimeridian.
    matches!(numbers[..], [west, south, east, north] if south < north && west != east
        && (-180.0..=180.0).contains(&west) && (-180.0..=180.0).contains(&east)
        && south >= -90.0 && north <= 90.0)
        && items.len() == 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::source::Span;

    fn param(kind: ParamType) -> ParamDecl {
        let name = Key { name: "p".to_owned(), span: Span::default() };
        let values = vec!["low".to_owned(), "high".to_owned()];
        ParamDecl { name, kind, default: None, doc: None, min: Some(1.0), max: Some(9.0), values }
    }

    #[test]
    fn texts_of_the_command_line_take_the_type_of_their_param() {
        for (kind, text, value) in [
            (ParamType::Integer, "7", json!(7)),
            (ParamType::Number, "1.5", json!(1.5)),
            (ParamType::Boolean, "false", json!(false)),
            (ParamType::String, "7", json!("7")),
            (ParamType::Bbox, "5, 45, 6.5, 46", json!([5, 45, 6.5, 46])),
            (ParamType::Enum, "low", json!("low")),
            (ParamType::Datetime, "2021-03-01/..", json!("2021-03-01/..")),
            (ParamType::Duration, "PT15M", json!("PT15M")),
        ] {
            assert_eq!(param(kind).parse(text), Ok(value), "{text}");
        }
        for (kind, text) in [
            (ParamType::Integer, "7.5"),
            (ParamType::Integer, "10"),
            (ParamType::Number, "nan"),
            (ParamType::Number, "0.5"),
            (ParamType::Boolean, "yes"),
            (ParamType::Bbox, "5,45,6"),
            (ParamType::Bbox, "5,46,6,45"),
            (ParamType::Enum, "middle"),
            (ParamType::Datetime, "2021-13-01"),
            (ParamType::Datetime, "../.."),
            (ParamType::Duration, "15"),
            (ParamType::Duration, "PT"),
            (ParamType::Duration, "0m"),
            (ParamType::Path, ""),
        ] {
            assert!(param(kind).parse(text).is_err(), "{text}");
        }
    }
}
