//! What can go wrong between a link and an item.

use std::path::PathBuf;

use crate::publish::Exists;
use skysense_address::redact;

/// A catalog, item or file that cannot be used, with what was expected; [`CatalogError::hint`] says what to do.
///
/// Hrefs in messages are redacted: no credentials, tokens or signatures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A local file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A local file or folder that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A server that does not answer as it should, after all retries.
    #[error("{href}: {found} after {attempts} attempt(s); expected {expected}")]
    Http {
        /// What was asked for, redacted.
        href: String,
        /// The status of the answer, where there was one.
        status: Option<u16>,
        /// What came instead.
        found: String,
        /// How often it was tried.
        attempts: u32,
        /// What should have come.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A search that was told to end.
    #[error("{href}: the search was stopped")]
    Stopped {
        /// What was asked for, redacted.
        href: String,
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
    #[error("href `{href}` {problem}")]
    Href {
        /// The link, redacted.
        href: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A limit against catalogs without end.
    #[error("{href}: {what} exceeds the limit of {limit}")]
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
    /// A filter that is no CQL2, or more of it than is understood.
    #[error("filter {message}")]
    Filter {
        /// What is wrong, and where it stands.
        message: String,
    },
    /// An interval the wrong way round.
    #[error("datetime `{value}` ends before it starts")]
    Reversed {
        /// The interval.
        value: String,
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
    #[error("area of interest {origin}: {message}")]
    Area {
        /// Path, or `text`.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// Output that is already there.
    #[error("{} is already there", .path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
        /// What was to happen to it.
        exists: Exists,
    },
    /// Output that is not ours to touch.
    #[error("{} {found}; nothing there is replaced or joined", .path.display())]
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
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Read { .. } => "check the path and its permissions",
            Self::Write { .. } => "check permissions and free space",
            Self::Http { hint, .. } | Self::Href { hint, .. } => hint,
            Self::Stopped { .. } => "start the run again",
            Self::Json { .. } => "look at what stands there: a page to log in, a cut download or another file",
            Self::Limit { setting, .. } => {
                return Some(format!("raise `{setting}` if this catalog is meant to be that large"));
            }
            Self::Filter { .. } => {
                "write CQL2 such as `eo:cloud_cover < 20 AND platform = 'sentinel-2a'`; `bbox`, `area` and `datetime` filter by place and time"
            }
            Self::Reversed { .. } => "put the earlier date first: `start/end`",
            Self::Area { .. } => {
                "give GeoJSON, WKT, WKB, FlatGeobuf or GeoPackage in longitude and latitude, longitude first"
            }
            Self::Exists { exists, .. } => way_out(*exists),
            Self::Foreign { .. } => "choose another folder or collection",
            Self::Stac { .. }
            | Self::Request { .. }
            | Self::Sensor { .. }
            | Self::UnknownSensor { .. }
            | Self::Publish { .. } => return None,
        };
        Some(text.to_owned())
    }

    /// Message and hint in one sentence, for reports that have one line for a reason.
    pub(crate) fn reason(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}; {hint}"),
            None => self.to_string(),
        }
    }

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
