//! The collection around results.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::item::{CLASSIFICATION, PROCESSING, PROJECTION, RASTER};
use super::record::CollectionRecord;
use crate::{Bbox, CatalogError, Result, format_datetime, parse_datetime};

/// The collection of these items, by id.
pub(super) fn collection(about: &CollectionRecord, items: &BTreeMap<String, Value>) -> Result<Value> {
    let fault =
        |item: &str, message: &str| CatalogError::Publish { item: item.to_owned(), message: message.to_owned() };
    let mut boxes = Vec::new();
    let mut moments = Vec::new();
    for (id, item) in items {
        let numbers: Vec<f64> = item["bbox"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        boxes.push(Bbox::from_slice(&numbers).ok_or_else(|| fault(id, "its bbox is no bbox"))?);
        moments.push(interval(item).ok_or_else(|| fault(id, "it has no datetime"))?);
    }
    let first = moments.iter().map(|moment| moment.0).min();
    let last = moments.iter().map(|moment| moment.1).max();
    let time = |moment: Option<DateTime<Utc>>| moment.map(format_datetime);
    let mut links = vec![json!({"rel": "root", "href": "./collection.json", "type": "application/json"})];
    links.extend(
        items
            .keys()
            .map(|id| json!({"rel": "item", "href": format!("./{id}/{id}.json"), "type": "application/geo+json"})),
    );
    let (assets, summaries) = (item_assets(items), summaries(items));
    let has = |name: &str| {
        let bands =
            |asset: &Value| asset["bands"].as_array().is_some_and(|all| all.iter().any(|b| b.get(name).is_some()));
        assets.values().any(|asset| asset.get(name).is_some() || bands(asset))
    };
    let extensions: Vec<&str> = [
        (PROJECTION, summaries.contains_key("proj:code")),
        (PROCESSING, summaries.contains_key("processing:level")),
        (RASTER, has("raster:sampling") || has("raster:scale")),
        (CLASSIFICATION, has("classification:classes")),
    ]
    .into_iter()
    .filter_map(|(url, used)| used.then_some(url))
    .collect();
    let mut out = json!({
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": extensions,
        "id": about.id,
        "title": about.title,
        "description": about.description,
        "license": about.license,
        "keywords": about.keywords,
        "extent": {
            "spatial": {"bbox": [around(&boxes)]},
            "temporal": {"interval": [[time(first), time(last)]]},
        },
        "item_assets": assets,
        "links": links,
    });
    if !summaries.is_empty() {
        out["summaries"] = Value::Object(summaries);
    }
    Ok(out)
}

/// What the assets of one key have in common over all items: what a client may count on before it reads one.
fn item_assets(items: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut common: Map<String, Value> = Map::new();
    for (key, asset) in items.values().flat_map(|item| item["assets"].as_object().into_iter().flatten()) {
        let mut about = Map::new();
        for name in ["title", "type", "roles", "raster:sampling", "bands", "classification:classes"] {
            if let Some(value) = asset.get(name) {
                about.insert(name.to_owned(), value.clone());
            }
        }
        for band in about.get_mut("bands").and_then(Value::as_array_mut).into_iter().flatten() {
            // Statistics are those of one item's pixels.
            band.as_object_mut().map(|band| band.shift_remove("statistics"));
        }
        match common.get_mut(key).and_then(Value::as_object_mut) {
            Some(known) => known.retain(|name, value| about.get(name) == Some(value)),
            None => {
                common.insert(key.clone(), Value::Object(about));
            }
        }
    }
    // One field alone says nothing, and the specification asks for two.
    common.retain(|_, about| about.as_object().is_some_and(|about| about.len() > 1));
    common
}

/// Properties that a client may want to choose by, with the values that occur.
const SUMMARISED: [&str; 4] = ["proj:code", "processing:level", "mlm:name", "mlm:architecture"];

fn summaries(items: &BTreeMap<String, Value>) -> Map<String, Value> {
    let values = |name: &str| -> BTreeSet<&str> {
        items.values().filter_map(|item| item["properties"][name].as_str()).collect()
    };
    SUMMARISED
        .into_iter()
        .map(|name| (name, values(name)))
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name.to_owned(), json!(values)))
        .collect()
}

/// Ids of the items that a collection of ours lists; items elsewhere are not ours to touch.
pub(super) fn item_ids(collection: &Value) -> Vec<String> {
    let links = collection["links"].as_array();
    let items = links.into_iter().flatten().filter(|link| link["rel"] == "item");
    items
        .filter_map(|link| {
            let (folder, file) = link["href"].as_str()?.strip_prefix("./")?.split_once('/')?;
            (file == format!("{folder}.json")).then(|| folder.to_owned())
        })
        .collect()
}

/// The box around all; around the globe where one crosses the antimeridian and others lie elsewhere.
fn around(boxes: &[Bbox]) -> Bbox {
    let fold = |at: usize, better: fn(f64, f64) -> f64| boxes.iter().map(|bbox| bbox.0[at]).reduce(better);
    let [west, south, east, north] =
        [fold(0, f64::min), fold(1, f64::min), fold(2, f64::max), fold(3, f64::max)].map(|edge| edge.unwrap_or(0.0));
    let crossing = boxes.iter().filter(|bbox| bbox.crosses_antimeridian()).count();
    match crossing {
        0 => Bbox([west, south, east, north]),
        all if all == boxes.len() => Bbox([west, south, east, north]),
        _ => Bbox([-180.0, south, 180.0, north]),
    }
}

fn interval(item: &Value) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let moment = |name: &str| item["properties"][name].as_str().and_then(parse_datetime);
    moment("datetime")
        .map(|moment| (moment, moment))
        .or_else(|| Some((moment("start_datetime")?, moment("end_datetime")?)))
}
