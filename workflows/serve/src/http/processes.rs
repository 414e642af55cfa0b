//! Workflows as OGC API – Processes: a workflow is a process, a run is a job. Jobs are asynchronous only.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skysense_engine::{DeclaredParam, ParamType};

use super::{
    Api,
    answer::{Answer, Problem, created, json as answer},
    call::Call,
    runs, workflows,
};
use crate::{ItemQuery, Run, RunFilter, RunState, Workflow, clock};

const CLASSES: &[&str] = &[
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/ogc-process-description",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/job-list",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/dismiss",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/oas30",
];

fn link(rel: &str, href: String) -> Value {
    json!({"rel": rel, "type": "application/json", "href": href})
}

/// `GET /ogc`
pub(crate) fn landing(_: &Api, call: &Call) -> Answer {
    let base = format!("{}/ogc", call.base);
    answer(&json!({
        "title": "Workflows", "description": "Workflows of this service as processes",
        "links": [
            link("self", base.clone()),
            link("service-desc", format!("{}/api/v1/openapi.json", call.base)),
            link("http://www.opengis.net/def/rel/ogc/1.0/conformance", format!("{base}/conformance")),
            link("http://www.opengis.net/def/rel/ogc/1.0/processes", format!("{base}/processes")),
            link("http://www.opengis.net/def/rel/ogc/1.0/job-list", format!("{base}/jobs")),
        ],
    }))
}

/// `GET /ogc/conformance`
pub(crate) fn conformance(_: &Api, _: &Call) -> Answer {
    answer(&json!({"conformsTo": CLASSES}))
}

fn summary(workflow: &Workflow, base: &str) -> Value {
    json!({
        "id": workflow.name, "title": workflow.spec.name, "description": workflow.spec.doc,
        "version": &workflow.spec.hash[..12.min(workflow.spec.hash.len())],
        "jobControlOptions": ["async-execute", "dismiss"], "outputTransmission": ["reference"],
        "links": [
            link("self", format!("{base}/ogc/processes/{}", workflow.name)),
            link("http://www.opengis.net/def/rel/ogc/1.0/execute", format!("{base}/ogc/processes/{}/execution", workflow.name)),
        ],
    })
}

/// `GET /ogc/processes`
pub(crate) fn list(api: &Api, call: &Call) -> Answer {
    let all: Vec<Value> = api.service.library.all().iter().map(|workflow| summary(workflow, &call.base)).collect();
    answer(&json!({"processes": all, "links": [link("self", format!("{}/ogc/processes", call.base))]}))
}

fn find(api: &Api, call: &Call) -> Result<std::sync::Arc<Workflow>, Problem> {
    workflows::find(api, call.part("process")).map_err(|problem| {
        problem.with("type", "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-process")
    })
}

/// `GET /ogc/processes/{process}`
pub(crate) fn show(api: &Api, call: &Call) -> Answer {
    let workflow = find(api, call)?;
    let mut process = summary(&workflow, &call.base);
    let inputs: Map<String, Value> =
        workflow.spec.declared.iter().map(|param| (param.name.clone(), input(param))).collect();
    process["inputs"] = Value::Object(inputs);
    process["outputs"] = json!({"items": {
        "title": "Items", "description": "What the run wrote, as a GeoJSON feature collection",
        "schema": {"type": "object", "contentMediaType": "application/geo+json"},
    }});
    answer(&process)
}

