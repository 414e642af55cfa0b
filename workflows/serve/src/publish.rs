//! From what a run wrote to what is published.

use std::path::Path;

use serde_json::Value;
use skysense_catalog::bbox_of;

use crate::{
    NewResult, Result, Run, ServeError,
    json_file::{self, Unread},
    material::folder_name,
};

/// The items among the outputs of a run. What is no item is named and left out.
///
/// # Errors
/// An item's file cannot be read.
pub(crate) fn results(run: &Run, outputs: &[Value]) -> Result<Vec<NewResult>> {
    let mut results = Vec::new();
    for output in outputs.iter().filter(|output| output["role"] == "item") {
        let Some(href) = output["href"].as_str() else { continue };
        match result(run, href) {
            Ok(result) => results.push(result),
            Err(Unread::File(error)) => return Err(ServeError::file("publish", Path::new(href), error)),
            Err(reason) => tracing::warn!(run = run.id, "output {href} is not published: {reason}"),
        }
    }
    Ok(results)
}

fn result(run: &Run, href: &str) -> Result<NewResult, Unread> {
    let item = json_file::read_item(Path::new(href))?;
    let millis = |(start, end): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>)| {
        (start.timestamp_millis(), end.timestamp_millis())
    };
    let collection = item.collection().unwrap_or(&run.workflow).to_owned();
    // Searches look at the geometry, so the box they begin with is its own.
    let bbox = item.geometry().and_then(bbox_of).or_else(|| item.bbox());
    Ok(NewResult {
        item_id: published_id(item.id(), run),
        interval: item.interval().map(millis),
        bbox: bbox.map(|bbox| bbox.0),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{NewRun, Store};

    use super::*;

    #[test]
    fn an_item_that_cannot_be_read_keeps_the_run_from_being_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        store.submit(&NewRun::asked("r", "map"), 0).unwrap();
        let run = store.run("r").unwrap();
        let path = folder.path().join("item.json");
        let outputs = [json!({"role": "item", "href": path}), json!({"role": "file", "href": "/nothing"})];
        assert!(matches!(results(&run, &outputs), Err(ServeError::File { .. })));
        // What is no item will be none the next time either.
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(results(&run, &outputs).unwrap(), []);
        let item = json!({"type": "Feature", "id": "a", "links": [], "geometry": null, "bbox": [5, 45, 6, 46],
            "properties": {"datetime": "2021-03-01T00:00:00Z"}, "assets": {}});
        std::fs::write(&path, item.to_string()).unwrap();
        let published = results(&run, &outputs).unwrap();
        assert_eq!((published[0].item_id.as_str(), published[0].bbox), ("a", Some([5.0, 45.0, 6.0, 46.0])));
    }
}
