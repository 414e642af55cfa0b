//! Reads documents from files and servers within limits, asking again after passing faults.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use super::{SearchRequest, retry};
use crate::{CatalogError, Location, Result, Root};
use skysense_address::redact;

/// A JSON document and where it was read.
pub(super) struct Document {
    pub(super) value: Value,
    /// Path or URL after redirects, to which relative links refer.
    pub(super) href: String,
    /// Where it lives: the catalog's folder, or the server it came from.
    pub(super) root: Root,
    /// Links followed to reach it.
    pub(super) depth: u64,
}

/// Reads documents and counts what was read.
pub(super) struct Fetcher<'a> {
    request: &'a SearchRequest,
    root: Root,
    client: Client,
    headers: HeaderMap,
    /// How often a request is repeated.
    retries: u32,
    stop: &'a dyn Fn() -> bool,
    pub(super) requests: u64,
    pub(super) bytes: u64,
    documents: u64,
}

/// How often a waiting search looks whether it was stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// Bytes of a refusal that are read and told.
const REFUSAL: u64 = 300;

/// What a server sent, read to the end or to a limit.
struct Received {
    status: u16,
    headers: HeaderMap,
    body: std::io::Result<Vec<u8>>,
}

/// What one exchange with a server ended in.
enum Answer {
    Body(Vec<u8>),
    /// Worth another try.
    Passing {
        status: Option<u16>,
        found: String,
        /// The wait that the server asks for.
        retry_after: Option<String>,
    },
    /// Not worth another try.
    Final(u16, String),
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(request: &'a SearchRequest, root: Root, stop: &'a dyn Fn() -> bool) -> Result<Self> {
        let timeout = Duration::from_secs(request.http.timeout_seconds.max(1));
        // Redirects are followed here, so that headers stay with the server they were meant for.
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(15)))
            .user_agent(concat!("skysense/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| CatalogError::Http {
                href: redact(&request.href),
                status: None,
                found: redact(&error.to_string()),
                attempts: 0,
                expected: "an HTTP client",
                hint: "check the system's TLS certificates",
            })?;
        let headers = headers(&request.http.headers)?;
        let retries = request.http.retries;
        Ok(Self { request, root, client, headers, retries, stop, requests: 0, bytes: 0, documents: 0 })
    }

    /// Reads a document that is not needed, in one attempt.
    pub(super) fn try_get(&mut self, href: &str) -> Result<Document> {
        let retries = std::mem::take(&mut self.retries);
        let document = self.get(href, 0);
        self.retries = retries;
        document
    }

    /// What is asked for.
    pub(super) fn request(&self) -> &'a SearchRequest {
        self.request
    }

    /// Reads a document that lies `depth` links below the first.
    pub(super) fn get(&mut self, href: &str, depth: u64) -> Result<Document> {
        self.exchange(href, None, depth)
    }

    /// Asks with a JSON body.
    pub(super) fn post(&mut self, href: &str, body: &Value) -> Result<Document> {
        self.exchange(href, Some(body), 0)
    }

    fn exchange(&mut self, href: &str, body: Option<&Value>, depth: u64) -> Result<Document> {
        self.documents += 1;
        let limits = &self.request.limits;
        if self.documents > limits.documents {
            return Err(self.over(href, "number of documents", limits.documents, "limits.documents"));
        }
        match self.request.access.locate(&self.root, href)? {
            Location::File(path) => {
                let href = path.to_string_lossy().into_owned();
                let file =
                    std::fs::File::open(&path).map_err(|source| CatalogError::Read { path: path.clone(), source })?;
                let text = self.bounded(file, &href)?.map_err(|source| CatalogError::Read { path, source })?;
                let value = serde_json::from_slice(&text).map_err(|error| CatalogError::json(&href, &error))?;
                Ok(Document { value, href, root: self.root.clone(), depth })
            }
            Location::Http(url) => {
                let (value, url) = self.ask(url, body)?;
                Ok(Document { value, root: Root::of(url.as_str())?, href: url.into(), depth })
            }
            Location::S3 { .. } => Err(CatalogError::href(
                href,
                "is an S3 object",
                "catalogs are read from files, http and https; use the bucket's https address",
            )),
        }
    }

    /// Asks a server until it answers with JSON, or patience ends.
    fn ask(&mut self, url: Url, body: Option<&Value>) -> Result<(Value, Url)> {
        let attempts = self.retries.saturating_add(1);
        let (mut found, mut last_status) = (String::new(), None);
        for attempt in 1..=attempts {
            if (self.stop)() {
                return Err(stopped(&url));
            }
            let (answer, last) = self.follow(url.clone(), body)?;
            let retry_after = match answer {
                Answer::Body(bytes) => match serde_json::from_slice::<Value>(&bytes) {
                    Ok(value) => return Ok((value, last)),
                    // JSON that ends too early was cut on its way; any other fault will not mend itself.
                    Err(error) if error.is_eof() && !bytes.is_empty() => {
                        (found, last_status) = (format!("an answer that breaks off after {} bytes", bytes.len()), None);
                        None
                    }
                    Err(error) => return Err(CatalogError::json(last.as_str(), &error)),
                },
                Answer::Passing { status, found: what, retry_after } => {
                    (found, last_status) = (what, status);
                    retry_after
                }
                Answer::Final(status, what) => return Err(refused(&last, status, what, attempt)),
            };
            tracing::debug!(href = redact(url.as_str()), attempt, found, "asking again");
            if attempt < attempts
                && !retry::nap(
                    retry::wait(self.request.http.backoff_milliseconds, attempt, retry_after.as_deref()),
                    self.stop,
                )
            {
                return Err(stopped(&url));
            }
        }
        Err(CatalogError::Http {
            href: redact(url.as_str()),
            status: last_status,
            found,
            attempts,
            expected: "a JSON answer",
            hint: "try later, or raise `http.retries` and `http.timeout_seconds`",
        })
    }

    /// One exchange, with its redirects.
    fn follow(&mut self, mut url: Url, body: Option<&Value>) -> Result<(Answer, Url)> {
        let mut body = body;
        for _ in 0..=self.request.limits.redirects {
            self.requests += 1;
            let received = match self.send(&url, body)? {
                Ok(received) => received,
                Err(error) => {
                    let found = self.without_secrets(&describe(&error));
                    return Ok((Answer::Passing { status: None, found, retry_after: None }, url));
                }
            };
            if (300..400).contains(&received.status)
                && let Some(next) = received.headers.get(LOCATION).and_then(|value| value.to_str().ok())
            {
                let next = url.join(next).map_err(|error| {
                    CatalogError::href(
                        next,
                        format!("is no redirect target: {error}"),
                        "report it to the server's owner",
                    )
                })?;
                if !matches!(next.scheme(), "http" | "https") {
                    return Err(CatalogError::href(
                        next.as_str(),
                        "is a redirect away from http",
                        "report it to the server's owner",
                    ));
                }
                if matches!(received.status, 301..=303) {
                    body = None;
                }
                url = next;
                continue;
            }
            return Ok((self.judge(received, &url)?, url));
        }
        Err(self.over(url.as_str(), "number of redirects", self.request.limits.redirects, "limits.redirects"))
    }

    /// Sends a request and reads the answer, unless the search is stopped before it is there.
    ///
    /// The exchange happens on a thread of its own: a server that takes a request and keeps silent holds up that thread
    /// until the timeout, and nobody else.
    fn send(&self, url: &Url, body: Option<&Value>) -> Result<reqwest::Result<Received>> {
        let mut builder = match body {
            Some(body) => self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => self.client.get(url.clone()),
        };
        builder = builder.header(ACCEPT, "application/geo+json, application/json");
        // Headers hold credentials: they go to the server of the request and to no other.
        if matches!(&self.root, Root::Remote(origin) if *origin == format!("{}/", url.origin().ascii_serialization())) {
            builder = builder.headers(self.headers.clone());
        }
        let limit = self.request.limits.document_bytes.saturating_add(1);
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // Nobody listens any more where the search was stopped.
            let _nobody = sender.send(receive(builder, limit));
        });
        loop {
            match receiver.recv_timeout(GLANCE) {
                Ok(received) => return Ok(received),
                Err(RecvTimeoutError::Timeout) if (self.stop)() => return Err(stopped(url)),
                Err(RecvTimeoutError::Timeout) => {}
                // The thread ended without an answer: only a panic of the client does that.
                Err(RecvTimeoutError::Disconnected) => return Err(stopped(url)),
            }
        }
    }

    fn judge(&mut self, received: Received, url: &Url) -> Result<Answer> {
        let Received { status, headers, body } = received;
        let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.map(str::to_owned);
        if retry::is_passing(status) {
            return Ok(Answer::Passing { status: Some(status), found: format!("status {status}"), retry_after });
        }
        if !(200..300).contains(&status) {
            let text = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
            return Ok(Answer::Final(status, self.without_secrets(text.trim())));
        }
        match body {
            Ok(bytes) => self.within(&bytes, url.as_str()).map(|()| Answer::Body(bytes)),
            Err(error) => {
                let found = format!("an answer that breaks off ({})", redact(&error.to_string()));
                Ok(Answer::Passing { status: None, found, retry_after: None })
            }
        }
    }

    /// Reads a file to the end, or to the limit, which is an error.
    fn bounded(&mut self, reader: impl Read, href: &str) -> Result<std::io::Result<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = reader.take(self.request.limits.document_bytes.saturating_add(1)).read_to_end(&mut bytes);
        self.within(&bytes, href)?;
        Ok(read.map(|_| bytes))
    }

    /// Counts what was read; beyond the limit is an error.
    fn within(&mut self, bytes: &[u8], href: &str) -> Result<()> {
        let limit = self.request.limits.document_bytes;
        self.bytes += bytes.len() as u64;
        match bytes.len() as u64 > limit {
            true => Err(self.over(href, "size of a document in bytes", limit, "limits.document_bytes")),
            false => Ok(()),
        }
    }

    /// A server's words without credentials: some repeat the header that they refuse.
    fn without_secrets(&self, text: &str) -> String {
        let mut text = redact(text);
        for word in self.request.http.headers.values().flat_map(|value| value.split_whitespace()) {
            // Short words, such as a scheme's name, are in every text.
            if word.len() > 6 {
                text = text.replace(word, "***");
            }
        }
        text
    }

    fn over(&self, href: &str, what: &str, limit: u64, setting: &'static str) -> CatalogError {
        CatalogError::Limit { href: redact(href), what: what.to_owned(), limit, setting }
    }
}

