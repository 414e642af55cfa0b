//! The canonical form in JSON, and the hash that is a workflow's identity in provenance.
//!
//! Whatever changes the result is part of it: node names, types, edges and settings, with params filled in.
//! Whatever does not is left out: comments, docs, the order of keys and nodes, triggers, settings that only say
//! how the work is done (batch, threads, device), users, passwords and signatures in addresses, and where local
//! files lie on this machine (a param of type `path`, `model`, or `uri` with a local path stands there by
//! its name). So the same workflow has the same hash on a laptop and on a cluster.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::resolved::Edge;

/// The word by which a schema says that a setting changes no pixel.
const EXECUTION: &str = "x-skysense-execution";

/// One node in the canonical form.
pub(super) fn node(uses: &str, inputs: &[Edge], with: Json) -> Json {
    let from: serde_json::Map<String, Json> = inputs.iter().map(|edge| (edge.port.clone(), json!(edge.from))).collect();
    json!({"uses": uses, "from": from, "with": with})
}

/// Takes out the settings that the node's schema marks with `x-skysense-execution`: they change no pixel.
pub(super) fn drop_execution(with: &mut Json, schema: &Json) {
    let (Some(with), Some(properties)) = (with.as_object_mut(), schema["properties"].as_object()) else { return };
    with.retain(|name, _| properties.get(name).is_none_or(|property| property[EXECUTION] != true));
}

/// The whole workflow, its keys sorted at every depth.
pub(super) fn workflow(nodes: impl IntoIterator<Item = (String, Json)>) -> Json {
    let nodes: serde_json::Map<String, Json> = nodes.into_iter().collect();
    sorted(json!({"skysense": 1, "nodes": nodes}))
}

/// SHA-256 of the compact text of a canonical form, in lower-case hex.
pub(super) fn hash(canonical: &Json) -> String {
    let digest = Sha256::digest(canonical.to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(value: Json) -> Json {
    match value {
        Json::Array(items) => items.into_iter().map(sorted).collect(),
        Json::Object(fields) => {
            let mut fields: Vec<(String, Json)> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(fields.into_iter().collect())
        }
        other => other,
    }
}
