//! What can go wrong between a link and an item.

use std::path::PathBuf;

use crate::publish::Exists;
use crate::redact;

/// A catalog, item or file that cannot be used, with what was expected and what to do.
///
/// Hrefs in messages are redacted: no credentials, tokens or signatures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A local file that cannot be read.
    #[error("cannot read {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A local file or folder that cannot be written.
    #[error("cannot write {path}: {source}; check permissions and free space")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A server that does not answer as it should, after all retries.
    #[error("{href}: {found} after {attempts} attempt(s); expected {expected}; {hint}")]
    Http {
        /// What was asked for, redacted.
        href: String,
        /// What came instead.
        found: String,
        /// How often it was tried.
        attempts: u32,
        /// What should have come.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Text that is not the JSON it should be.
    #[error(
        "{href}: not JSON at line {line}, column {column}: {message}; expected a STAC catalog, collection, item or item collection"
    )]
    Json {
        /// Where it was read, redacted.
        href: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// JSON that is not the STAC object it should be.
    #[error("{href}: {found}; expected {expected}")]
    Stac {
        /// Where it was read, redacted.
        href: String,
        /// What is wrong.
        found: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A link that cannot be followed.
    #[error("href `{href}` {problem}; {hint}")]
    Href {
        /// The link, redacted.
        href: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A limit against catalogs without end.
    #[error("{href}: {what} exceeds the limit of {limit}; raise `{setting}` if this catalog is meant to be that large")]
    Limit {
        /// Where the limit was met, redacted.
        href: String,
        /// What there is too much of.
        what: String,
        /// The limit.
        limit: u64,
        /// The setting that raises it.
        setting: &'static str,
    },
    /// A value of the request that makes no sense.
    #[error("{field} is `{value}`; expected {expected}")]
    Request {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// A sensor file that cannot be used.
    #[error("sensor file {origin}: {message}")]
    Sensor {
        /// Path or built-in name.
        origin: String,
        /// What is wrong, with line and column where known.
        message: String,
    },
    /// A sensor that is not known.
    #[error("no sensor is called `{name}`; known are {known}")]
    UnknownSensor {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An area of interest that cannot be read.
    #[error(
        "area of interest {origin}: {message}; expected GeoJSON, WKT, WKB, FlatGeobuf or GeoPackage in longitude and latitude"
    )]
    Area {
        /// Path, or `text`.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// Output that is already there.
    #[error("{} is already there; {}", .path.display(), way_out(*.exists))]
    Exists {
        /// What is there.
        path: PathBuf,
        /// What was to happen to it.
        exists: Exists,
    },
    /// Output that is not ours to touch.
    #[error("{} {found}; nothing there is replaced or joined: choose another folder or collection", .path.display())]
    Foreign {
        /// What is there.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A result that cannot be described as STAC.
    #[error("cannot publish item `{item}`: {message}")]
    Publish {
        /// The item.
        item: String,
        /// What is wrong.
        message: String,
    },
}

/// What helps against output that is there.
fn way_out(exists: Exists) -> &'static str {
    match exists {
        Exists::Fail => "set `exists: replace` or `exists: append`, or choose another folder",
        Exists::Append => "`exists: append` keeps what is there: set `exists: replace`, or choose another collection",
        Exists::Replace => "choose another folder",
    }
}

/// The result of a catalog operation.
pub type Result<T> = std::result::Result<T, CatalogError>;

impl CatalogError {
    /// A STAC object that lacks or contradicts something.
    pub(crate) fn stac(href: &str, found: impl Into<String>, expected: &'static str) -> Self {
        Self::Stac { href: redact(href), found: redact(&found.into()), expected }
    }

    /// Text that is not JSON.
    pub(crate) fn json(href: &str, error: &serde_json::Error) -> Self {
        Self::Json { href: redact(href), line: error.line(), column: error.column(), message: error.to_string() }
    }

    /// A link that must not or cannot be followed.
    pub(crate) fn href(href: &str, problem: impl Into<String>, hint: &'static str) -> Self {
        Self::Href { href: redact(href), problem: problem.into(), hint }
    }
}
