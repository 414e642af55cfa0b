//! Node types for tests of the spec: two sources, a node between, one with two ports, and a sink.

use serde_json::{Value, json};
use skysense_engine::{NodeType, NodeTypes};

/// All of them.
pub(crate) fn types() -> NodeTypes {
    let all = json!([
        {
            "name": "stac.search", "summary": "Finds items", "output": "item", "plugin": "test",
            "settings": {
                "type": "object",
                "additionalProperties": false,
                "required": ["href"],
                "properties": {
                    "href": {"type": "string", "format": "uri-reference", "description": "The catalog."},
                    "collections": {"type": "array", "items": {"type": "string"}},
                    "datetime": {"type": ["string", "null"]},
                    "limit": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, {"type": "null"}]},
                    "token": {"type": "string"},
                    "sensors": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        },
        {
            "name": "raster.chips", "summary": "Cuts chips", "output": "chip", "plugin": "test",
            "inputs": [{"name": "items", "kinds": ["item"]}],
            "settings": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "resolution": {"type": "number", "exclusiveMinimum": 0},
                    "size": {"type": "integer", "minimum": 1},
                    "overlap": {"type": "integer", "minimum": 0},
                    "pad": {"type": "boolean"},
                    "mask": {"$ref": "#/$defs/Mask"},
                    "dates": {"$ref": "#/$defs/Dates"},
                },
                "$defs": {
                    "Mask": {"oneOf": [
                        {"type": "string", "const": "clouds", "description": "Clouds and shadows."},
                        {"type": "string", "const": "none", "description": "Nothing."},
                    ]},
                    "Dates": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {"max": {"type": "integer"}, "prefer": {"enum": ["clear", "recent"]}},
                    },
                },
            },
        },
        {
            "name": "skysense.segment", "summary": "Predicts classes", "output": "prediction", "plugin": "test",
            "inputs": [
                {"name": "chips", "kinds": ["chip"]},
                {"name": "model", "kinds": ["model"], "optional": true},
            ],
            "settings": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"model": {"type": "string", "format": "path"}, "batch": {"type": "integer"}},
            },
        },
        {
            "name": "stac.write", "summary": "Writes COGs and items", "output": "raster", "plugin": "test",
            "inputs": [{"name": "predictions", "kinds": ["prediction", "feature"]}],
            "settings": {
                "type": "object",
                "additionalProperties": false,
                "required": ["href", "collection"],
                "properties": {
                    "href": {"type": "string", "format": "uri-reference"},
                    "collection": {"type": "string"},
                },
            },
        },
    ]);
    let all: Vec<NodeType> = match all {
        Value::Array(all) => all.into_iter().map(|one| serde_json::from_value(one).expect("a node type")).collect(),
        other => unreachable!("the list above is {other}"),
    };
    all.into_iter().collect()
}
