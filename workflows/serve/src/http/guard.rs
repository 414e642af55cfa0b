//! Who may ask what: before any handler hears of a request.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, Response, StatusCode, header},
    middleware::Next,
};

use serde_json::json;

use super::{Api, answer::Problem, answer::set};
use crate::{
    Millis, clock,
    traces::{Span, caller, span_id},
    trigger::is_same,
};

/// Longest that an answer may take; following a run may take longer.
const LONGEST: Duration = Duration::from_secs(120);
/// What a browser may do with our pages: nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Judges a request, and finishes its answer.
pub(crate) async fn guard(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let follows = path.ends_with("/events");
    let asked = Asked::new(&api, &request);
    let judged = judge(&api, peer, request.method(), &path, request.headers());
    let mut response = match judged {
        Err(problem) => problem.response(),
        Ok(()) if follows => next.run(request).await,
        Ok(()) => match tokio::time::timeout(LONGEST, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it takes too long").response(),
        },
    };
    api.counters.answered(response.status().as_u16());
    if let Some(asked) = asked {
        asked.answered(&api, &response);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        set(&mut response, name, value);
    }
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        set(&mut response, header::CACHE_CONTROL, "no-store");
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        set(&mut response, header::WWW_AUTHENTICATE, "Bearer");
    }
    response
}

/// The address that answered, as the table has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path(pub(super) &'static str);

/// A request that is traced.
struct Asked {
    start: Millis,
    method: String,
    caller: Option<(String, String)>,
}

impl Asked {
    fn new(api: &Api, request: &Request) -> Option<Self> {
        let told = || {
            let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
            Self { start: clock::now(), method: request.method().to_string(), caller: parent.and_then(caller) }
        };
        api.service.traces.is_on().then(told)
    }

    fn answered(self, api: &Api, response: &Response<Body>) {
        let (id, status) = (span_id(), response.status());
        // As the table of addresses has it: names of things are no names of spans.
        let route = response.extensions().get::<Path>().map_or("", |path| path.0);
        let (trace, parent) = match self.caller {
            Some((trace, parent)) => (trace, Some(parent)),
            None => (format!("{id}{}", span_id()), None),
        };
        api.service.traces.add(Span {
            trace,
            id,
            parent,
            name: format!("{} {route}", self.method).trim_end().to_owned(),
            serves: true,
            start: self.start,
            end: clock::now(),
            attributes: vec![
                ("http.request.method", json!(self.method)),
                ("http.route", json!(route)),
                ("http.response.status_code", json!(status.as_u16())),
            ],
            error: status.is_server_error().then(|| status.to_string()),
        });
    }
}

fn judge(api: &Api, peer: SocketAddr, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
    if !api.rate.allows(peer.ip()) {
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests: ask again in a minute"));
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    // A page of the web that has its name point here would otherwise be let in as a page of ours.
    if api.listen.is_loopback() && !is_loopback_name(host) && !api.listen.is_public_name(host) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the service listens to this machine, and not to that name"));
    }
    let hook = path.starts_with("/hooks/");
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    // A search by POST changes nothing.
    let changes = changes && path != "/stac/search";
    if changes && api.listen.read_only {
        return Err(Problem::new(StatusCode::FORBIDDEN, "this service is read only"));
    }
    if changes && !hook && !is_same_origin(api, headers, host) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the request comes from a page of another site"));
    }
    // Health tells nothing that a closed port would not; hooks have secrets of their own.
    if hook || matches!(path, "/health" | "/ready") {
        return Ok(());
    }
    let Some(token) = &api.listen.token else { return Ok(()) };
    let given = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let cookie = text(header::COOKIE).into_iter().flat_map(|all| all.split(';'));
    let cookie = cookie.filter_map(|one| one.trim().strip_prefix("skysense_token=")).next();
    match given.or(cookie).is_some_and(|given| is_same(given, token)) {
        true => Ok(()),
        // The page itself asks for the token; it holds nothing else.
        false if matches!(path, "/" | "/page.js" | "/page.css" | "/map.js") => Ok(()),
        false => Err(Problem::new(StatusCode::UNAUTHORIZED, "give the token as `Authorization: Bearer …`")),
    }
}

/// Whether a host header names this machine.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<std::net::IpAddr>().is_ok_and(super::is_own);
    address || name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether what changes something comes from our own page, or from no page at all.
fn is_same_origin(api: &Api, headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if matches!(site, Some("cross-site" | "same-site")) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if api.listen.public.as_deref() == Some(origin) {
        return true;
    }
    origin.split_once("://").is_some_and(|(_, name)| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in ["localhost", "localhost:80", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9", "a.localhost"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org", "127.0.0.1.nip.io", "10.0.0.1", "[::2]:1", "0.0.0.0"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
