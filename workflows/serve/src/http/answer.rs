//! An answer, and what is wrong with a request.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ServeError;

/// What handlers give.
pub(crate) type Answer = Result<Response<Body>, Problem>;

/// Why a request is not answered, as RFC 9457 says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    title: String,
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: impl Into<String>) -> Self {
        Self { status, title: title.into(), more: Map::new() }
    }

    /// The request makes no sense.
    pub(crate) fn bad(title: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, title)
    }

    /// There is no such thing.
    pub(crate) fn missing(what: &str, name: &str) -> Self {
        // A name comes from a request and may be of any length.
        let name: String = name.chars().take(100).collect();
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} `{name}`"))
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.more.insert(name.to_owned(), json!(value));
        self
    }

    /// As it is sent. STAC and OGC clients look for `code` and `description`, so both are there.
    pub(crate) fn response(&self) -> Response<Body> {
        let mut body = json!({
            "type": "about:blank", "title": self.title, "status": self.status.as_u16(),
            "code": self.status.canonical_reason().unwrap_or_default(), "description": self.title,
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.more.clone());
        }
        bytes(self.status, "application/problem+json", body.to_string())
    }
}

impl From<ServeError> for Problem {
    fn from(error: ServeError) -> Self {
        match &error {
            ServeError::Missing { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            ServeError::Request(_) | ServeError::Catalog(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            _ => {
                // What is wrong inside is for the log: paths of this machine are nobody's business.
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!("a request failed: {error}: {cause}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the service could not do it; its log says why")
            }
        }
    }
}

/// An answer with a body.
pub(crate) fn bytes(status: StatusCode, kind: &str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, kind);
    response
}

/// Sets a header; what is no header value is left out.
pub(crate) fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// JSON.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    json_as("application/json", value)
}

/// JSON of a kind.
pub(crate) fn json_as(kind: &str, value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => Ok(bytes(StatusCode::OK, kind, text)),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// JSON of something that was made, and where it is.
pub(crate) fn created(place: &str, value: &impl Serialize) -> Answer {
    let mut response = json(value)?;
    *response.status_mut() = StatusCode::CREATED;
    set(&mut response, header::LOCATION, place);
    Ok(response)
}
