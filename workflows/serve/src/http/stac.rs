//! A read-only STAC API over what was written.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use skysense_catalog::{Area, Bbox, Filter, Interval, Item, Root, SearchRequest, bbox_of};

use super::{
    Api,
    answer::{Answer, Problem, json as answer, json_as},
    call::Call,
    item as items_shown,
};
use crate::{ItemQuery, Millis, StoredItem, clock, state::StoredCollection};

/// Items of a page where nobody asks for another number.
const PAGE: usize = 10;
/// Most items of a page.
const LARGEST_PAGE: usize = 1_000;
/// Most items that one search looks at; the next page goes on behind them.
const MOST_LOOKED_AT: usize = 20_000;
const GEOJSON: &str = "application/geo+json";

const CLASSES: &[&str] = &[
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#filter",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
];

fn link(rel: &str, href: String, kind: &str) -> Value {
    json!({"rel": rel, "href": href, "type": kind})
}

/// `GET /stac`
pub(crate) fn landing(api: &Api, call: &Call) -> Answer {
    let base = format!("{}/stac", call.base);
    let json_kind = "application/json";
    let mut links = vec![
        link("self", base.clone(), json_kind),
        link("root", base.clone(), json_kind),
        link("conformance", format!("{base}/conformance"), json_kind),
        link("data", format!("{base}/collections"), json_kind),
        json!({"rel": "search", "href": format!("{base}/search"), "type": GEOJSON, "method": "GET"}),
        json!({"rel": "search", "href": format!("{base}/search"), "type": GEOJSON, "method": "POST"}),
        link(
            "service-desc",
            format!("{}/api/v1/openapi.json", call.base),
            "application/vnd.oai.openapi+json;version=3.1",
        ),
        link("service-doc", format!("{}/", call.base), "text/html"),
        link(
            "http://www.opengis.net/def/rel/ogc/1.0/queryables",
            format!("{base}/queryables"),
            "application/schema+json",
        ),
    ];
    for collection in api.service.store.collections()? {
        links.push(link("child", format!("{base}/collections/{}", items_shown::part(&collection.id)), json_kind));
    }
    answer(&json!({
        "type": "Catalog", "stac_version": "1.1.0", "id": "skysense", "title": "Results",
        "description": "What the workflows of this service wrote", "conformsTo": CLASSES, "links": links,
    }))
}

/// `GET /stac/conformance`
pub(crate) fn conformance(_: &Api, _: &Call) -> Answer {
    answer(&json!({"conformsTo": CLASSES}))
}

/// `GET /stac/collections`
pub(crate) fn collections(api: &Api, call: &Call) -> Answer {
    let all = api.service.store.collections()?;
    let shown: Vec<Value> = all.iter().map(|collection| collection_shown(collection, call)).collect();
    let base = format!("{}/stac", call.base);
    let json_kind = "application/json";
    answer(&json!({
        "collections": shown,
        "links": [link("self", format!("{base}/collections"), json_kind), link("root", base, json_kind)],
    }))
}

/// `GET /stac/collections/{collection}`
pub(crate) fn collection(api: &Api, call: &Call) -> Answer {
    answer(&collection_shown(&find(api, call.part("collection"))?, call))
}

fn find(api: &Api, id: &str) -> Result<StoredCollection, Problem> {
    api.service.store.collection(id)?.ok_or_else(|| Problem::missing("collection", id))
}

