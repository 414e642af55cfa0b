//! What a run is given of the events that it is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_engine::{ParamType, parse_size};

use super::Problem;
use crate::GroupRule;

/// Settings under `run`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunRule {
    /// The param that gets the items, as the path of an item collection: a `uri`, `path` or `string`.
    pub(crate) items: Option<String>,
    /// The param that gets the path of the file, of a trigger on files that are no items.
    pub(crate) file: Option<String>,
    /// The param that gets a folder of its own for what the run writes.
    pub(crate) out: Option<String>,
    /// The param that gets the interval of the items' time.
    pub(crate) period: Option<String>,
    /// The param that gets the name of the group: an item's id, a week, a property's value.
    pub(crate) key: Option<String>,
    /// Values of other params.
    pub(crate) params: BTreeMap<String, Value>,
    /// Runs of a higher priority begin first.
    pub(crate) priority: i64,
    /// Most memory that a run holds, as `2GiB`; its share of the service's if left out.
    memory: Option<String>,
    /// How often a run is tried before it is put aside as dead.
    #[schemars(range(min = 1, max = 100))]
    attempts: Option<u32>,
}

const PLACES: &[ParamType] = &[ParamType::Uri, ParamType::Path, ParamType::String];

impl RunRule {
    /// Every param that is filled: where that stands, its name, and the types that take it; none means any.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (String, &str, &'static [ParamType])> {
        const TIMES: &[ParamType] = &[ParamType::Datetime, ParamType::String];
        const TEXTS: &[ParamType] = &[ParamType::String, ParamType::Enum];
        let named = [
            ("/run/items", &self.items, PLACES),
            ("/run/file", &self.file, PLACES),
            ("/run/out", &self.out, PLACES),
            ("/run/period", &self.period, TIMES),
            ("/run/key", &self.key, TEXTS),
        ];
        let named = named.into_iter().filter_map(|(at, name, types)| Some((at.to_owned(), name.as_deref()?, types)));
        named.chain(self.params.keys().map(|name| (format!("/run/params/{name}"), name.as_str(), &[][..])))
    }

    /// Adds what a run is allowed to the rule of its group.
    pub(crate) fn complete(&self, mut rule: GroupRule) -> Result<GroupRule, Problem> {
        rule.priority = self.priority;
        rule.attempts = self.attempts.unwrap_or(rule.attempts);
        if let Some(text) = &self.memory {
            let bad = || Problem::new("/run/memory", format!("`{text}` is no size")).expected("a size like `2GiB`");
            rule.memory = parse_size(text).ok_or_else(bad)?;
        }
        Ok(rule)
    }
}
