//! Reads documents from files and servers within limits, asking again after passing faults.

use std::io::Read;
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use super::{SearchRequest, retry};
use crate::{CatalogError, Location, Result, Root, redact};

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
    stop: &'a dyn Fn() -> bool,
    pub(super) requests: u64,
    pub(super) bytes: u64,
    documents: u64,
}

/// What one exchange with a server ended in.
enum Answer {
    Body(Vec<u8>),
    /// Worth another try: what was found, and the wait that the server asks for.
    Passing(String, Option<String>),
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
                found: redact(&error.to_string()),
                attempts: 0,
                expected: "an HTTP client",
                hint: "check the system's TLS certificates",
            })?;
        Ok(Self { request, root, client, stop, requests: 0, bytes: 0, documents: 0 })
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
        let attempts = self.request.http.retries + 1;
        let mut found = String::new();
        for attempt in 1..=attempts {
            if (self.stop)() {
                return Err(self.stopped(&url));
            }
            let (answer, last) = self.follow(url.clone(), body)?;
            let retry_after = match answer {
                Answer::Body(bytes) => match serde_json::from_slice::<Value>(&bytes) {
                    Ok(value) => return Ok((value, last)),
                    // JSON that ends too early was cut on its way; any other fault will not mend itself.
                    Err(error) if error.is_eof() && !bytes.is_empty() => {
                        found = format!("an answer that breaks off after {} bytes", bytes.len());
                        None
                    }
                    Err(error) => return Err(CatalogError::json(last.as_str(), &error)),
                },
                Answer::Passing(what, retry_after) => {
                    found = what;
                    retry_after
                }
                Answer::Final(status, what) => return Err(self.refused(&last, status, what, attempt)),
            };
            tracing::debug!(href = redact(url.as_str()), attempt, found, "asking again");
            if attempt < attempts
                && !retry::nap(
                    retry::wait(self.request.http.backoff_milliseconds, attempt, retry_after.as_deref()),
                    self.stop,
                )
            {
                return Err(self.stopped(&url));
            }
        }
        Err(CatalogError::Http {
            href: redact(url.as_str()),
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
            let response = match self.send(&url, body) {
                Ok(response) => response,
                Err(error) => return Ok((Answer::Passing(describe(&error), None), url)),
            };
            let status = response.status().as_u16();
            if response.status().is_redirection()
                && let Some(next) = response.headers().get(LOCATION).and_then(|value| value.to_str().ok())
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
                if matches!(status, 301..=303) {
                    body = None;
                }
                url = next;
                continue;
            }
            return Ok((self.judge(response, &url)?, url));
        }
        Err(self.over(url.as_str(), "number of redirects", self.request.limits.redirects, "limits.redirects"))
    }

    fn send(&self, url: &Url, body: Option<&Value>) -> reqwest::Result<Response> {
        let mut builder = match body {
            Some(body) => self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => self.client.get(url.clone()),
        };
        builder = builder.header(ACCEPT, "application/geo+json, application/json");
        // Headers hold credentials: they go to the server of the request and to no other.
        if matches!(&self.root, Root::Remote(origin) if *origin == format!("{}/", url.origin().ascii_serialization())) {
            for (name, value) in &self.request.http.headers {
                builder = builder.header(name, value);
            }
        }
        builder.send()
    }

    fn judge(&mut self, response: Response, url: &Url) -> Result<Answer> {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if retry::is_passing(status) {
            return Ok(Answer::Passing(format!("status {status}"), retry_after));
        }
        if !response.status().is_success() {
            let mut text = String::new();
            let _partial = response.take(300).read_to_string(&mut text);
            return Ok(Answer::Final(status, redact(text.trim())));
        }
        Ok(match self.bounded(response, url.as_str())? {
            Ok(bytes) => Answer::Body(bytes),
            Err(error) => Answer::Passing(format!("an answer that breaks off ({})", redact(&error.to_string())), None),
        })
    }

    /// Reads to the end, or to the limit, which is an error.
    fn bounded(&mut self, reader: impl Read, href: &str) -> Result<std::io::Result<Vec<u8>>> {
        let limit = self.request.limits.document_bytes;
        let mut bytes = Vec::new();
        let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        self.bytes += bytes.len() as u64;
        if bytes.len() as u64 > limit {
            return Err(self.over(href, "size of a document in bytes", limit, "limits.document_bytes"));
        }
        Ok(read.map(|_| bytes))
    }

    fn over(&self, href: &str, what: &str, limit: u64, setting: &'static str) -> CatalogError {
        CatalogError::Limit { href: redact(href), what: what.to_owned(), limit, setting }
    }

    fn refused(&self, url: &Url, status: u16, text: String, attempts: u32) -> CatalogError {
        let hint = match status {
            401 | 403 => "give credentials in `http.headers`, from ${secret:NAME}",
            404 | 410 => "check the address",
            405 | 501 => "the server does not take this method",
            _ => "the server refuses this request; see its message",
        };
        let found = if text.is_empty() { format!("status {status}") } else { format!("status {status}: {text}") };
        CatalogError::Http { href: redact(url.as_str()), found, attempts, expected: "a JSON answer", hint }
    }

    fn stopped(&self, url: &Url) -> CatalogError {
        CatalogError::Http {
            href: redact(url.as_str()),
            found: "the run was stopped".into(),
            attempts: 0,
            expected: "an answer",
            hint: "start the run again",
        }
    }
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
