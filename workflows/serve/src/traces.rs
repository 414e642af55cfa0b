//! What the service did and how long it took, as OpenTelemetry traces: sent to a collector as OTLP over HTTP, in JSON.
//!
//! A run is a trace of its own, whose id is the run's; its nodes are spans below it. So are requests, below the span of
//! whoever asked where `traceparent` names it, and looks of triggers. Nothing waits for the collector: of one that does
//! not keep up spans are dropped and counted.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use reqwest::blocking::Client;
use serde_json::{Value, json};
use skysense_address::redact_in_place;

use crate::{Millis, ids};

/// Spans that wait to be sent.
const WAITING: usize = 4_096;
/// Spans of one request.
const PORTION: usize = 512;
/// How long spans are gathered.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a collector may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Something that took its time.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Which trace it belongs to, in 32 hex digits.
    pub(crate) trace: String,
    /// Its own id, in 16.
    pub(crate) id: String,
    /// The span that it is a part of.
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    /// Whether it answers a request.
    pub(crate) serves: bool,
    pub(crate) start: Millis,
    pub(crate) end: Millis,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub(crate) error: Option<String>,
}

/// An id that no other span gets.
pub(crate) fn span_id() -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed).to_string();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    ids::id(&["span", &number, &now.as_nanos().to_string(), &std::process::id().to_string()])[..16].to_owned()
}

/// Trace and span of whoever asks, of a `traceparent` as W3C Trace Context writes it.
pub(crate) fn caller(header: &str) -> Option<(String, String)> {
    let mut parts = header.trim().split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, digits: usize| {
        text.len() == digits
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            && text.bytes().any(|byte| byte != b'0')
    };
    (version.len() == 2 && hex(trace, 32) && hex(parent, 16)).then(|| (trace.to_owned(), parent.to_owned()))
}

/// Where spans are sent, as the environment variables of OpenTelemetry say it.
#[derive(Debug, Clone)]
pub struct Collector {
    url: String,
    headers: Vec<(String, String)>,
    name: String,
}

impl Collector {
    /// The collector that the environment names, if it names one.
    ///
    /// # Errors
    /// It names one in a way that is not understood.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let variable = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        if variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let all = || Some(format!("{}/v1/traces", variable("OTEL_EXPORTER_OTLP_ENDPOINT")?.trim_end_matches('/')));
        let Some(url) = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(all) else { return Ok(None) };
        let bad =
            |name: &str, expected: &str| Err(format!("the variable {name} is not understood: expected {expected}"));
        if !url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return bad("OTEL_EXPORTER_OTLP_ENDPOINT", "an address of http or https, as http://127.0.0.1:4318");
        }
        if variable("OTEL_EXPORTER_OTLP_PROTOCOL").is_some_and(|text| text.trim() == "grpc") {
            return bad("OTEL_EXPORTER_OTLP_PROTOCOL", "`http/json`, which collectors take at port 4318");
        }
        let headers = variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        let mut pairs = Vec::new();
        for pair in headers.split(',').filter(|pair| !pair.trim().is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return bad("OTEL_EXPORTER_OTLP_HEADERS", "`name=value`, more than one with commas");
            };
            pairs.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let name = variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "skysense".to_owned());
        Ok(Some(Self { url, headers: pairs, name }))
    }
}

/// Takes spans and sends them.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    sender: Option<SyncSender<Span>>,
    sending: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
}

impl Traces {
    /// Sends to a collector; to none where none is named.
    pub(crate) fn to(collector: Option<Collector>) -> Self {
        let Some(collector) = collector else { return Self::default() };
        let (sender, spans) = sync_channel(WAITING);
        let work = move || send_all(&collector, &spans);
        match thread::Builder::new().name("skysense-traces".to_owned()).spawn(work) {
            Ok(sending) => {
                Self { sender: Some(sender), sending: Mutex::new(Some(sending)), dropped: AtomicU64::new(0) }
            }
            Err(error) => {
                tracing::warn!("no thread for traces: {error}");
                Self::default()
            }
        }
    }

    /// Whether spans are sent: else they need not be made.
    pub(crate) fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Takes a span; one that finds no room is dropped.
    pub(crate) fn add(&self, span: Span) {
        if self.sender.as_ref().is_some_and(|sender| sender.try_send(span).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Spans that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // With the sender gone its thread sends what is left, and ends.
        self.sender = None;
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if sending.is_some_and(|sending| sending.join().is_err()) {
            tracing::warn!("the thread for traces panicked");
        }
    }
}

fn send_all(collector: &Collector, spans: &Receiver<Span>) {
    let client = match Client::builder().timeout(LONGEST).build() {
        Ok(client) => client,
        Err(error) => return tracing::warn!("traces cannot be sent: {error}"),
    };
    let mut failing = false;
    loop {
        let (mut portion, mut ends) = (Vec::new(), false);
        let begun = Instant::now();
        while portion.len() < PORTION {
            match spans.recv_timeout(PAUSE.saturating_sub(begun.elapsed())) {
                Ok(span) => portion.push(span),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    ends = true;
                    break;
                }
            }
        }
        if !portion.is_empty() {
            let sent = send(&client, collector, &portion);
            // Told once, and not with each portion.
            if let (Err(reason), false) = (&sent, failing) {
                tracing::warn!("{} spans are lost: {reason}", portion.len());
            }
            failing = sent.is_err();
        }
        if ends {
            return;
        }
    }
}

