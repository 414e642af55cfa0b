//! Workflows, their triggers, and the nodes and models that they are made of.

use std::process::Command;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    Api,
    answer::{Answer, Problem, json as answer},
    call::Call,
    worker::output,
};
use crate::{Workflow, watcher};

/// A workflow of a request.
pub(super) fn find(api: &Api, name: &str) -> Result<Arc<Workflow>, Problem> {
    api.service.library.get(name).ok_or_else(|| Problem::missing("workflow", name))
}

/// `GET /api/v1/workflows`
pub(crate) fn list(api: &Api, _: &Call) -> Answer {
    let mut all = Vec::new();
    for workflow in api.service.library.all() {
        all.push(json!({
            "name": workflow.name, "title": workflow.spec.name, "doc": workflow.spec.doc, "hash": workflow.spec.hash,
            "nodes": workflow.spec.nodes.len(), "triggers": workflow.spec.triggers.len(),
            "paused": api.service.store.is_paused(&workflow.name)?,
        }));
    }
    // Places of files are nobody's business; the name of the file and the line are enough to mend it.
    let faults: Vec<Value> = api.service.library.faults().iter().map(|fault| shown(&json!(fault))).collect();
    answer(&json!({"workflows": all, "faults": faults}))
}

fn shown(fault: &Value) -> Value {
    let mut fault = fault.clone();
    if let Some(file) = fault["file"].as_str().and_then(|file| file.rsplit('/').next()).map(str::to_owned) {
        fault["file"] = json!(file);
    }
    fault
}

/// `GET /api/v1/workflows/{workflow}`
pub(crate) fn show(api: &Api, call: &Call) -> Answer {
    let workflow = find(api, call.part("workflow"))?;
    let spec = &workflow.spec;
    let node = |node: &skysense_engine::NodeSpec| json!({"name": node.name, "uses": node.uses, "inputs": node.inputs});
    let mut triggers = Vec::new();
    for trigger in &spec.triggers {
        let state = api.service.store.trigger(&workflow.name, &trigger.name)?;
        triggers.push(json!({"name": trigger.name, "uses": trigger.uses, "with": trigger.with, "state": state}));
    }
    let params: Vec<Value> = spec.declared.iter().map(|param| json!(param)).collect();
    answer(&json!({
        "name": workflow.name, "title": spec.name, "doc": spec.doc, "hash": spec.hash,
        "paused": api.service.store.is_paused(&workflow.name)?,
        "params": params, "nodes": spec.nodes.iter().map(node).collect::<Vec<_>>(), "triggers": triggers,
    }))
}

/// `POST /api/v1/workflows/{workflow}/pause`
pub(crate) fn pause(api: &Api, call: &Call) -> Answer {
    set_paused(api, call, true)
}

/// `POST /api/v1/workflows/{workflow}/unpause`
pub(crate) fn unpause(api: &Api, call: &Call) -> Answer {
    set_paused(api, call, false)
}

fn set_paused(api: &Api, call: &Call, paused: bool) -> Answer {
    let workflow = find(api, call.part("workflow"))?;
    api.service.store.pause(&workflow.name, paused)?;
    answer(&json!({"name": workflow.name, "paused": paused}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backfill {
    period: String,
}

/// `POST /api/v1/workflows/{workflow}/triggers/{trigger}/backfill`
pub(crate) fn backfill(api: &Api, call: &Call) -> Answer {
    let workflow = find(api, call.part("workflow"))?;
    let Backfill { period } = call.json()?;
    let service = &api.service;
    let stop = || service.cancel.is_cancelled();
    answer(&watcher::backfill(&service.store, &workflow, call.part("trigger"), &period, &stop)?)
}

/// `GET /api/v1/nodes`
pub(crate) fn nodes(api: &Api, _: &Call) -> Answer {
    let node =
        |kind: &skysense_engine::NodeType| json!({"name": kind.name, "summary": kind.summary, "output": kind.output});
    let trigger = |kind: &skysense_engine::TriggerType| json!({"name": kind.name, "summary": kind.summary});
    let types = api.service.library.types();
    answer(&json!({
        "nodes": types.iter().map(node).collect::<Vec<_>>(),
        "triggers": types.triggers().map(trigger).collect::<Vec<_>>(),
    }))
}

/// `GET /api/v1/nodes/{node}`
pub(crate) fn node(api: &Api, call: &Call) -> Answer {
    let name = call.part("node");
    let types = api.service.library.types();
    match (types.get(name), types.trigger(name)) {
        (Some(node), _) => answer(&json!({
            "name": node.name, "summary": node.summary, "doc": node.doc, "example": node.example,
            "settings": node.settings, "inputs": node.inputs, "output": node.output,
        })),
        (None, Some(trigger)) => answer(trigger),
        (None, None) => Err(Problem::missing("type", name)),
    }
}

/// `GET /api/v1/models`
pub(crate) fn models(api: &Api, _: &Call) -> Answer {
    // Models are a plugin's matter: a process of its own asks it.
    let said = output(Command::new(&api.program).args(["model", "list", "--json"]));
    let list = said.and_then(|text| serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string()));
    let list = list.map_err(|reason| {
        tracing::warn!("models cannot be listed: {reason}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "models cannot be listed; the log says why")
    })?;
    let models = list["models"].as_array().cloned().unwrap_or_default();
    let folder = |model: &Value| -> Value {
        let mut model = model.clone();
        // The name of a package, and not where it lies on this machine.
        for field in ["path", "folder"] {
            if let Some(name) = model[field].as_str().and_then(|path| path.trim_end_matches('/').rsplit('/').next()) {
                model[field] = json!(name.to_owned());
            }
        }
        model
    };
    answer(&json!({"models": models.iter().map(folder).collect::<Vec<_>>()}))
}
