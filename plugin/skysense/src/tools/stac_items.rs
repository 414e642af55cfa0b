//! `stac.items`: the items behind a link, as GeoJSON.

use serde::Serialize;
use serde_json::Value;
use skysense_abi::{Fault, Host, NodeError, Tool};
use skysense_catalog::Skipped;

use crate::credentials;
use crate::nodes::stac_search::{Settings, found};

/// What was found: a GeoJSON feature collection.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The items as published, their hrefs absolute.
    features: Vec<Value>,
    /// Items and documents that could not be used.
    skipped: Vec<Skipped>,
}

/// The tool.
pub(crate) struct StacItems;

impl Tool for StacItems {
    const NAME: &'static str = "stac.items";
    const SUMMARY: &'static str =
        "Finds items in a STAC catalog or API, as `stac.search` does, and gives them as GeoJSON";
    type Arguments = Settings;
    type Answer = Answer;

    fn call(arguments: Settings, host: &Host) -> Result<Answer, NodeError> {
        let outcome = found(&arguments, host).map_err(together)?;
        let feature = |item: &skysense_catalog::Item| {
            let mut value = Value::Object(item.value().clone());
            // What is shown names places, and not how one gets in there.
            credentials::cut(&mut value);
            value
        };
        let features = outcome.items.iter().map(feature).collect();
        Ok(Answer { kind: "FeatureCollection", features, skipped: outcome.skipped })
    }
}

/// All faults in one error: that of the first, the others beside it.
fn together(faults: Vec<Fault>) -> NodeError {
    let mut faults = faults.into_iter();
    let Some(first) = faults.next() else { return NodeError::new("search", "the search failed") };
    let mut error = NodeError::new(first.code, first.message);
    error.hint = first.hint;
    error.causes = first.causes;
    for other in faults {
        error.message.push_str("; ");
        error.message.push_str(&other.message);
    }
    error
}
