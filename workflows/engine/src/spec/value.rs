//! References in settings: `$param`, `${env:NAME}`, `${secret:NAME}`, always a whole value.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value as Json, json};

use super::{
    document::{Reader, is_name},
    suggest,
    yaml::{Value, Yaml, token},
};

/// Where `${env:NAME}` and `${secret:NAME}` are looked up.
pub trait Surroundings {
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// A secret.
    fn secret(&self, name: &str) -> Option<String>;
}

/// The surroundings of this process: secrets come from the variable `SKYSENSE_SECRET_<NAME>`, or from
/// the file `<NAME>` in the folder that `SKYSENSE_SECRETS` names (a line break at its end is dropped).
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessSurroundings;

impl Surroundings for ProcessSurroundings {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.env(&format!("SKYSENSE_SECRET_{name}")).or_else(|| {
            let folder = PathBuf::from(std::env::var_os("SKYSENSE_SECRETS")?);
            let text = std::fs::read_to_string(folder.join(name)).ok()?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        })
    }
}

/// A param's value in effect.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    /// As nodes receive it: paths are absolute.
    pub(super) value: Json,
    /// As it is written, which is what the workflow's hash is made from.
    pub(super) written: Json,
    /// The secret that it is, if it is one.
    pub(super) secret: Option<String>,
}

/// The params of a workflow: `None` for one that has no value.
pub(super) type Params = BTreeMap<String, Option<Bound>>;

/// A value with its references filled in, in three views.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filled {
    /// As the node receives it.
    pub(super) value: Json,
    /// As it may be shown: secrets by name.
    pub(super) public: Json,
    /// As it is written: secrets by name, paths not yet resolved.
    pub(super) written: Json,
    /// JSON Pointers of values that are not known, because a param has none or a reference failed.
    pub(super) open: Vec<String>,
}

/// Fills references in.
pub(super) struct Filler<'a> {
    pub(super) params: &'a Params,
    pub(super) surroundings: &'a dyn Surroundings,
    /// Whether a param without a value is a fault.
    pub(super) require: bool,
    /// Params whose value was refused, which is told already.
    pub(super) refused: &'a [String],
}

