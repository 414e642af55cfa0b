//! Ways in: from a link to the items behind it.
//!
//! [`search`] looks at what stands at the link and takes the way that fits: a static catalog or collection is
//! walked, a file of one item or of many is read, a STAC API is asked and its pages followed. Every filter is
//! applied here again, whatever a server claims to have filtered.

mod api;
mod collect;
mod fetch;
mod matches;
mod retry;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::collect::Collector;
use self::fetch::Fetcher;
use crate::{Access, Bbox, CatalogError, Filter, Interval, Item, Result, Root};

/// What to look for, and where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchRequest {
    /// Path or URL of a catalog, collection, item, item collection, STAC API or its `/search`.
    pub href: String,
    /// Collections to take; all where empty.
    pub collections: Vec<String>,
    /// Items to take; all where empty.
    pub ids: Vec<String>,
    /// `[west, south, east, north]` in degrees; west > east crosses the antimeridian.
    pub bbox: Option<Bbox>,
    /// GeoJSON geometry that items must share a point with.
    pub intersects: Option<Value>,
    /// As [`Interval::parse`] reads it.
    pub datetime: Option<String>,
    /// Largest cloud cover in per cent; items that do not say stay.
    pub max_cloud_cover: Option<f64>,
    /// What must be true of an item's properties.
    pub filter: Option<Filter>,
    /// Guards against catalogs without end.
    pub limits: Limits,
    /// How servers are asked.
    pub http: Http,
    /// What a local catalog may reach outside of its own folder.
    pub access: Access,
}

impl SearchRequest {
    /// A request for everything behind a link.
    pub fn new(href: impl Into<String>) -> Self {
        Self { href: href.into(), ..Self::default() }
    }

    /// The wanted time.
    ///
    /// # Errors
    /// A text that is no interval.
    pub fn interval(&self) -> Result<Option<Interval>> {
        self.datetime.as_deref().map(Interval::parse).transpose()
    }

    /// Checks every field that can be judged without a look at the catalog.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<()> {
        let bad = |field, value: String, expected| Err(CatalogError::Request { field, value, expected });
        if self.href.trim().is_empty() {
            return bad("href", self.href.clone(), "a path or URL");
        }
        if let Some(Bbox(numbers)) = self.bbox
            && Bbox::from_slice(&numbers).is_none()
        {
            return bad("bbox", format!("{numbers:?}"), "[west, south, east, north] in degrees");
        }
        if let Some(geometry) = &self.intersects
            && crate::bbox_of(geometry).is_none()
        {
            return bad("intersects", geometry.to_string().chars().take(80).collect(), "a GeoJSON geometry in degrees");
        }
        if let Some(cover) = self.max_cloud_cover.filter(|cover| !(0.0..=100.0).contains(cover)) {
            return bad("max_cloud_cover", cover.to_string(), "0 to 100");
        }
        fetch::headers(&self.http.headers)?;
        self.interval().map(drop)
    }
}

/// Finds the items that a request asks for.
///
/// `stop` is asked between requests and while waiting; once it says yes the search ends with an error.
///
/// # Errors
/// A request that makes no sense, a link that cannot be opened, a server that fails after all retries, a limit that is
/// met. A single bad item or document below the first is no error: it is named in [`SearchOutcome::skipped`].
pub fn search(request: &SearchRequest, stop: &dyn Fn() -> bool) -> Result<SearchOutcome> {
    request.check()?;
    let root = Root::of(&request.href)?;
    let mut fetcher = Fetcher::new(request, root, stop)?;
    let mut collector = Collector::new(request);
    let api = if api::is_search(&request.href) {
        Some(api::Api::of_search(&mut fetcher, &request.href)?)
    } else {
        let first = fetcher.get(&request.href, 0)?;
        let api = api::Api::of_landing_page(&first);
        if api.is_none() {
            walk::walk(&mut fetcher, &mut collector, first)?;
        }
        api
    };
    if let Some(api) = api {
        api.ask(&mut fetcher, &mut collector)?;
        if collector.is_empty() {
            api.collections(&mut fetcher, &mut collector);
        }
    }
    Ok(collector.finish(&fetcher))
}

/// Guards against catalogs without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most items taken.
    pub items: u64,
    /// Most links below each other.
    pub depth: u64,
    /// Most documents read.
    pub documents: u64,
    /// Most pages of a search.
    pub pages: u64,
    /// Most bytes of one document.
    pub document_bytes: u64,
    /// Most redirects of one request.
    pub redirects: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 100_000, depth: 16, documents: 200_000, pages: 10_000, document_bytes: 64 << 20, redirects: 5 }
    }
}

/// How servers are asked.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Seconds until a request without an answer is given up.
    pub timeout_seconds: u64,
    /// How often a request is repeated after a passing fault.
    pub retries: u32,
    /// Milliseconds before the first repetition; doubles with each.
    pub backoff_milliseconds: u64,
    /// Items per page to ask for.
    pub page_size: u32,
    /// Headers to send to the server of the request and to no other, such as `Authorization`. Never shown or written.
    #[serde(skip_serializing)]
    pub headers: BTreeMap<String, String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { timeout_seconds: 30, retries: 4, backoff_milliseconds: 500, page_size: 100, headers: BTreeMap::new() }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Http")
            .field("timeout_seconds", &self.timeout_seconds)
            .field("retries", &self.retries)
            .field("backoff_milliseconds", &self.backoff_milliseconds)
            .field("page_size", &self.page_size)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchOutcome {
    /// Items that pass all filters, each once, by datetime and then id.
    pub items: Vec<Item>,
    /// What was there and not usable, with reasons; items that a filter left out are only counted.
    pub skipped: Vec<Skipped>,
    /// Collections that were met, or that an API which found nothing says it has.
    pub collections: BTreeSet<String>,
    /// Items that a filter left out.
    pub filtered: u64,
    /// Items met more than once.
    pub repeated: u64,
    /// Requests to servers, repetitions included.
    pub requests: u64,
    /// Bytes of documents read.
    pub bytes: u64,
}

/// A document or item that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Where it was read, redacted.
    pub href: String,
    /// Id of the item, where known.
    pub item: Option<String>,
    /// Why, redacted.
    pub reason: String,
}
