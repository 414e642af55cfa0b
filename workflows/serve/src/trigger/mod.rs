//! Triggers: what makes a workflow run by itself.
//!
//! | file | waits for |
//! | --- | --- |
//! | `poll` | items of a STAC API or a static catalog |
//! | `folder` | files in a folder |
//! | `schedule`, `cron` | a moment |
//! | `webhook`, `envelope`, `signature` | a request |
//! | `hand` | somebody |
//! | `select`, `group`, `run_rule` | which items, gathered how, given to the run as what: settings that they share |
//!
//! A new one is a file and a line in [`TYPES`].

mod cron;
mod duration;
mod envelope;
mod folder;
mod found;
mod group;
mod hand;
mod poll;
mod run_rule;
mod schedule;
mod select;
mod signature;
mod webhook;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use skysense_catalog::{Interval, Root};
use skysense_engine::{Fault, ParamType, Spec, TriggerSpec, TriggerType};

use crate::Millis;

pub(crate) use found::Found;
pub(crate) use group::Grouping;
pub(crate) use run_rule::RunRule;
pub(crate) use select::Matcher;
pub(crate) use signature::is_same;
pub(crate) use webhook::{Brought, Refused, Request, Webhook};

/// A type of trigger: its settings are its fields.
trait Kind {
    const NAME: &'static str;
    const SUMMARY: &'static str;
    const DOC: &'static str;
    const EXAMPLE: &'static str;
    type Settings: DeserializeOwned + JsonSchema;

    /// Makes one whose settings fit the schema.
    fn make(settings: Self::Settings, folder: &Path) -> Result<Trigger, Problem>;
}

/// What a schema cannot say is wrong with a setting.
#[derive(Debug)]
pub(crate) struct Problem {
    /// JSON Pointer below `with`.
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) expected: Option<String>,
}

impl Problem {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), expected: None }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

/// A trigger, ready for use.
pub(crate) struct Trigger {
    pub(crate) source: Box<dyn Source>,
    pub(crate) select: Matcher,
    pub(crate) group: Grouping,
    pub(crate) run: RunRule,
}

/// What one look brought.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) found: Vec<Found>,
    /// How far it has looked now; none if that does not change.
    pub(crate) cursor: Option<Value>,
    /// What could not be used, and why.
    pub(crate) skipped: Vec<(String, String)>,
    /// Files that need not be read again once the state took what was found.
    pub(crate) seen: Seen,
}

/// Files by path, each with its size and when it changed.
pub(crate) type Seen = HashMap<PathBuf, (u64, SystemTime)>;

/// Where events come from.
pub(crate) trait Source: Send + Sync {
    /// When to look after a look at `last`; none for what never looks by itself.
    fn next(&self, last: Option<Millis>, now: Millis) -> Option<Millis> {
        let _ = (last, now);
        None
    }

    /// Looks for what is new since the cursor.
    fn look(&self, at: &Looking<'_>) -> Result<Look, String> {
        let _ = at;
        Ok(Look::default())
    }

    /// Says that the state took what a look found.
    fn taken(&self, seen: Seen) {
        let _ = seen;
    }

    /// Looks for what there is of a period.
    fn backfill(&self, period: &Interval, at: &Looking<'_>) -> Result<Look, String> {
        let _ = (period, at);
        Err("a trigger of this type cannot look back".to_owned())
    }

    /// Where items that it finds may name files of this machine; none if they may nowhere.
    fn root(&self) -> Option<Root> {
        None
    }

    /// The webhook that it is, if it is one.
    fn webhook(&self) -> Option<&Webhook> {
        None
    }
}

/// What a look starts from.
pub(crate) struct Looking<'a> {
    pub(crate) cursor: Option<&'a Value>,
    pub(crate) now: Millis,
    pub(crate) select: &'a Matcher,
    /// Whether to give up.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

struct Entry {
    describe: fn() -> TriggerType,
    make: fn(&Value, &Path) -> Result<Trigger, Problem>,
}

const fn entry<K: Kind>() -> Entry {
    Entry {
        describe: || TriggerType {
            name: K::NAME.to_owned(),
            summary: K::SUMMARY.to_owned(),
            doc: K::DOC.to_owned(),
            example: K::EXAMPLE.to_owned(),
            settings: schemars::schema_for!(K::Settings).to_value(),
        },
        make: |settings, folder| {
            let settings = <K::Settings as Deserialize>::deserialize(settings)
                .map_err(|error| Problem::new("", error.to_string()))?;
            K::make(settings, folder)
        },
    }
}

