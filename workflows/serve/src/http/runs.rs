//! Runs: what is queued, what runs, what ended, and what is asked for.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skysense_address::redact_in_place;
use skysense_engine::{Bindings, Faults, Spec};

use super::{
    Api,
    answer::{Answer, Problem, bytes, created, json as answer},
    call::Call,
    workflows,
};
use crate::{ItemQuery, NewRun, Run, RunFilter, RunState, Workflow, clock, ids, material::param_text};

/// Largest part of a log that one answer holds, in bytes: its end.
const LARGEST_LOG: u64 = 4 << 20;

/// A run as it is shown.
pub(super) fn shown(run: &Run) -> Value {
    json!({
        "id": run.id, "workflow": run.workflow, "trigger": run.trigger, "key": run.key, "generation": run.generation,
        "state": run.state, "params": redacted(&Value::Object(run.params.clone())), "priority": run.priority,
        "attempts": run.attempts, "interruptions": run.interruptions, "cancel": run.cancel,
        "queued": clock::text(run.queued_at), "started": run.started_at.map(clock::text),
        "ended": run.ended_at.map(clock::text), "error": run.error.as_ref().map(redacted), "seq": run.seq,
    })
}

/// JSON without what opens the addresses in it.
pub(super) fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) if is_plain(text) => value.clone(),
        Value::String(text) => json!(redact_in_place(text)),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), redacted(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// Whether a text has no sign that stands before a secret. An item holds hundreds of such texts, and most of the time of
/// a search would be spent on looking at them closely.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b'=' | b'?' | b'#' | b'"' | b'\''))
}

/// `GET /api/v1/runs`
pub(crate) fn list(api: &Api, call: &Call) -> Answer {
    let state = match call.query("state") {
        None => None,
        Some(word) => Some(RunState::of(word).ok_or_else(|| {
            let words: Vec<&str> = RunState::ALL.iter().map(|state| state.word()).collect();
            Problem::bad(format!("a run is never `{word:.40}`")).with("expected", words)
        })?),
    };
    let limit = call.number::<usize>("limit")?.unwrap_or(50).clamp(1, 1_000);
    let filter = RunFilter {
        workflow: call.query("workflow").map(str::to_owned),
        state,
        before: call.number("before")?,
        limit: Some(limit),
    };
    let runs = api.service.store.runs(&filter)?;
    let next = (runs.len() == limit).then(|| runs.last().map(|run| run.seq)).flatten();
    answer(&json!({"runs": runs.iter().map(shown).collect::<Vec<_>>(), "next": next}))
}

/// `GET /api/v1/runs/{run}`
pub(crate) fn show(api: &Api, call: &Call) -> Answer {
    let run = api.service.store.run(call.part("run"))?;
    let mut value = shown(&run);
    let mut results = Vec::new();
    api.service.store.items(&ItemQuery { run: Some(run.id.clone()), ..ItemQuery::default() }, |item| {
        results.push(json!({
            "collection": item.collection, "item": item.item_id,
            "href": format!("{}/stac/collections/{}/items/{}", call.base, item.collection, item.item_id),
        }));
        results.len() < 1_000
    })?;
    if let Some(trigger) = &run.trigger {
        let events = api.service.store.events_of((&run.workflow, trigger, &run.key), run.generation)?;
        let event = |event: &crate::StoredEvent| json!({"subject": redact_in_place(&event.subject), "part": event.part, "interval": event.interval, "received": clock::text(event.received_at)});
        value["events"] = events.iter().take(1_000).map(event).collect();
    }
    value["results"] = json!(results);
    answer(&value)
}

/// `GET /api/v1/runs/{run}/log`
pub(crate) fn log(api: &Api, call: &Call) -> Answer {
    let run = api.service.store.run(call.part("run"))?;
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(api.service.scheduler.home(&run.id).progress()) {
        let size = file.metadata().map(|known| known.len()).unwrap_or(0);
        let start = size.saturating_sub(LARGEST_LOG);
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(LARGEST_LOG).read_to_end(&mut text));
        read.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        if start > 0 {
            // What is cut begins with a whole line.
            let line = text.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            text.drain(..line);
        }
    }
    Ok(bytes(StatusCode::OK, "application/x-ndjson", redact_in_place(&String::from_utf8_lossy(&text))))
}

/// `POST /api/v1/runs/{run}/cancel`
pub(crate) fn cancel(api: &Api, call: &Call) -> Answer {
    let id = call.part("run");
    api.service.store.cancel(id, api.service.now())?;
    api.service.scheduler.cancel(id);
    answer(&shown(&api.service.store.run(id)?))
}

/// `POST /api/v1/runs/{run}/retry`
pub(crate) fn retry(api: &Api, call: &Call) -> Answer {
    let id = call.part("run");
    api.service.store.retry(id, api.service.now())?;
    answer(&shown(&api.service.store.run(id)?))
}