fn refused(url: &Url, status: u16, text: String, attempts: u32) -> CatalogError {
    let hint = match status {
        401 | 403 => "give credentials in `http: {headers: {Authorization: \"${secret:NAME}\"}}`",
        404 | 410 => "check the address",
        405 | 501 => "the server does not take this method",
        _ => "the server refuses this request; see its message",
    };
    let found = if text.is_empty() { format!("status {status}") } else { format!("status {status}: {text}") };
    let href = redact(url.as_str());
    CatalogError::Http { href, status: Some(status), found, attempts, expected: "a JSON answer", hint }
}

fn stopped(url: &Url) -> CatalogError {
    CatalogError::Stopped { href: redact(url.as_str()) }
}

/// Sends a request and reads its answer up to a limit.
fn receive(builder: RequestBuilder, limit: u64) -> reqwest::Result<Received> {
    let response = builder.send()?;
    let status = response.status();
    let headers = response.headers().clone();
    let mut bytes = Vec::new();
    let read = response.take(if status.is_success() { limit } else { REFUSAL }).read_to_end(&mut bytes);
    // A refusal counts with as much of its words as came.
    let body = if status.is_success() { read.map(|_| bytes) } else { Ok(bytes) };
    Ok(Received { status: status.as_u16(), headers, body })
}

/// The headers of a request. Values are secrets: neither logs nor errors of the client show them.
pub(super) fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let bad =
            |value: &str, expected| CatalogError::Request { field: "http/headers", value: value.into(), expected };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name, "the name of an HTTP header"))?;
        let mut secret = HeaderValue::from_str(value)
            .map_err(|_| bad(&format!("{name}: ***"), "a value without line breaks and control characters"))?;
        secret.set_sensitive(true);
        headers.insert(key, secret);
    }
    Ok(headers)
}

/// The whole chain of causes, without credentials; the innermost names DNS, refusal or timeout.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    redact(&text)
}
