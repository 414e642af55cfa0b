//! Walks static catalogs: links down, each document once.

use std::collections::HashSet;

use serde_json::Value;

use super::api;
use super::collect::Collector;
use super::fetch::{Document, Fetcher};
use crate::href::absolute;
use crate::{CatalogError, Result};

/// Documents in a row that cannot be read before the catalog counts as out of reach.
const PATIENCE: u32 = 5;

/// Takes every item at or below a document.
pub(super) fn walk(fetcher: &mut Fetcher<'_>, collector: &mut Collector<'_>, first: Document) -> Result<()> {
    let mut seen = HashSet::from([name(&first.href)]);
    let mut waiting = take(fetcher, collector, first, true)?;
    waiting.reverse();
    let mut failures = 0;
    while let Some((href, depth)) = waiting.pop() {
        if !seen.insert(name(&href)) {
            continue;
        }
        let limit = fetcher.request().limits.depth;
        if depth > limit {
            return Err(CatalogError::Limit {
                href: skysense_address::redact(&href),
                what: "depth of links".into(),
                limit,
                setting: "limits.depth",
            });
        }
        let document = match fetcher.get(&href, depth) {
            Ok(document) => document,
            Err(end @ (CatalogError::Limit { setting: "limits.documents", .. } | CatalogError::Stopped { .. })) => {
                return Err(end);
            }
            Err(error) => {
                failures += 1;
                if failures >= PATIENCE {
                    return Err(error);
                }
                collector.skip(&href, None, &error.reason());
                continue;
            }
        };
        failures = 0;
        // A redirect can lead to what was read before.
        if name(&document.href) != name(&href) && !seen.insert(name(&document.href)) {
            continue;
        }
        let mut below = take(fetcher, collector, document, false)?;
        below.reverse();
        waiting.append(&mut below);
    }
    Ok(())
}

/// Takes what a document holds and gives the links below it.
fn take(
    fetcher: &mut Fetcher<'_>,
    collector: &mut Collector<'_>,
    mut document: Document,
    first: bool,
) -> Result<Vec<(String, u64)>> {
    let base = document.href.clone();
    match document.value.get("type").and_then(Value::as_str) {
        Some("Feature") => {
            let value = document.value.take();
            collector.feature(value, &document, &base)?;
            Ok(Vec::new())
        }
        Some("FeatureCollection") => {
            api::pages(fetcher, collector, document)?;
            Ok(Vec::new())
        }
        _ if document.value.get("links").is_some_and(Value::is_array) => Ok(links(fetcher, collector, &document)),
        _ => {
            let error = CatalogError::stac(
                &base,
                "neither links nor features",
                "a STAC catalog, collection, item or item collection",
            );
            if first {
                return Err(error);
            }
            collector.skip(&base, None, &error.reason());
            Ok(Vec::new())
        }
    }
}

/// Links to children and items; items of collections that are not asked for are left out.
fn links(fetcher: &Fetcher<'_>, collector: &mut Collector<'_>, document: &Document) -> Vec<(String, u64)> {
    let wanted = &fetcher.request().collections;
    let id = document.value.get("id").and_then(Value::as_str).unwrap_or_default();
    let is_collection = document.value.get("extent").is_some();
    if is_collection {
        collector.collection(id);
    }
    let other = is_collection && !wanted.is_empty() && !wanted.iter().any(|collection| collection == id);
    let links = document.value.get("links").and_then(Value::as_array);
    let mut out = Vec::new();
    let has_items =
        |rel: &str| links.into_iter().flatten().any(|link| link.get("rel").and_then(Value::as_str) == Some(rel));
    for link in links.into_iter().flatten() {
        let rel = link.get("rel").and_then(Value::as_str).unwrap_or_default();
        let follow = match rel {
            "child" => true,
            "item" => !other,
            // A collection of an API lists its items behind one link; beside `item` links it would repeat them.
            "items" => !other && !has_items("item"),
            _ => false,
        };
        if !follow {
            continue;
        }
        match link.get("href").and_then(Value::as_str).map(|href| absolute(&document.href, href)) {
            Some(Ok(href)) => out.push((without_fragment(&href).to_owned(), document.depth + 1)),
            Some(Err(error)) => collector.skip(&document.href, None, &error.reason()),
            None => collector.skip(&document.href, None, &format!("a `{rel}` link without href")),
        }
    }
    out
}

/// One name per document: without fragment, and a path without detours.
fn name(href: &str) -> String {
    let href = without_fragment(href);
    match crate::href::remote(href) {
        Some(_) => href.to_owned(),
        None => crate::href::local_path(href).map_or_else(
            |_| href.to_owned(),
            |path| path.canonicalize().unwrap_or(path).to_string_lossy().into_owned(),
        ),
    }
}

/// A fragment names a place within a document, which is read as a whole.
fn without_fragment(href: &str) -> &str {
    href.split_once('#').map_or(href, |(document, _)| document)
}