/// What a text refers to.
#[derive(Debug, PartialEq)]
enum Reference<'t> {
    Param(&'t str),
    Env(&'t str),
    Secret(&'t str),
    /// Plain text; `$$` at the start stands for one `$`.
    Text(&'t str),
    Malformed,
}

impl Filler<'_> {
    /// Fills a tree in; notes what cannot be.
    pub(super) fn fill(&self, yaml: &Yaml, reader: &mut Reader<'_>) -> Filled {
        self.walk(yaml, "", reader)
    }

    fn walk(&self, yaml: &Yaml, pointer: &str, reader: &mut Reader<'_>) -> Filled {
        let same = |value: Json| Filled { public: value.clone(), written: value.clone(), value, open: Vec::new() };
        match &yaml.value {
            Value::Null => same(Json::Null),
            Value::Bool(value) => same(json!(value)),
            Value::Number(number) => same(Json::Number(number.clone())),
            Value::Text(text) => self.text(text, yaml, reader).unwrap_or_else(|| Filled {
                value: Json::Null,
                public: json!(text),
                written: json!(text),
                open: vec![pointer.to_owned()],
            }),
            Value::List(items) => {
                let mut all = same(json!([]));
                for (position, item) in items.iter().enumerate() {
                    let filled = self.walk(item, &format!("{pointer}/{position}"), reader);
                    for (list, value) in [
                        (&mut all.value, filled.value),
                        (&mut all.public, filled.public),
                        (&mut all.written, filled.written),
                    ] {
                        list.as_array_mut().expect("was made as a list above").push(value);
                    }
                    all.open.extend(filled.open);
                }
                all
            }
            Value::Map(entries) => {
                let mut all = same(json!({}));
                for entry in entries {
                    let name = &entry.key.name;
                    let filled = self.walk(&entry.value, &format!("{pointer}/{}", token(name)), reader);
                    all.value[name] = filled.value;
                    all.public[name] = filled.public;
                    all.written[name] = filled.written;
                    all.open.extend(filled.open);
                }
                all
            }
        }
    }

    /// One text; `None` if it has no value.
    pub(super) fn text(&self, text: &str, yaml: &Yaml, reader: &mut Reader<'_>) -> Option<Filled> {
        let plain = |value: Json| Filled { public: value.clone(), written: value.clone(), value, open: Vec::new() };
        let secret = |name: &str, value: Json| Filled {
            value,
            public: json!(format!("${{secret:{name}}}")),
            written: json!(format!("${{secret:{name}}}")),
            open: Vec::new(),
        };
        let noted = match refers(text) {
            Reference::Text(text) => {
                self.warn_of_template(text, yaml, reader);
                return Some(plain(json!(text)));
            }
            Reference::Param(name) => match self.params.get(name) {
                Some(Some(bound)) => {
                    let Bound { value, written, secret: hidden } = bound.clone();
                    return Some(match hidden {
                        Some(hidden) => secret(&hidden, value),
                        None => Filled { public: value.clone(), written, value, open: Vec::new() },
                    });
                }
                Some(None) if !self.require || self.refused.iter().any(|refused| refused == name) => return None,
                Some(None) => reader
                    .note("unset-param", format!("param `{name}` has no value"), yaml.span)
                    .with(|fault| fault.hint(format!("give it one with `-p {name}=…`, or a `default` in `params`"))),
                None => {
                    let known = suggest::listed(self.params.keys().map(String::as_str));
                    let hint = suggest::did_you_mean(name, self.params.keys().map(String::as_str));
                    let hint = hint.unwrap_or_else(|| format!("declare it under `params`, or write `$${name}` for text"));
                    reader
                        .note("unknown-param", format!("there is no param `{name}`"), yaml.span)
                        .with(|fault| fault.expected(format!("one of the params: {known}")).hint(hint))
                }
            },
            Reference::Env(name) => match self.surroundings.env(name) {
                Some(value) => return Some(plain(json!(value))),
                None => reader
                    .note("unset-env", format!("the environment variable `{name}` is not set"), yaml.span)
                    .with(|fault| fault.hint(format!("set it: `export {name}=…`"))),
            },
            Reference::Secret(name) => match self.surroundings.secret(name) {
                Some(value) => return Some(secret(name, json!(value))),
                None => reader.note("unset-secret", format!("there is no secret `{name}`"), yaml.span).with(|fault| {
                    fault.hint(format!("set `SKYSENSE_SECRET_{name}`, or put the file `{name}` into the folder that SKYSENSE_SECRETS names"))
                }),
            },
            Reference::Malformed => reader
                .note("value", "a `$` at the start of a text begins a reference", yaml.span)
                .with(|fault| {
                    fault
                        .expected("`$param`, `${env:NAME}` or `${secret:NAME}`")
                        .found(format!("`{text}`"))
                        .hint("references are whole values; write `$$` for a text that begins with `$`")
                }),
        };
        noted.push(reader);
        None
    }

    /// A reference inside a longer text would stay as it is, which nobody who writes one expects.
    fn warn_of_template(&self, text: &str, yaml: &Yaml, reader: &mut Reader<'_>) {
        let mut tail = text;
        while let Some(at) = tail.find('$') {
            tail = &tail[at + 1..];
            let name: &str =
                tail.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next().unwrap_or("");
            if tail.starts_with("{env:") || tail.starts_with("{secret:") || self.params.contains_key(name) {
                let noted = reader.note("value", "a reference stands inside a longer text", yaml.span);
                noted
                    .with(|fault| fault.hint("values are whole: make the whole text a param and refer to that"))
                    .push(reader);
                return;
            }
        }
    }
}

fn refers(text: &str) -> Reference<'_> {
    let Some(rest) = text.strip_prefix('$') else { return Reference::Text(text) };
    if rest.starts_with('$') {
        return Reference::Text(rest);
    }
    if is_name(rest) {
        return Reference::Param(rest);
    }
    let inner = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let variable =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match inner.and_then(|inner| inner.split_once(':')) {
        Some(("env", name)) if variable(name) => Reference::Env(name),
        Some(("secret", name)) if variable(name) => Reference::Secret(name),
        _ => Reference::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_whole_text() {
        for (text, expected) in [
            ("$catalog", Reference::Param("catalog")),
            ("${env:HOME}", Reference::Env("HOME")),
            ("${secret:TOKEN}", Reference::Secret("TOKEN")),
            ("$$5", Reference::Text("$5")),
            ("5 $", Reference::Text("5 $")),
            ("$", Reference::Malformed),
            ("${HOME}", Reference::Malformed),
            ("${env:}", Reference::Malformed),
            ("$a/b", Reference::Malformed),
        ] {
            assert_eq!(refers(text), expected, "{text}");
        }
    }
}
