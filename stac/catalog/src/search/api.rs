//! Asks STAC APIs, and follows `next` in every style that they use.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use url::Url;

use super::SearchRequest;
use super::collect::Collector;
use super::fetch::{Document, Fetcher};
use crate::href::{absolute, remote};
use crate::{CatalogError, Filter, Result};
use skysense_address::redact;

/// Pages in a row without a new item before a server counts as paging for ever.
const BARREN: u32 = 20;

/// Whether a link is the search of an API.
pub(super) fn is_search(href: &str) -> bool {
    remote(href)
        .and_then(std::result::Result::ok)
        .is_some_and(|url| url.path().trim_end_matches('/').ends_with("/search"))
}

/// Statuses with which servers refuse a method, a body or a filter; what also fails the other way is told by that.
const REFUSED: [u16; 9] = [400, 404, 405, 411, 413, 414, 415, 422, 501];

/// A STAC API: where its search is and what that takes.
pub(super) struct Api {
    href: String,
    posts: bool,
    filters: Filters,
    /// Where it lists its collections.
    collections: Option<String>,
}

/// Which encodings of filters a search takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filters {
    /// None: its landing page does not list them.
    None,
    /// Nobody knows: its landing page cannot be read.
    Unknown,
    Known {
        text: bool,
        json: bool,
    },
}

impl Api {
    /// The search that a landing page offers; `None` for static catalogs.
    pub(super) fn of_landing_page(document: &Document) -> Option<Self> {
        let links = document.value.get("links")?.as_array()?;
        let of =
            |rel: &'static str| links.iter().filter(move |link| link.get("rel").and_then(Value::as_str) == Some(rel));
        let method = |link: &Value| link.get("method").and_then(Value::as_str).map(str::to_ascii_uppercase);
        // Some landing pages also link a page for people.
        let searches: Vec<&Value> =
            of("search").filter(|link| link.get("type").and_then(Value::as_str) != Some("text/html")).collect();
        let posting = searches.iter().find(|link| method(link).as_deref() == Some("POST"));
        let link = posting.or_else(|| searches.first())?;
        let address = |link: &Value| absolute(&document.href, link.get("href")?.as_str()?).ok();
        let href = address(link)?;
        // A file on disk can hold a copy of a landing page; asking its server is what it means.
        let _on_a_server = remote(&href)?;
        let collections = of("data").find_map(address);
        Some(Self { href, posts: posting.is_some(), filters: Filters::of(&document.value), collections })
    }

    /// The API of a search. Its landing page is looked at where it decides what is asked.
    pub(super) fn of_search(fetcher: &mut Fetcher<'_>, href: &str) -> Result<Self> {
        let above = remote(href).transpose()?.map(|mut url| {
            let path = url.path().trim_end_matches('/').trim_end_matches("search").to_owned();
            url.set_path(&path);
            url
        });
        let mut filters = Filters::None;
        let request = fetcher.request();
        if let (Some(landing), true) = (&above, request.filter.is_some() || request.max_cloud_cover.is_some()) {
            filters = match fetcher.try_get(landing.as_str()) {
                Ok(document) => Filters::of(&document.value),
                Err(stopped @ CatalogError::Stopped { .. }) => return Err(stopped),
                Err(_) => Filters::Unknown,
            };
        }
        let collections = above.and_then(|url| {
            let mut list = url.join("collections").ok()?;
            list.set_query(url.query());
            Some(list.into())
        });
        Ok(Self { href: href.to_owned(), posts: true, filters, collections })
    }

    /// Asks the search and follows its pages; POST first where the server offers it, GET where that is not taken.
    pub(super) fn ask(&self, fetcher: &mut Fetcher<'_>, collector: &mut Collector<'_>) -> Result<()> {
        let mut filters = self.filters(fetcher.request());
        let last = filters.pop().flatten();
        for filter in filters {
            match self.ask_with(fetcher, collector, filter.as_ref()) {
                // Nothing was taken yet: the first page was refused.
                Err(CatalogError::Http { status: Some(status), found, .. })
                    if (REFUSED.contains(&status) || status == 500) && collector.is_empty() =>
                {
                    tracing::debug!(href = redact(&self.href), found, "the filter is refused; asking for more");
                }
                done => return done,
            }
        }
        self.ask_with(fetcher, collector, last.as_ref())
    }

    /// What the server may leave out, in the order in which it is tried. Every filter is applied here again, so a
    /// server that does not take one only sends more.
    fn filters(&self, request: &SearchRequest) -> Vec<Option<Filter>> {
        let own = request.filter.clone();
        let clouds = request.max_cloud_cover.map(Filter::clouds_up_to);
        match self.filters {
            Filters::None => vec![None],
            Filters::Unknown if own.is_some() => vec![own, None],
            Filters::Unknown => vec![None],
            Filters::Known { .. } => match (own, clouds) {
                (Some(own), Some(clouds)) => vec![Some(own.clone().and(clouds)), Some(own)],
                (Some(own), None) => vec![Some(own)],
                (None, Some(clouds)) => vec![Some(clouds), None],
                (None, None) => vec![None],
            },
        }
    }