fn collection_shown(collection: &StoredCollection, call: &Call) -> Value {
    let base = format!("{}/stac", call.base);
    let own = format!("{base}/collections/{}", items_shown::part(&collection.id));
    let (start, end) = collection.interval;
    // What the workflow wrote beside its items says more than items can.
    let written = written_collection(&collection.href, &collection.id);
    let text = |name: &str| written.get(name).filter(|value| value.is_string()).cloned();
    let mut value = json!({
        "type": "Collection", "stac_version": "1.1.0", "id": collection.id,
        "title": text("title").unwrap_or_else(|| json!(collection.id)),
        "description": text("description").unwrap_or_else(|| json!(format!("{} items", collection.items))),
        "license": text("license").unwrap_or_else(|| json!("other")),
        "extent": {
            "spatial": {"bbox": [collection.bbox.unwrap_or([-180.0, -90.0, 180.0, 90.0])]},
            "temporal": {"interval": [[start.map(clock::text), end.map(clock::text)]]},
        },
        "links": [
            link("self", own.clone(), "application/json"),
            link("root", base.clone(), "application/json"),
            link("parent", base, "application/json"),
            link("items", format!("{own}/items"), GEOJSON),
            link("http://www.opengis.net/def/rel/ogc/1.0/queryables", format!("{own}/queryables"), "application/schema+json"),
        ],
    });
    for name in ["keywords", "providers", "summaries", "item_assets"] {
        if let Some(found) = written.get(name).filter(|found| found.is_object() || found.is_array()) {
            value[name] = super::runs::redacted(found);
        }
    }
    value
}

/// The collection that lies around an item: beside it or a folder above.
fn written_collection(item: &str, id: &str) -> Map<String, Value> {
    let above = std::path::Path::new(item).ancestors().skip(1).take(2);
    let read = |folder: &std::path::Path| {
        let path = folder.join("collection.json");
        let small = std::fs::metadata(&path).ok()?.len() < 4 << 20;
        let value: Value = serde_json::from_str(&small.then(|| std::fs::read_to_string(path).ok())??).ok()?;
        (value["id"] == id).then(|| value.as_object().cloned())?
    };
    above.filter_map(read).next().unwrap_or_default()
}

/// `GET /stac/queryables`, also of a collection.
pub(crate) fn queryables(_: &Api, call: &Call) -> Answer {
    json_as(
        "application/schema+json",
        &json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": format!("{}/stac/queryables", call.base),
            "type": "object", "title": "Queryables",
            "properties": {
                "id": {"type": "string"}, "collection": {"type": "string"},
                "datetime": {"type": "string", "format": "date-time"},
            },
            "additionalProperties": true,
        }),
    )
}

/// `GET /stac/collections/{collection}/items/{item}`
pub(crate) fn item(api: &Api, call: &Call) -> Answer {
    let id = call.part("item");
    let found = api.service.store.item(call.part("collection"), id)?.ok_or_else(|| Problem::missing("item", id))?;
    json_as(GEOJSON, &items_shown::shown(&found, &call.base))
}

/// What a search asks for.
#[derive(Debug, Default)]
struct Search {
    /// What the state answers by itself.
    query: ItemQuery,
    /// What each item of that answer has to pass: place and filter.
    request: SearchRequest,
    limit: usize,
}

/// `GET /stac/collections/{collection}/items`
pub(crate) fn items(api: &Api, call: &Call) -> Answer {
    let collection = call.part("collection");
    if !api.service.store.has_collection(collection)? {
        return Err(Problem::missing("collection", collection));
    }
    let mut search = by_query(call)?;
    search.query.collections = vec![collection.to_owned()];
    let found = run(api, &search, call)?;
    let own = format!("{}/stac/collections/{}/items", call.base, items_shown::part(collection));
    let next = found.next.as_ref().map(|token| get_link(&own, call, token));
    page(found, next, &own, call)
}

/// `GET /stac/search`
pub(crate) fn search(api: &Api, call: &Call) -> Answer {
    let found = run(api, &by_query(call)?, call)?;
    let own = format!("{}/stac/search", call.base);
    let next = found.next.as_ref().map(|token| get_link(&own, call, token));
    page(found, next, &own, call)
}

/// `POST /stac/search`
pub(crate) fn search_by_body(api: &Api, call: &Call) -> Answer {
    let body: Map<String, Value> = call.json()?;
    let found = run(api, &by_body(&body)?, call)?;
    let own = format!("{}/stac/search", call.base);
    let next = found.next.as_ref().map(|token| {
        let mut body = body.clone();
        body.insert("token".into(), json!(token));
        json!({"rel": "next", "href": own, "type": GEOJSON, "method": "POST", "body": body})
    });
    page(found, next, &own, call)
}

