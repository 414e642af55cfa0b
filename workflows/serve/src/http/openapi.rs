//! The API's description, made of the table of addresses.

use serde_json::{Map, Value, json};

use super::{
    Api,
    answer::{Answer, json_as},
    call::Call,
    routes::{EVENTS, ROUTES},
};

/// `GET /api/v1/openapi.json`
pub(crate) fn document(_: &Api, call: &Call) -> Answer {
    json_as("application/vnd.oai.openapi+json;version=3.1", &describe(&call.base))
}

fn describe(base: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut add = |path: &str, method: &str, summary: &str| {
        let parameters: Vec<Value> = names(path)
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .chain(queries(path, method))
            .collect();
        let mut operation = json!({
            "summary": summary,
            "operationId": format!("{method} {path}"),
            "parameters": parameters,
            "responses": {
                "200": {"description": "Done"},
                "default": {
                    "description": "Why not",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
            },
        });
        if let Some(body) = body(path, method) {
            operation["requestBody"] = json!({"content": {"application/json": {"schema": body}}});
        }
        let entry = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        entry[method] = operation;
    };
    for route in ROUTES {
        add(route.path, &route.method.as_str().to_ascii_lowercase(), route.summary);
    }
    add(EVENTS, "get", "Follow a run by server-sent events");
    json!({
        "openapi": "3.1.0",
        "info": {"title": "skysense serve", "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": base}],
        "paths": paths,
        "security": [{}, {"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": {"type": "object", "properties": {
                "title": {"type": "string"}, "status": {"type": "integer"}, "description": {"type": "string"},
            }}},
        },
    })
}

/// Names of the parts of a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What may stand in a query.
fn queries(path: &str, method: &str) -> Vec<Value> {
    let names: &[(&str, &str)] = match (path, method) {
        ("/api/v1/runs", "get") => {
            &[("workflow", "string"), ("state", "string"), ("before", "integer"), ("limit", "integer")]
        }
        ("/stac/search" | "/stac/collections/{collection}/items", "get") => &[
            ("limit", "integer"),
            ("bbox", "string"),
            ("datetime", "string"),
            ("ids", "string"),
            ("collections", "string"),
            ("intersects", "string"),
            ("filter", "string"),
            ("filter-lang", "string"),
            ("token", "string"),
        ],
        _ => &[],
    };
    names.iter().map(|(name, kind)| json!({"name": name, "in": "query", "schema": {"type": kind}})).collect()
}

/// What a body holds.
fn body(path: &str, method: &str) -> Option<Value> {
    if method != "post" {
        return None;
    }
    Some(match path {
        "/api/v1/workflows/{workflow}/runs" => json!({"type": "object", "additionalProperties": false, "properties": {
            "params": {"type": "object", "description": "Values of params by name"},
            "key": {"type": "string", "description": "The same key with the same params is the same run"},
            "priority": {"type": "integer"},
        }}),
        "/api/v1/workflows/{workflow}/triggers/{trigger}/backfill" => json!({
            "type": "object", "required": ["period"], "properties": {"period": {"type": "string"}},
        }),
        "/ogc/processes/{process}/execution" => json!({
            "type": "object", "properties": {"inputs": {"type": "object"}},
        }),
        _ => json!({"type": "object"}),
    })
}
