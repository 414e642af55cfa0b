//! A published item as it is shown: with links that work from outside, and without what is nobody's business.

use serde_json::{Map, Value, json};

use super::runs::redacted;
use crate::{StoredItem, clock};

/// A part of an address.
pub(super) fn part(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The address of an item.
pub(super) fn address(base: &str, item: &StoredItem) -> String {
    format!("{base}/stac/collections/{}/items/{}", part(&item.collection), part(&item.item_id))
}

/// Whether an asset can be drawn.
pub(super) fn is_raster(asset: &Value) -> bool {
    asset["type"].as_str().is_some_and(|kind| kind.starts_with("image/tiff"))
}

/// The item, for whoever asks at `base`.
pub(super) fn shown(item: &StoredItem, base: &str) -> Value {
    let own = address(base, item);
    let collection = format!("{base}/stac/collections/{}", part(&item.collection));
    let mut value = redacted(&item.item);
    value["id"] = json!(item.item_id);
    value["collection"] = json!(item.collection);
    if !value["properties"].is_object() {
        value["properties"] = json!({});
    }
    value["properties"]["skysense:run"] = json!(item.run);
    value["properties"]["skysense:workflow_name"] = json!(item.workflow);
    value["properties"]["published"] = json!(clock::text(item.published_at));
    let mut links = vec![
        json!({"rel": "self", "type": "application/geo+json", "href": own}),
        json!({"rel": "root", "type": "application/json", "href": format!("{base}/stac")}),
        json!({"rel": "parent", "type": "application/json", "href": collection}),
        json!({"rel": "collection", "type": "application/json", "href": collection}),
        json!({"rel": "via", "type": "application/json", "title": "the run that wrote it", "href": format!("{base}/api/v1/runs/{}", item.run)}),
    ];
    // Where it comes from is told as far as others can follow it.
    links.extend(
        value["links"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|link| {
                let rel = link["rel"].as_str().unwrap_or_default();
                let remote = link["href"]
                    .as_str()
                    .is_some_and(|href| href.starts_with("http://") || href.starts_with("https://"));
                remote && !matches!(rel, "self" | "root" | "parent" | "collection" | "items" | "search")
            })
            .cloned(),
    );
    let assets = value["assets"].as_object().cloned().unwrap_or_default();
    let mut shown = Map::new();
    for (key, mut asset) in assets {
        let local = asset["href"].as_str().is_some_and(|href| href.starts_with('/') || href.starts_with("file:"));
        if local {
            asset["href"] = json!(format!("{own}/assets/{}", part(&key)));
        }
        if let Some(fields) = asset.as_object_mut() {
            fields.shift_remove("alternate");
        }
        if local && is_raster(&asset) {
            let tiles = format!("{base}/tiles/{}/{}/{}", part(&item.collection), part(&item.item_id), part(&key));
            links.push(json!({"rel": "xyz", "type": "image/png", "title": key, "href": format!("{tiles}/{{z}}/{{x}}/{{y}}.png")}));
            links.push(json!({"rel": "wmts", "type": "application/xml", "title": key, "href": format!("{tiles}/WMTSCapabilities.xml"), "wmts:layer": [key]}));
        }
        shown.insert(key, asset);
    }
    value["assets"] = Value::Object(shown);
    value["links"] = json!(links);
    value
}
