//! Health, readiness and numbers.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::StatusCode;
use serde_json::json;

use super::{
    Api,
    answer::{Answer, Problem, bytes, json as answer},
    call::Call,
};
use crate::clock;

/// What the API counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Answers by the first digit of their status.
    classes: [AtomicU64; 6],
    asked: AtomicU64,
}

impl Counters {
    pub(crate) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).min(5);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
    }

    /// A number that no other call gets.
    pub(crate) fn next(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }
}

/// `GET /health`
pub(crate) fn health(_: &Api, _: &Call) -> Answer {
    answer(&json!({"status": "ok"}))
}

/// `GET /ready`
pub(crate) fn ready(api: &Api, _: &Call) -> Answer {
    let not = |what: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, what);
    if api.service.cancel.is_cancelled() {
        return Err(not("the service ends"));
    }
    api.service.store.check().map_err(|_| not("the state does not answer"))?;
    answer(&json!({"status": "ready"}))
}

/// `GET /metrics`
pub(crate) fn metrics(api: &Api, _: &Call) -> Answer {
    let store = &api.service.store;
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
        let _infallible = writeln!(text, "# HELP skysense_{name} {help}\n# TYPE skysense_{name} {kind}");
        for (labels, value) in values {
            let _infallible = writeln!(text, "skysense_{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let runs: Vec<(String, f64)> = store
        .run_counts()?
        .into_iter()
        .map(|(state, count)| (format!("{{state=\"{}\"}}", state.word()), count as f64))
        .collect();
    metric("runs", "gauge", "Runs by where they stand.", &runs);
    let (events, open) = store.event_counts()?;
    metric("events_total", "counter", "Events that were taken in.", &one(events as f64));
    metric("groups_open", "gauge", "Groups that wait for more events.", &one(open as f64));
    let (standing, published) = store.result_counts()?;
    metric("items", "gauge", "Published items that stand.", &one(standing as f64));
    metric("items_published_total", "counter", "Items that were published.", &one(published as f64));
    let (active, memory) = api.service.scheduler.load();
    metric("runs_active", "gauge", "Processes that run workflows.", &one(active as f64));
    metric("runs_memory_bytes", "gauge", "Memory that these may hold.", &one(memory as f64));
    let mut failing = Vec::new();
    for workflow in api.service.library.all() {
        for trigger in &workflow.spec.triggers {
            let state = store.trigger(&workflow.name, &trigger.name)?;
            failing.push((
                format!("{{workflow=\"{}\",trigger=\"{}\"}}", workflow.name, trigger.name),
                f64::from(state.failures),
            ));
        }
    }
    metric("trigger_failures", "gauge", "Failures of a trigger in a row.", &failing);
    let faults = api.service.library.faults().len();
    metric("workflow_faults", "gauge", "Mistakes in workflow files.", &one(faults as f64));
    let answers: Vec<(String, f64)> = (1..6)
        .map(|class| (format!("{{class=\"{class}xx\"}}"), api.counters.classes[class].load(Ordering::Relaxed) as f64))
        .collect();
    metric("http_answers_total", "counter", "Answers by class of status.", &answers);
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        metric(
            "resident_memory_bytes",
            "gauge",
            "Resident memory of the service itself.",
            &one(kib.unwrap_or(0.0) * 1024.0),
        );
    }
    let dropped = api.service.traces.dropped() as f64;
    metric("spans_dropped_total", "counter", "Spans that no collector took in time.", &one(dropped));
    metric("started_seconds", "gauge", "When the service started.", &one(api.started as f64 / 1000.0));
    Ok(bytes(StatusCode::OK, "text/plain; version=0.0.4", text))
}

/// `GET /api/v1`
pub(crate) fn landing(api: &Api, call: &Call) -> Answer {
    let link = |rel: &str, path: &str| json!({"rel": rel, "href": format!("{}{path}", call.base)});
    answer(&json!({
        "title": "skysense serve", "version": env!("CARGO_PKG_VERSION"), "started": clock::text(api.started),
        "read_only": api.listen.read_only,
        "links": [
            link("service-desc", "/api/v1/openapi.json"), link("workflows", "/api/v1/workflows"), link("runs", "/api/v1/runs"),
            link("dead", "/api/v1/dead"), link("nodes", "/api/v1/nodes"), link("models", "/api/v1/models"),
            link("stac", "/stac"), link("processes", "/ogc"), link("health", "/health"), link("metrics", "/metrics"),
        ],
    }))
}
