//! Takes each item once, if it passes every filter, whatever a server claims to have filtered.

use std::collections::HashSet;

use serde_json::Value;

use super::fetch::{Document, Fetcher};
use super::{SearchOutcome, SearchRequest, Skipped};
use crate::{CatalogError, Item, Result};
use skysense_address::redact;

/// Gathers the outcome of a search.
pub(super) struct Collector<'a> {
    request: &'a SearchRequest,
    seen: HashSet<(Option<String>, String)>,
    outcome: SearchOutcome,
}

impl<'a> Collector<'a> {
    pub(super) fn new(request: &'a SearchRequest) -> Self {
        Self { request, seen: HashSet::new(), outcome: SearchOutcome::default() }
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
        match self.request.passes(&item) {
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
}