/// All types: one line each.
const TYPES: &[Entry] = &[
    entry::<poll::StacPoll>(),
    entry::<folder::FolderWatch>(),
    entry::<schedule::Schedule>(),
    entry::<webhook::WebhookType>(),
    entry::<hand::ByHand>(),
];

/// What the types declare, for checks, schemas and references.
pub fn trigger_types() -> Vec<TriggerType> {
    TYPES.iter().map(|entry| (entry.describe)()).collect()
}

/// Makes the triggers of a workflow that is right as far as schemas say.
pub(crate) fn triggers(spec: &Spec) -> Result<Vec<(TriggerSpec, Trigger)>, Vec<Fault>> {
    let (mut made, mut faults) = (Vec::new(), Vec::new());
    for written in &spec.triggers {
        match make(spec, written) {
            Ok(trigger) => made.push((written.clone(), trigger)),
            Err(problems) => faults.extend(problems.into_iter().map(|problem| {
                let fault = Fault::new("trigger", problem.message).pointer(problem.pointer);
                let fault = match problem.expected {
                    Some(expected) => fault.expected(expected),
                    None => fault,
                };
                spec.locate_trigger(&written.name, fault)
            })),
        }
    }
    if faults.is_empty() { Ok(made) } else { Err(faults) }
}

/// Every mistake in the triggers of a workflow that a schema cannot see.
pub fn check_triggers(spec: &Spec) -> Vec<Fault> {
    triggers(spec).err().unwrap_or_default()
}

fn make(spec: &Spec, written: &TriggerSpec) -> Result<Trigger, Vec<Problem>> {
    let types = TYPES.iter().find(|entry| (entry.describe)().name == written.uses);
    let Some(entry) = types else {
        return Err(vec![Problem::new("", format!("no trigger is called `{}`", written.uses))]);
    };
    let trigger = (entry.make)(&written.settings, &spec.folder).map_err(|problem| vec![problem])?;
    let mut problems = check_params(spec, &trigger.run);
    problems.extend(check_secrets(written));
    if problems.is_empty() { Ok(trigger) } else { Err(problems) }
}

/// What a trigger fills has to be a param, of a type that takes it; what it leaves open needs a default.
fn check_params(spec: &Spec, run: &RunRule) -> Vec<Problem> {
    let declared = |name: &str| spec.declared.iter().find(|param| param.name == name);
    let names = || {
        let names: Vec<String> = spec.declared.iter().map(|param| format!("`{}`", param.name)).collect();
        if names.is_empty() { "a workflow with params".to_owned() } else { format!("one of {}", names.join(", ")) }
    };
    let mut problems = Vec::new();
    for (pointer, name, types) in run.filled() {
        match declared(name) {
            None => {
                problems.push(Problem::new(pointer, format!("this workflow has no param `{name}`")).expected(names()))
            }
            Some(param) if !types.is_empty() && !types.contains(&param.kind) => {
                let words: Vec<String> = types.iter().map(|kind: &ParamType| word(*kind)).collect();
                let message = format!("param `{name}` is of type {}", word(param.kind));
                problems
                    .push(Problem::new(pointer, message).expected(format!("a param of type {}", words.join(" or "))));
            }
            Some(_) => {}
        }
    }
    for param in spec.declared.iter().filter(|param| param.default.is_null()) {
        if !run.filled().any(|(_, name, _)| name == param.name) {
            let message = format!("nothing gives param `{}` a value", param.name);
            problems.push(Problem::new("/run", message).expected("a default, or an entry of `run.params`"));
        }
    }
    problems
}

/// Values of params stand in the command line of the run's process, which others on this machine can read.
fn check_secrets(written: &TriggerSpec) -> Vec<Problem> {
    fn holds_secret(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains("${secret:"),
            Value::Array(items) => items.iter().any(holds_secret),
            Value::Object(fields) => fields.values().any(holds_secret),
            _ => false,
        }
    }
    let params = written.with.pointer("/run/params").and_then(Value::as_object).into_iter().flatten();
    let secret = params.filter(|(_, value)| holds_secret(value));
    let problem = |(name, _): (&String, &Value)| {
        let message = format!("a secret for param `{name}` would stand in the command line of the run");
        let expected = format!("no entry here, and `default: ${{secret:…}}` at param `{name}`");
        Problem::new(format!("/run/params/{name}"), message).expected(expected)
    };
    secret.map(problem).collect()
}

fn word(kind: ParamType) -> String {
    serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
