//! A request, as handlers see it.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::answer::Problem;

/// A request.
#[derive(Debug)]
pub(crate) struct Call {
    /// Parts of the path by name.
    pub(crate) path: BTreeMap<String, String>,
    /// Pairs of the query.
    query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// How this service is named by whoever asks: scheme, host and port.
    pub(crate) base: String,
}

impl Call {
    pub(crate) fn new(
        path: BTreeMap<String, String>,
        query: &str,
        headers: HeaderMap,
        body: Vec<u8>,
        base: String,
    ) -> Self {
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { path, query, headers, body, base }
    }

    /// A part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A value of the query; of several the last.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The query without one of its values.
    pub(crate) fn query_without(&self, name: &str) -> String {
        let kept = self.query.iter().filter(|(key, _)| key != name);
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }

    /// A value of the query that is a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::bad(format!("`{name}={text}` is no number that fits")))
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; an empty one is an empty object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body)
            .map_err(|error| Problem::bad(format!("the body is not what is asked for: {error}")))
    }
}
