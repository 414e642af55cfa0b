//! A YAML file as a tree in which every key and every value keeps its span.

use serde_json::Number;

use super::source::Span;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Yaml {
    pub(super) value: Value,
    pub(super) span: Span,
}

/// What YAML can hold that JSON can hold too.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) value: Yaml,
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Span,
}

/// A comment, without its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    /// Line it stands on, from 1.
    pub(super) line: usize,
    /// Column of its `#`, from 1.
    pub(super) column: usize,
    /// Text behind the `#`.
    pub(super) text: String,
}

/// A parsed file.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) root: Yaml,
    pub(super) comments: Vec<Comment>,
    /// The first anchor or alias, which a canonical form would have to write out.
    pub(super) alias: Option<Span>,
}

impl Yaml {
    /// The value below a JSON Pointer.
    pub(super) fn at(&self, pointer: &str) -> Option<&Yaml> {
        pointer.split('/').skip(1).try_fold(self, |yaml, token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            match &yaml.value {
                Value::Map(entries) => entries.iter().find(|entry| entry.key.name == token).map(|entry| &entry.value),
                Value::List(items) => items.get(token.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }

    /// The entries of a map; none for other values.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The key span of an entry of this map.
    pub(super) fn key_span(&self, name: &str) -> Option<Span> {
        self.entries().iter().find(|entry| entry.key.name == name).map(|entry| entry.key.span)
    }

    /// What kind of value this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Number of values in this tree.
    pub(super) fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Yaml::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
            _ => 0,
        }
    }
}

/// A JSON Pointer token for a key.
pub(super) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