/// `GET /api/v1/dead`
pub(crate) fn dead(api: &Api, _: &Call) -> Answer {
    let filter = RunFilter { state: Some(RunState::Dead), limit: Some(1_000), ..RunFilter::default() };
    let runs = api.service.store.runs(&filter)?;
    let skip = |skip: &crate::Skip| redacted(&json!(skip));
    let skips = api.service.store.skips(1_000)?;
    answer(&json!({
        "runs": runs.iter().map(shown).collect::<Vec<_>>(), "skipped": skips.iter().map(skip).collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    params: Map<String, Value>,
    key: Option<String>,
    #[serde(default)]
    priority: i64,
}

/// `POST /api/v1/workflows/{workflow}/runs`
pub(crate) fn submit(api: &Api, call: &Call) -> Answer {
    let workflow = workflows::find(api, call.part("workflow"))?;
    let Wanted { params, key, priority } = call.json()?;
    let run = queue(api, &workflow, params, (key, priority))?;
    created(&format!("/api/v1/runs/{}", run.id), &shown(&run))
}

/// Queues a run whose params are right: they are checked as `skysense run` checks them.
pub(super) fn queue(
    api: &Api,
    workflow: &Workflow,
    params: Map<String, Value>,
    (key, priority): (Option<String>, i64),
) -> Result<Run, Problem> {
    check(api, workflow, &params)?;
    // Without a key each request is a run of its own.
    let key = key.unwrap_or_else(|| {
        let counted = api.counters.next();
        format!("{} {counted} {}", clock::text(clock::now()), std::process::id())
    });
    let new = NewRun {
        id: ids::id(&["asked", &workflow.name, &key, &ids::content(&Value::Object(params.clone()))]),
        workflow: workflow.name.clone(),
        trigger: None,
        key,
        generation: 1,
        params,
        priority: priority.clamp(-1_000, 1_000),
        memory: 0,
        attempts: 3,
    };
    api.service.store.submit(&new, api.service.now())?;
    Ok(api.service.store.run(&new.id)?)
}

/// Whether params are what the workflow takes. What somebody else sends may name neither files of this machine, nor
/// what the environment or its secrets hold.
fn check(api: &Api, workflow: &Workflow, params: &Map<String, Value>) -> Result<(), Problem> {
    for (name, value) in params {
        let plain = match value {
            Value::Array(items) => items.iter().all(Value::is_number),
            Value::String(text) => text.len() <= 8_192 && !text.contains('\0'),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        if !plain {
            return Err(Problem::bad(format!(
                "param `{name:.100}` is neither a text, a number, a boolean nor a list of numbers"
            )));
        }
        let declared = workflow.spec.declared.iter().find(|param| param.name == *name);
        let place = declared.is_some_and(|param| {
            use skysense_engine::ParamType;
            matches!(param.kind, ParamType::Uri | ParamType::Path | ParamType::Model)
        });
        if place && value.as_str().is_some_and(|text| !is_remote(text)) {
            let title = format!("param `{name}` may name an address of http, https or s3, and no file of this machine");
            return Err(Problem::bad(title));
        }
    }
    let texts: Vec<(String, String)> = params.iter().map(|(name, value)| (name.clone(), param_text(value))).collect();
    let checked = Spec::load(&workflow.file, api.service.library.types(), &Bindings::of_process(&texts));
    checked.map(drop).map_err(|faults| unfit(&faults))
}

fn is_remote(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "s3"))
}

fn unfit(faults: &Faults) -> Problem {
    let fault = |fault: &skysense_engine::Fault| json!({"code": fault.code, "message": fault.message, "expected": fault.expected, "found": fault.found, "hint": fault.hint});
    let listed: Vec<Value> = faults.iter().take(20).map(fault).collect();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the params do not fit the workflow").with("faults", listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_quickly_holds_no_secret() {
        for text in ["", "B04", "winter_wheat", "2021-05-27", "a/b.tif", "bearer", "EPSG-32633", "x&sig,1;2"] {
            assert!(is_plain(text) && redact_in_place(text) == text, "{text}");
        }
        for text in ["Bearer abc", "x?sig=abc", "https://me:pw@host/", "Authorization=abc", "bearer\u{a0}abc", "é"] {
            assert!(!is_plain(text), "{text}");
        }
        let item = json!({"assets": {"a": {"href": "https://h/x.tif?sig=abc", "title": "a"}}, "n": [1, "b", null]});
        let shown = redacted(&item);
        assert_eq!(shown["assets"]["a"], json!({"href": "https://h/x.tif?sig=***", "title": "a"}));
        assert_eq!(shown["n"], item["n"]);
    }
}
