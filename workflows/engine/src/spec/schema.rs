//! The JSON Schema of a workflow file, which editors use to complete and to check while one types.

use serde_json::{Map, Value as Json, json};

use super::{
    node_type::{NodeType, NodeTypes, TriggerType},
    param::PARAM_TYPES,
};

impl NodeTypes {
    /// The schema of a workflow file with the settings of all node types.
    pub fn workflow_schema(&self) -> Json {
        let mut definitions = Map::new();
        definitions.insert("reference".to_owned(), reference());
        definitions.insert("param".to_owned(), param());
        definitions.insert("trigger".to_owned(), self.trigger_schema());
        for kind in self.iter() {
            settings(&kind.name, &kind.settings, &mut definitions);
        }
        for kind in self.triggers() {
            settings(&trigger_definition(&kind.name), &kind.settings, &mut definitions);
        }
        definitions.insert("node".to_owned(), self.node());
        let named = |target: &str| {
            json!({
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
                "additionalProperties": {"$ref": format!("#/$defs/{target}")},
            })
        };
        let mut nodes = named("node");
        nodes["description"] = json!("The nodes by name; their order does not matter.");
        nodes["minProperties"] = json!(1);
        let mut params = named("param");
        params["description"] = json!("What `-p name=value` sets, and `$name` refers to.");
        let mut triggers = named("trigger");
        triggers["description"] = json!("When the service runs this workflow.");
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "skysense workflow",
            "type": "object",
            "required": ["skysense", "nodes"],
            "additionalProperties": false,
            "properties": {
                "skysense": {"const": 1, "description": "The version of this format."},
                "name": {"type": "string", "description": "Name of the workflow."},
                "doc": {"type": "string", "description": "What it is for."},
                "params": params,
                "nodes": nodes,
                "triggers": triggers,
            },
            "$defs": definitions,
        })
    }

    fn trigger_schema(&self) -> Json {
        let docs = |kind: &TriggerType| json!({"const": kind.name, "description": kind.summary});
        let with = |kind: &TriggerType| {
            let target = format!("#/$defs/{}", trigger_definition(&kind.name).replace(' ', "%20"));
            json!({
                "if": {"required": ["uses"], "properties": {"uses": {"const": kind.name}}},
                "then": {"properties": {"with": {"$ref": target}}},
            })
        };
        let known: Vec<Json> = self.triggers().map(docs).collect();
        let uses = if known.is_empty() { json!({"type": "string"}) } else { json!({"oneOf": known}) };
        let mut schema = json!({
            "type": "object",
            "required": ["uses"],
            "additionalProperties": false,
            "properties": {
                "uses": uses,
                "with": {"type": ["object", "null"], "description": "Settings of the trigger."},
                "doc": {"type": "string", "description": "What the trigger is for."},
            },
            "allOf": self.triggers().map(with).chain([json!({})]).collect::<Vec<_>>(),
        });
        schema["properties"]["uses"]["description"] = json!("Type of the trigger.");
        schema
    }

    fn node(&self) -> Json {
        let docs = |kind: &NodeType| json!({"const": kind.name, "description": kind.summary});
        let with = |kind: &NodeType| {
            let target = format!("#/$defs/{}", kind.name);
            let mut then = json!({"properties": {"with": {"$ref": target}}});
            if kind.inputs.iter().any(|port| !port.optional) {
                then["required"] = json!(["from"]);
            }
            json!({
                "if": {"required": ["uses"], "properties": {"uses": {"const": kind.name}}},
                "then": then,
            })
        };
        json!({
            "type": "object",
            "required": ["uses"],
            "additionalProperties": false,
            "properties": {
                "uses": {"description": "Type of the node.", "oneOf": self.iter().map(docs).collect::<Vec<_>>()},
                "from": {
                    "description": "The node that is read, or one for each port.",
                    "oneOf": [
                        {"type": "string"},
                        {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
                    ],
                },
                "with": {"type": ["object", "null"], "description": "Settings of the node."},
                "doc": {"type": "string", "description": "What the node does here."},
            },
            "allOf": self.iter().map(with).collect::<Vec<_>>(),
        })
    }
}

fn reference() -> Json {
    json!({
        "type": "string",
        "pattern": r"^\$([A-Za-z][A-Za-z0-9_-]*|\{(env|secret):[A-Za-z0-9_-]+\})$",
        "description": "A param (`$name`), an environment variable (`${env:NAME}`) or a secret (`${secret:NAME}`).",
    })
}

fn param() -> Json {
    let types: Vec<&str> = PARAM_TYPES.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "required": ["type"],
        "additionalProperties": false,
        "properties": {
            "type": {"enum": types},
            "default": {"description": "The value where none is given; without it one must be given."},
            "doc": {"type": "string", "description": "What it is for."},
            "min": {"type": "number", "description": "Smallest number."},
            "max": {"type": "number", "description": "Largest number."},
            "values": {"type": "array", "minItems": 1, "description": "What an `enum` may be."},
        },
    })
}

/// Under what name the settings of a trigger stand among the definitions: nodes may have the same.
fn trigger_definition(name: &str) -> String {
    format!("trigger {name}")
}

/// Adds the schema of settings, and the definitions below it under their name.
fn settings(name: &str, schema: &Json, definitions: &mut Map<String, Json>) {
    let mut schema = schema.clone();
    let prefix = format!("#/$defs/{}/$defs/", name.replace(' ', "%20"));
    rename(&mut schema, &prefix);
    refer(&mut schema);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        fields.remove("title");
    }
    definitions.insert(name.to_owned(), schema);
}

/// References of the node's schema to its own definitions, seen from the root of the whole schema.
fn rename(schema: &mut Json, prefix: &str) {
    match schema {
        Json::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match value {
                    Json::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix("#/$defs/") {
                            *target = format!("{prefix}{name}");
                        }
                    }
                    value => rename(value, prefix),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| rename(item, prefix)),
        _ => {}
    }
}

/// Lets a reference stand wherever a setting may stand.
fn refer(schema: &mut Json) {
    let Some(fields) = schema.as_object_mut() else { return };
    for keyword in ["properties", "$defs"] {
        for child in fields.get_mut(keyword).and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut) {
            refer(child);
            if keyword == "properties" {
                or_reference(child);
            }
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = fields.get_mut(keyword).filter(|child| child.is_object()) {
            refer(child);
            or_reference(child);
        }
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        fields.get_mut(keyword).and_then(Json::as_array_mut).into_iter().flatten().for_each(refer);
    }
}

fn or_reference(schema: &mut Json) {
    let text =
        schema.get("type") == Some(&json!("string")) && schema.get("enum").is_none() && schema.get("pattern").is_none();
    if text {
        return;
    }
    let inner = schema.take();
    let mut outer = Map::new();
    // What editors show beside a setting has to stay in sight.
    for keyword in ["description", "default", "examples"] {
        if let Some(value) = inner.get(keyword) {
            outer.insert(keyword.to_owned(), value.clone());
        }
    }
    outer.insert("anyOf".to_owned(), json!([inner, {"$ref": "#/$defs/reference"}]));
    *schema = Json::Object(outer);
}