fn send(client: &Client, collector: &Collector, spans: &[Span]) -> Result<(), String> {
    let mut request = client.post(&collector.url).header("content-type", "application/json");
    for (name, value) in &collector.headers {
        request = request.header(name, value);
    }
    let response = request.body(written(collector, spans).to_string()).send();
    let response = response.map_err(|error| redact_in_place(&error.to_string()))?;
    if response.status().is_success() { Ok(()) } else { Err(format!("the collector answers {}", response.status())) }
}

/// Spans as OTLP writes them in JSON.
fn written(collector: &Collector, spans: &[Span]) -> Value {
    let nanos = |millis: Millis| (i128::from(millis) * 1_000_000).max(0).to_string();
    let attribute = |(key, value): &(&str, Value)| {
        let value = match value {
            Value::String(text) => json!({"stringValue": redact_in_place(text)}),
            Value::Bool(value) => json!({"boolValue": value}),
            Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
            // Whole numbers of 64 bits are texts, as JSON's have 53.
            other => json!({"intValue": other.to_string()}),
        };
        json!({"key": key, "value": value})
    };
    let span = |span: &Span| {
        let mut value = json!({
            "traceId": span.trace, "spanId": span.id, "name": span.name, "kind": if span.serves { 2 } else { 1 },
            "startTimeUnixNano": nanos(span.start), "endTimeUnixNano": nanos(span.end.max(span.start)),
            "attributes": span.attributes.iter().map(attribute).collect::<Vec<_>>(),
        });
        if let Some(parent) = &span.parent {
            value["parentSpanId"] = json!(parent);
        }
        if let Some(error) = &span.error {
            value["status"] = json!({"code": 2, "message": redact_in_place(error)});
        }
        value
    };
    let resource = [
        ("service.name", json!(collector.name)),
        ("service.version", json!(env!("CARGO_PKG_VERSION"))),
        ("process.pid", json!(std::process::id())),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource.iter().map(attribute).collect::<Vec<_>>()},
        "scopeSpans": [{
            "scope": {"name": "skysense-serve", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collector_is_named_by_the_usual_variables() {
        let of = |pairs: &'static [(&'static str, &'static str)]| {
            Collector::of(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(&[]).unwrap().is_none());
        let found = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b, key=c=d"),
        ]);
        let found = found.unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.name.as_str()), ("http://127.0.0.1:4318/v1/traces", "skysense"));
        assert_eq!(found.headers, [("a".to_owned(), "b".to_owned()), ("key".to_owned(), "c=d".to_owned())]);
        let own =
            of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://y")]);
        assert_eq!(own.unwrap().unwrap().url, "https://c/x");
        let off = of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://y"), ("OTEL_SDK_DISABLED", "true")]);
        assert!(off.unwrap().is_none());
        for wrong in [
            of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318")]),
            of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://y"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
            of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://y"), ("OTEL_EXPORTER_OTLP_HEADERS", "secret")]),
        ] {
            assert!(wrong.unwrap_err().contains("expected"));
        }
    }

    #[test]
    fn who_asks_is_known_by_a_whole_traceparent_alone() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let (found, parent) = caller(&format!("00-{trace}-b7ad6b7169203331-01")).unwrap();
        assert_eq!((found.as_str(), parent.as_str()), (trace, "b7ad6b7169203331"));
        for wrong in [
            "",
            "00",
            "00-0-0-01",
            &format!("00-{trace}-0000000000000000-01"),
            &format!("00-{trace}-B7AD6B7169203331-01"),
        ] {
            assert_eq!(caller(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_collector_that_is_not_there_holds_nobody_up() {
        let collector = Collector { url: "http://127.0.0.1:9/v1/traces".into(), headers: Vec::new(), name: "n".into() };
        let traces = Traces::to(Some(collector));
        for number in 0..3 * WAITING {
            traces.add(Span {
                trace: "0af7651916cd43dd8448eb211c80319c".into(),
                id: span_id(),
                parent: None,
                name: "x".into(),
                serves: false,
                start: number as Millis,
                end: 0,
                attributes: Vec::new(),
                error: None,
            });
        }
        assert_ne!(span_id(), span_id());
        drop(traces);
    }
}
