//! Takes each item once, if it passes every filter, whatever a server claims to have filtered.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::fetch::{Document, Fetcher};
use super::{SearchOutcome, SearchRequest, Skipped};
use crate::{CatalogError, Interval, Item, Result, decode, intersects};
use skysense_address::redact;

/// Gathers the outcome of a search.
pub(super) struct Collector<'a> {
    request: &'a SearchRequest,
    interval: Option<Interval>,
    area: Option<Value>,
    seen: HashSet<(Option<String>, String)>,
    outcome: SearchOutcome,
}

impl<'a> Collector<'a> {
    pub(super) fn new(request: &'a SearchRequest) -> Result<Self> {
        let area = request.bbox.map(|bbox| {
            let [west, south, mut east, north] = bbox.0;
            east += if west > east { 360.0 } else { 0.0 };
            json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
        });
        Ok(Self {
            request,
            interval: request.interval()?,
            area,
            seen: HashSet::new(),
            outcome: SearchOutcome::default(),
        })
    }

    /// Takes a feature of a document; whether it was met for the first time.
    pub(super) fn feature(&mut self, value: Value, document: &Document, base: &str) -> Result<bool> {
        let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
        let mut item = match Item::from_json(value, base, document.root.clone()) {
            Ok(item) => item,
            Err(error) => {
                self.skip(base, id, &error.reason());
                return Ok(false);
            }
        };
        item.ensure_self_link(base);
        if let Some(collection) = item.collection() {
            self.collection(collection);
        }
        if !self.seen.insert((item.collection().map(str::to_owned), item.id().to_owned())) {
            self.outcome.repeated += 1;
            return Ok(false);
        }
        match self.passes(&item) {
            Ok(true) => {
                let limit = self.request.limits.items;
                if self.outcome.items.len() as u64 >= limit {
                    return Err(CatalogError::Limit {
                        href: redact(base),
                        what: "number of items".into(),
                        limit,
                        setting: "limits.items",
                    });
                }
                self.outcome.items.push(item);
            }
            Ok(false) => self.outcome.filtered += 1,
            Err(reason) => self.skip(base, Some(item.id().to_owned()), &reason),
        }
        Ok(true)
    }

    /// Notes a collection that is there.
    pub(super) fn collection(&mut self, id: &str) {
        if !self.outcome.collections.contains(id) {
            self.outcome.collections.insert(id.to_owned());
        }
    }

    /// Whether nothing was taken so far.
    pub(super) fn is_empty(&self) -> bool {
        self.outcome.items.is_empty()
    }

    /// Notes a document or item that cannot be used.
    pub(super) fn skip(&mut self, href: &str, item: Option<String>, reason: &str) {
        self.outcome.skipped.push(Skipped { href: redact(href), item, reason: redact(reason) });
    }

    pub(super) fn finish(mut self, fetcher: &Fetcher<'_>) -> SearchOutcome {
        self.outcome
            .items
            .sort_by(|a, b| (a.datetime(), a.collection(), a.id()).cmp(&(b.datetime(), b.collection(), b.id())));
        self.outcome.requests = fetcher.requests;
        self.outcome.bytes = fetcher.bytes;
        self.outcome
    }

    /// Whether an item passes, or why that cannot be told.
    fn passes(&self, item: &Item) -> std::result::Result<bool, String> {
        let request = self.request;
        if !request.ids.is_empty() && !request.ids.iter().any(|id| id == item.id()) {
            return Ok(false);
        }
        if !request.collections.is_empty()
            && !request.collections.iter().any(|id| Some(id.as_str()) == item.collection())
        {
            return Ok(false);
        }
        if let (Some(limit), Some(cover)) = (request.max_cloud_cover, item.cloud_cover())
            && cover > limit
        {
            return Ok(false);
        }
        if let Some(wanted) = self.interval {
            let covers = item
                .coverage()
                .ok_or_else(|| format!("no datetime to filter by: `datetime` is {}", item.property("datetime")))?;
            if !wanted.overlaps(&covers) {
                return Ok(false);
            }
        }
        if request.filter.as_ref().is_some_and(|filter| !filter.passes(item)) {
            return Ok(false);
        }
        self.lies_in(item)
    }

    fn lies_in(&self, item: &Item) -> std::result::Result<bool, String> {
        if let Some(geometry) = item.geometry() {
            decode::geojson(geometry).map_err(|problem| format!("its geometry {problem}"))?;
        }
        if let Some(wanted) = self.request.bbox {
            let bbox = item.bbox().ok_or("neither bbox nor geometry to filter by")?;
            if !wanted.intersects(&bbox) {
                return Ok(false);
            }
        }
        for area in [self.area.as_ref(), self.request.intersects.as_ref()].into_iter().flatten() {
            let touches = match item.geometry() {
                Some(geometry) => intersects(area, geometry),
                None => item.bbox().map(|bbox| crate::bbox_of(area).is_some_and(|area| area.intersects(&bbox))),
            };
            if !touches.ok_or("a geometry that cannot be read")? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
