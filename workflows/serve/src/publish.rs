//! From what a run wrote to what is published.

use std::path::Path;

use serde_json::Value;
use skysense_catalog::{Item, Root, bbox_of};

use crate::{NewResult, Run, material::folder_name};

/// Largest item that is read, in bytes.
const LARGEST_ITEM: u64 = 16 << 20;

/// The items among the outputs of a run. One that is not there or no item is named and left out.
pub(crate) fn results(run: &Run, outputs: &[Value]) -> Vec<NewResult> {
    let mut results = Vec::new();
    for output in outputs.iter().filter(|output| output["role"] == "item") {
        let Some(href) = output["href"].as_str() else { continue };
        match result(run, href) {
            Ok(result) => results.push(result),
            Err(reason) => tracing::warn!(run = run.id, "output {href} is not published: {reason}"),
        }
    }
    results
}

fn result(run: &Run, href: &str) -> Result<NewResult, String> {
    let path = Path::new(href);
    let known = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if known.len() > LARGEST_ITEM {
        return Err(format!("{} bytes are more than an item has", known.len()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let root = Root::of(href).map_err(|error| error.to_string())?;
    let item = Item::from_json(value, href, root).map_err(|error| error.to_string())?;
    let millis = |(start, end): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>)| {
        (start.timestamp_millis(), end.timestamp_millis())
    };
    let collection = item.collection().unwrap_or(&run.workflow).to_owned();
    let geometry = item.value().get("geometry").filter(|geometry| !geometry.is_null());
    Ok(NewResult {
        item_id: published_id(item.id(), run),
        interval: item.interval().map(millis),
        bbox: geometry.and_then(bbox_of).map(|bbox| bbox.0),
        item: Value::Object(item.value().clone()),
        href: href.to_owned(),
        collection,
    })
}

/// Items are named after collection and period, so those of two groups may have one name: the group makes the
/// difference, and of one group the latest holds.
fn published_id(id: &str, run: &Run) -> String {
    match &run.trigger {
        Some(_) => format!("{id}-{}", folder_name(&run.key, 1)),
        None => id.to_owned(),
    }
}