fn input(param: &DeclaredParam) -> Value {
    let mut schema = match param.kind {
        ParamType::Number => json!({"type": "number"}),
        ParamType::Integer => json!({"type": "integer"}),
        ParamType::Boolean => json!({"type": "boolean"}),
        ParamType::Bbox => json!({"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}),
        ParamType::Enum => json!({"type": "string", "enum": param.values}),
        ParamType::Uri | ParamType::Path | ParamType::Model => json!({"type": "string", "format": "uri-reference"}),
        _ => json!({"type": "string"}),
    };
    if let Some(least) = param.min {
        schema["minimum"] = json!(least);
    }
    if let Some(most) = param.max {
        schema["maximum"] = json!(most);
    }
    let open = param.default.is_null();
    // A default may name a place on this machine: only what is no place is shown.
    if !open && !matches!(param.kind, ParamType::Uri | ParamType::Path | ParamType::Model) {
        schema["default"] = runs::redacted(&param.default);
    }
    json!({
        "title": param.name, "description": param.doc, "schema": schema,
        "minOccurs": i32::from(open), "maxOccurs": 1,
    })
}

#[derive(Deserialize)]
struct Execute {
    #[serde(default)]
    inputs: Map<String, Value>,
}

/// `POST /ogc/processes/{process}/execution`
pub(crate) fn execute(api: &Api, call: &Call) -> Answer {
    let workflow = find(api, call)?;
    let Execute { inputs } = call.json()?;
    // An input may stand as a value of its own, or with more around it.
    let plain = |value: Value| match value {
        Value::Object(mut fields) if fields.contains_key("value") => fields.shift_remove("value").unwrap_or_default(),
        Value::Object(mut fields) if fields.contains_key("href") => fields.shift_remove("href").unwrap_or_default(),
        Value::Object(mut fields) if fields.contains_key("bbox") => fields.shift_remove("bbox").unwrap_or_default(),
        other => other,
    };
    let params = inputs.into_iter().map(|(name, value)| (name, plain(value))).collect();
    let run = runs::queue(api, &workflow, params, (None, 0))?;
    created(&format!("{}/ogc/jobs/{}", call.base, run.id), &status(&run, &call.base))
}

/// A run as a job.
fn status(run: &Run, base: &str) -> Value {
    let word = match run.state {
        RunState::Queued | RunState::Parked => "accepted",
        RunState::Running => "running",
        RunState::Done | RunState::Partial => "successful",
        RunState::Dead => "failed",
        RunState::Cancelled => "dismissed",
    };
    let own = format!("{base}/ogc/jobs/{}", run.id);
    let message = run.error.as_ref().and_then(|error| error["message"].as_str());
    json!({
        "jobID": run.id, "processID": run.workflow, "type": "process", "status": word,
        "message": message.map(skysense_address::redact_in_place),
        "created": clock::text(run.queued_at), "started": run.started_at.map(clock::text),
        "finished": run.ended_at.map(clock::text),
        "links": [
            link("self", own.clone()),
            link("http://www.opengis.net/def/rel/ogc/1.0/results", format!("{own}/results")),
            link("monitor", format!("{base}/api/v1/runs/{}/events", run.id)),
        ],
    })
}

/// `GET /ogc/jobs`
pub(crate) fn jobs(api: &Api, call: &Call) -> Answer {
    let limit = call.number::<usize>("limit")?.unwrap_or(100).clamp(1, 1_000);
    let runs = api.service.store.runs(&RunFilter { limit: Some(limit), ..RunFilter::default() })?;
    let jobs: Vec<Value> = runs.iter().map(|run| status(run, &call.base)).collect();
    answer(&json!({"jobs": jobs, "links": [link("self", format!("{}/ogc/jobs", call.base))]}))
}

fn run(api: &Api, call: &Call) -> Result<Run, Problem> {
    let id = call.part("job");
    api.service.store.run(id).map_err(|_| {
        Problem::missing("job", id)
            .with("type", "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-job")
    })
}

/// `GET /ogc/jobs/{job}`
pub(crate) fn job(api: &Api, call: &Call) -> Answer {
    answer(&status(&run(api, call)?, &call.base))
}

/// `DELETE /ogc/jobs/{job}`
pub(crate) fn dismiss(api: &Api, call: &Call) -> Answer {
    let run = run(api, call)?;
    if !run.state.is_final() {
        api.service.store.cancel(&run.id, api.service.now())?;
        api.service.scheduler.cancel(&run.id);
    }
    let mut value = status(&api.service.store.run(&run.id)?, &call.base);
    if !run.state.is_final() {
        // A process needs a moment to end; that it will is decided.
        value["status"] = json!("dismissed");
    }
    answer(&value)
}

/// `GET /ogc/jobs/{job}/results`
pub(crate) fn results(api: &Api, call: &Call) -> Answer {
    let run = run(api, call)?;
    match run.state {
        RunState::Done | RunState::Partial => {
            let mut features = Vec::new();
            api.service.store.items(&ItemQuery { run: Some(run.id.clone()), ..ItemQuery::default() }, |item| {
                features.push(super::item::shown(&item, &call.base));
                features.len() < 10_000
            })?;
            answer(&json!({"items": {"value": {"type": "FeatureCollection", "features": features}}}))
        }
        RunState::Dead => {
            let message = run.error.as_ref().and_then(|error| error["message"].as_str()).unwrap_or("it failed");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, skysense_address::redact_in_place(message)))
        }
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "the job has no results yet")
            .with("type", "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/result-not-ready")),
    }
}