    fn ask_with(
        &self,
        fetcher: &mut Fetcher<'_>,
        collector: &mut Collector<'_>,
        filter: Option<&Filter>,
    ) -> Result<()> {
        let mut body = Value::Object(body(fetcher));
        let (text, json) = match self.filters {
            Filters::Known { text, json } => (text, json),
            _ => (true, true),
        };
        // A filter in text belongs into a query, one in JSON into a body.
        if self.posts && (filter.is_none() || json || !text) {
            if let Some(filter) = filter {
                body["filter"] = filter.to_json();
                body["filter-lang"] = json!("cql2-json");
            }
            match fetcher.post(&self.href, &body) {
                Ok(document) => return follow(fetcher, collector, document, Some(body)),
                Err(CatalogError::Http { status: Some(status), found, .. }) if REFUSED.contains(&status) => {
                    tracing::debug!(href = redact(&self.href), found, "POST refused; asking with GET");
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(filter) = filter {
            body["filter"] = if text { json!(filter.to_text()) } else { filter.to_json() };
            body["filter-lang"] = json!(if text { "cql2-text" } else { "cql2-json" });
        }
        let url = query(&self.href, &body)?;
        let document = fetcher.get(url.as_str(), 0)?;
        follow(fetcher, collector, document, None)
    }

    /// Notes the collections that there are, for a search that found nothing; a server that does not list them is none
    /// the worse for it.
    pub(super) fn collections(&self, fetcher: &mut Fetcher<'_>, collector: &mut Collector<'_>) {
        let Some(document) = self.collections.as_deref().and_then(|href| fetcher.try_get(href).ok()) else { return };
        let list = document.value.get("collections").and_then(Value::as_array);
        for id in list.into_iter().flatten().filter_map(|collection| collection.get("id")?.as_str()) {
            collector.collection(id);
        }
    }
}

impl Filters {
    /// By the conformance classes of a landing page, of any generation of the extension.
    fn of(landing: &Value) -> Self {
        let classes = landing.get("conformsTo").and_then(Value::as_array);
        let classes: Vec<&str> = classes.into_iter().flatten().filter_map(Value::as_str).collect();
        let any = |part: &str| classes.iter().any(|class| class.contains(part));
        if !any("item-search#filter") {
            return Self::None;
        }
        match (any("cql2-text"), any("cql2-json")) {
            // What is spoken is not said: the default of each method is.
            (false, false) => Self::Known { text: true, json: true },
            (text, json) => Self::Known { text, json },
        }
    }
}

/// Takes a page that was read and follows it by its links.
pub(super) fn pages(fetcher: &mut Fetcher<'_>, collector: &mut Collector<'_>, first: Document) -> Result<()> {
    follow(fetcher, collector, first, None)
}

fn body(fetcher: &Fetcher<'_>) -> Map<String, Value> {
    let request = fetcher.request();
    let mut body = Map::new();
    body.insert("limit".into(), json!(request.http.page_size.max(1)));
    if !request.collections.is_empty() {
        body.insert("collections".into(), json!(request.collections));
    }
    if !request.ids.is_empty() {
        body.insert("ids".into(), json!(request.ids));
    }
    // An API takes one of the two; the other is applied here.
    if let Some(geometry) = &request.intersects {
        body.insert("intersects".into(), geometry.clone());
    } else if let Some(bbox) = &request.bbox {
        body.insert("bbox".into(), json!(bbox));
    }
    if let Ok(Some(interval)) = request.interval() {
        body.insert("datetime".into(), json!(interval.to_query()));
    }
    body
}

/// The same request as a query.
fn query(href: &str, body: &Value) -> Result<Url> {
    let mut url = Url::parse(href)
        .map_err(|error| CatalogError::href(href, format!("is no URL: {error}"), "check its spelling"))?;
    for (name, value) in body.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(list) => list
                .iter()
                .map(|entry| entry.as_str().map_or_else(|| entry.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(","),
            other => other.to_string(),
        };
        url.query_pairs_mut().append_pair(name, &text);
    }
    Ok(url)
}

/// Takes page after page. `sent` is the body that asked for the first, where there was one.
fn follow(
    fetcher: &mut Fetcher<'_>,
    collector: &mut Collector<'_>,
    first: Document,
    sent: Option<Value>,
) -> Result<()> {
    let limit = fetcher.request().limits.pages;
    let (mut document, mut sent) = (first, sent);
    let mut asked = HashSet::new();
    let mut barren = 0;
    for page in 1.. {
        let Some(Value::Array(features)) = document.value.get_mut("features").map(Value::take) else {
            return Err(CatalogError::stac(
                &document.href,
                "an answer without `features`",
                "a GeoJSON feature collection",
            ));
        };
        let mut fresh = false;
        for feature in features {
            let base = base_of(&feature, &document.href);
            fresh |= collector.feature(feature, &document, &base)?;
        }
        barren = if fresh { 0 } else { barren + 1 };
        let Some(next) = next(&document, sent.as_ref())? else { return Ok(()) };
        if barren >= BARREN || page >= limit {
            let (what, limit) = if barren >= BARREN {
                ("number of pages in a row without a new item", u64::from(BARREN))
            } else {
                ("number of pages", limit)
            };
            return Err(CatalogError::Limit {
                href: redact(&next.href),
                what: what.into(),
                limit,
                setting: "limits.pages",
            });
        }
        if !asked.insert((next.href.clone(), next.body.as_ref().map(Value::to_string))) {
            collector.skip(
                &next.href,
                None,
                "the server's `next` leads back to a page that was read; paging ends here",
            );
            return Ok(());
        }
        document = match &next.body {
            Some(body) => fetcher.post(&next.href, body)?,
            None => fetcher.get(&next.href, document.depth)?,
        };
        sent = next.body;
    }
    Ok(())
}

/// The next request: with a body it is a POST.
struct Next {
    href: String,
    body: Option<Value>,
}

/// What `next` asks for.
///
/// POST where it says so, or where it brings a body; the body is the link's own, joined onto the one that was sent
/// with `merge: true`, and the one that was sent where the link has none. Everything else is GET.
fn next(document: &Document, sent: Option<&Value>) -> Result<Option<Next>> {
    let links = document.value.get("links").and_then(Value::as_array);
    let Some(link) = links.into_iter().flatten().find(|link| link.get("rel").and_then(Value::as_str) == Some("next"))
    else {
        return Ok(None);
    };
    let Some(href) = link.get("href").and_then(Value::as_str) else {
        return Err(CatalogError::stac(&document.href, "a `next` link without href", "an href"));
    };
    let href = absolute(&document.href, href)?;
    let own = link.get("body").filter(|body| body.is_object());
    let posts = match link.get("method").and_then(Value::as_str) {
        Some(method) => method.eq_ignore_ascii_case("POST"),
        None => own.is_some(),
    };
    if !posts {
        return Ok(Some(Next { href, body: None }));
    }
    let merge = link.get("merge").and_then(Value::as_bool).unwrap_or(false);
    let body = match (own, sent) {
        (Some(own), Some(sent)) if merge => {
            let mut joined = sent.as_object().cloned().unwrap_or_default();
            joined.extend(own.as_object().cloned().unwrap_or_default());
            Value::Object(joined)
        }
        (Some(own), _) => own.clone(),
        (None, Some(sent)) => sent.clone(),
        (None, None) => json!({}),
    };
    Ok(Some(Next { href, body: Some(body) }))
}

/// What relative hrefs of a feature refer to: its own address on the same server, else the page.
fn base_of(feature: &Value, page: &str) -> String {
    let links = feature.get("links").and_then(Value::as_array);
    let own = links
        .into_iter()
        .flatten()
        .find(|link| link.get("rel").and_then(Value::as_str) == Some("self"))
        .and_then(|link| link.get("href")?.as_str());
    let on_server = |href: &&str| remote(page).is_some() && remote(href).is_some_and(|url| url.is_ok());
    own.filter(on_server).unwrap_or(page).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    fn page(link: Value) -> Document {
        Document {
            value: json!({"features": [], "links": [link]}),
            href: "https://h/search".into(),
            root: Root::Remote("https://h/".into()),
            depth: 0,
        }
    }

    fn body_of(link: Value, sent: Option<Value>) -> Option<Value> {
        next(&page(link), sent.as_ref()).unwrap().unwrap().body
    }

    #[test]
    fn every_style_of_next() {
        let sent = Some(json!({"limit": 10, "collections": ["a"]}));
        let link = |extra: Value| {
            let mut link = json!({"rel": "next", "href": "/search?token=2"});
            link.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            link
        };
        assert_eq!(body_of(link(json!({})), sent.clone()), None);
        assert_eq!(body_of(link(json!({"method": "GET", "body": null})), sent.clone()), None);
        assert_eq!(
            body_of(link(json!({"method": "POST", "merge": true, "body": {"token": "2"}})), sent.clone()),
            Some(json!({"limit": 10, "collections": ["a"], "token": "2"}))
        );
        assert_eq!(
            body_of(link(json!({"method": "POST", "merge": false, "body": {"token": "2"}})), sent.clone()),
            Some(json!({"token": "2"}))
        );
        assert_eq!(body_of(link(json!({"method": "post"})), sent.clone()), sent);
        assert_eq!(body_of(link(json!({"body": {"token": "2"}})), sent), Some(json!({"token": "2"})));
        assert!(next(&page(json!({"rel": "self", "href": "x"})), None).unwrap().is_none());
        assert!(next(&page(json!({"rel": "next"})), None).is_err());
        assert_eq!(next(&page(link(json!({}))), None).unwrap().unwrap().href, "https://h/search?token=2");
    }

    #[test]
    fn a_request_as_a_query() {
        let url = query("https://h/search?key=1", &json!({"limit": 5, "bbox": [1.5, 2, 3, 4], "collections": ["a", "b"], "datetime": "2021-01-01T00:00:00Z/.."})).unwrap();
        assert_eq!(
            url.query().unwrap(),
            "key=1&limit=5&bbox=1.5%2C2%2C3%2C4&collections=a%2Cb&datetime=2021-01-01T00%3A00%3A00Z%2F.."
        );
    }
}