fn get_link(own: &str, call: &Call, token: &str) -> Value {
    let query = call.query_without("token");
    let query = if query.is_empty() { format!("token={token}") } else { format!("{query}&token={token}") };
    json!({"rel": "next", "href": format!("{own}?{query}"), "type": GEOJSON, "method": "GET"})
}

fn page(Page { features, matched, .. }: Page, next: Option<Value>, own: &str, call: &Call) -> Answer {
    let mut links =
        vec![link("self", own.to_owned(), GEOJSON), link("root", format!("{}/stac", call.base), "application/json")];
    links.extend(next);
    let mut value = json!({
        "type": "FeatureCollection", "numberReturned": features.len(), "features": features, "links": links,
    });
    if let Some(matched) = matched {
        value["numberMatched"] = json!(matched);
    }
    json_as(GEOJSON, &value)
}

/// A page of items.
struct Page {
    features: Vec<Value>,
    /// How many there are on all pages, where the state can tell.
    matched: Option<u64>,
    /// The token of the next.
    next: Option<String>,
}

/// Finds a page of items.
fn run(api: &Api, search: &Search, call: &Call) -> Result<Page, Problem> {
    let mut features = Vec::new();
    let (mut looked_at, mut last, mut next) = (0, None, None);
    api.service.store.items(&search.query, |item| {
        // Only when one more is there does a next page make sense.
        if features.len() == search.limit || looked_at == MOST_LOOKED_AT {
            next = last.map(|(start, seq): (Millis, i64)| format!("{start}.{seq}"));
            return false;
        }
        looked_at += 1;
        last = Some((item.start.unwrap_or(Millis::MIN + 1), item.seq));
        if fits(search, &item) {
            features.push(items_shown::shown(&item, &call.base));
        }
        true
    })?;
    // Whoever turns pages was told on the first one.
    let counts = search.judges_nothing() && search.query.after.is_none();
    let matched = counts.then(|| api.service.store.count_items(&search.query)).transpose()?;
    Ok(Page { features, matched, next })
}

impl Search {
    /// Whether the state answers all of it by itself.
    fn judges_nothing(&self) -> bool {
        self.request.bbox.is_none() && self.request.intersects.is_none() && self.request.filter.is_none()
    }
}

fn fits(search: &Search, item: &StoredItem) -> bool {
    if search.judges_nothing() {
        return true;
    }
    let mut value = item.item.clone();
    value["id"] = json!(item.item_id);
    value["collection"] = json!(item.collection);
    let root = Root::Remote("https://results.invalid/".into());
    // An item without a place lies nowhere.
    Item::from_json(value, &item.href, root).is_ok_and(|item| search.request.passes(&item).unwrap_or(false))
}

fn by_query(call: &Call) -> Result<Search, Problem> {
    let mut body = Map::new();
    for name in ["datetime", "token", "filter-crs"] {
        if let Some(text) = call.query(name) {
            body.insert(name.to_owned(), json!(text));
        }
    }
    for name in ["ids", "collections"] {
        if let Some(text) = call.query(name) {
            body.insert(name.to_owned(), text.split(',').collect());
        }
    }
    if let Some(limit) = call.number::<u64>("limit")? {
        body.insert("limit".into(), json!(limit));
    }
    if let Some(text) = call.query("bbox") {
        let numbers: Result<Vec<f64>, _> = text.split(',').map(|side| side.trim().parse()).collect();
        body.insert(
            "bbox".into(),
            json!(numbers.map_err(|_| Problem::bad("`bbox` holds something that is no number"))?),
        );
    }
    let parsed = |name: &str, text: &str| -> Result<Value, Problem> {
        serde_json::from_str(text).map_err(|error| Problem::bad(format!("`{name}` is no JSON: {error}")))
    };
    if let Some(text) = call.query("intersects") {
        body.insert("intersects".into(), parsed("intersects", text)?);
    }
    if let Some(text) = call.query("filter") {
        let json = call.query("filter-lang") == Some("cql2-json");
        body.insert("filter".into(), if json { parsed("filter", text)? } else { json!(text) });
    }
    by_body(&body)
}

fn by_body(body: &Map<String, Value>) -> Result<Search, Problem> {
    let mut search = Search { limit: PAGE, ..Search::default() };
    let texts = |name: &str, value: &Value| -> Result<Vec<String>, Problem> {
        let list = value.as_array().and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
        list.ok_or_else(|| Problem::bad(format!("`{name}` is no list of texts")))
    };
    for (name, value) in body {
        match name.as_str() {
            _ if value.is_null() => {}
            "collections" => search.query.collections = texts(name, value)?,
            "ids" => search.query.ids = texts(name, value)?,
            "limit" => {
                let limit = value.as_u64().filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
                let bad = || Problem::bad(format!("`limit` is a whole number from 1 to {LARGEST_PAGE}"));
                search.limit = limit.ok_or_else(bad)?.min(LARGEST_PAGE);
            }
            "bbox" => {
                let bbox = bbox(value)?;
                search.query.bbox = Some(bbox.0);
                search.request.bbox = Some(bbox);
            }
            "intersects" => {
                let area = Area::from_geojson(value, "intersects").map_err(|error| Problem::bad(error.to_string()))?;
                search.query.bbox = bbox_of(area.geojson()).map(|bbox| bbox.0);
                search.request.intersects = Some(area.geojson().clone());
            }
            "datetime" => {
                let text = value.as_str().filter(|text| is_moment_or_interval(text));
                let text = text.ok_or_else(|| {
                    Problem::bad(
                        "`datetime` is a moment as RFC 3339 writes it, or two of them as `A/B`, one of them `..`",
                    )
                })?;
                let interval = Interval::parse(text).map_err(|error| Problem::bad(error.to_string()))?;
                let millis =
                    |moment: Option<chrono::DateTime<chrono::Utc>>| moment.map(|moment| moment.timestamp_millis());
                search.query.interval =
                    Some((millis(interval.start).unwrap_or(Millis::MIN), millis(interval.end).unwrap_or(Millis::MAX)));
            }
            "filter" => {
                search.request.filter = Some(Filter::from_json(value).map_err(|error| Problem::bad(error.to_string()))?)
            }
            "token" => search.query.after = Some(token(value)?),
            "filter-lang" | "filter-crs" | "conf" => {}
            // Not to be passed over in silence: the answer would be another one than was asked for.
            _ => return Err(Problem::bad(format!("`{name:.60}` is not understood here"))),
        }
    }
    if body.get("bbox").is_some_and(|value| !value.is_null())
        && body.get("intersects").is_some_and(|value| !value.is_null())
    {
        return Err(Problem::bad("`bbox` and `intersects` exclude each other"));
    }
    Ok(search)
}

/// Whether a text is a moment or an interval as the standard asks for them, with date, time and zone.
fn is_moment_or_interval(text: &str) -> bool {
    let moment = |text: &str| chrono::DateTime::parse_from_rfc3339(text).is_ok();
    let open = |text: &str| text.is_empty() || text == "..";
    match text.split_once('/') {
        None => moment(text),
        Some((start, end)) => {
            (moment(start) || open(start)) && (moment(end) || open(end)) && !(open(start) && open(end))
        }
    }
}

fn bbox(value: &Value) -> Result<Bbox, Problem> {
    let numbers: Vec<f64> = value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let inside = |bbox: &Bbox| {
        let [west, south, east, north] = bbox.0;
        let degrees = |side: f64, most: f64| (-most..=most).contains(&side);
        degrees(west, 180.0) && degrees(east, 180.0) && degrees(south, 90.0) && degrees(north, 90.0)
    };
    let bbox = Bbox::from_slice(&numbers).filter(inside);
    bbox.ok_or_else(|| Problem::bad("`bbox` is [west, south, east, north] in degrees"))
}

/// Where a page goes on.
fn token(value: &Value) -> Result<(Millis, i64), Problem> {
    let parsed = value.as_str().and_then(|text| {
        let (start, seq) = text.split_once('.')?;
        Some((start.parse().ok()?, seq.parse().ok()?))
    });
    parsed.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "this is no token of a page"))
}
