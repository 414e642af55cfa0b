//! docs/NODES.md, and what `skysense nodes NAME` prints.

use std::fmt::Write;

use serde_json::Value;
use skysense_engine::{NodeType, NodeTypes};

use super::GENERATED;

/// The whole page.
pub(super) fn page(types: &NodeTypes) -> String {
    let mut text = format!("{GENERATED}\n\n# Nodes\n\n");
    text.push_str("What `uses` may name in a workflow; docs/WORKFLOWS.md is the guide.\n\n");
    text.push_str("| node | reads | gives | what it does |\n| --- | --- | --- | --- |\n");
    for kind in types.iter() {
        let reads: Vec<String> = kind.inputs.iter().map(|port| kinds(&port.kinds)).collect();
        let anchor = kind.name.replace('.', "");
        let reads = if reads.is_empty() { "–".to_owned() } else { reads.join(", ") };
        let _ = writeln!(text, "| [{}](#{anchor}) | {reads} | {} | {} |", kind.name, kind.output, kind.summary);
    }
    for kind in types.iter() {
        text.push('\n');
        text.push_str(&node_page(kind, 2));
    }
    text
}

/// One node in Markdown, its title at a level.
pub(crate) fn node_page(kind: &NodeType, level: usize) -> String {
    let (title, part) = ("#".repeat(level), "#".repeat(level + 1));
    let mut text = format!("{title} {}\n\n{}.\n", kind.name, kind.summary.trim_end_matches('.'));
    let doc = shifted(kind.doc.trim(), level);
    if !doc.is_empty() {
        let _ = write!(text, "\n{doc}\n");
    }
    let _ = write!(text, "\n{part} Edges\n\n| port | kind | |\n| --- | --- | --- |\n");
    for port in &kind.inputs {
        let optional = if port.optional { "may stay open; " } else { "" };
        let _ = writeln!(text, "| in: {} | {} | {optional}{} |", port.name, kinds(&port.kinds), port.doc);
    }
    let pure = if kind.pure { "equal inputs give equal outputs" } else { "looks at, or changes, the world outside" };
    let _ = writeln!(text, "| out | {} | {pure} |", kind.output);
    let _ = write!(text, "\n{part} Settings\n\n");
    match kind.settings.get("properties").and_then(Value::as_object).filter(|fields| !fields.is_empty()) {
        None => text.push_str("None.\n"),
        Some(_) => {
            text.push_str("| setting | type | default | |\n| --- | --- | --- | --- |\n");
            rows(&mut text, "", &kind.settings, &kind.settings);
        }
    }
    if !kind.example.trim().is_empty() {
        let _ = write!(text, "\n{part} Example\n\n```yaml\n{}\n```\n", kind.example.trim());
    }
    text
}

/// One row for each setting, and below it one for each setting inside.
fn rows(text: &mut String, path: &str, schema: &Value, root: &Value) {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let default = match field.get("default") {
            _ if required.contains(&name.as_str()) => "needed".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let target = resolved(field, root);
        let doc = field.get("description").or(target.get("description")).and_then(Value::as_str).unwrap_or_default();
        let line = |text: &str| text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ");
        let _ =
            writeln!(text, "| `{path}{name}` | {} | {} | {} |", line(&words(field, root)), line(&default), line(doc));
        // Settings that hold themselves would go on for ever.
        if path.matches('.').count() < 3 {
            rows(text, &format!("{path}{name}."), target, root);
        }
    }
}

/// The schema that a reference leads to; of an optional setting, that of its value.
fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..8 {
        let target =
            schema.get("$ref").and_then(Value::as_str).and_then(|target| root.pointer(target.strip_prefix('#')?));
        let only = || {
            let all = schema.get("anyOf").or(schema.get("allOf"))?.as_array()?;
            let mut values = all.iter().filter(|one| one.get("type") != Some(&Value::from("null")));
            values.next().filter(|_| values.next().is_none())
        };
        match target.or_else(only) {
            Some(target) => schema = target,
            None => return schema,
        }
    }
    schema
}

/// What values a schema takes, in words.
fn words(schema: &Value, root: &Value) -> String {
    let schema = resolved(schema, root);
    let list =
        |values: &[Value]| values.iter().map(|value| format!("`{}`", plain(value))).collect::<Vec<_>>().join(", ");
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return list(values);
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", plain(value));
    }
    if let Some(branches) = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array) {
        let words: Vec<String> =
            branches.iter().map(|branch| words(branch, root)).filter(|word| word != "nothing").collect();
        let short = words.iter().all(|word| word.starts_with('`'));
        return words.join(if short { ", " } else { " or " });
    }
    let bounds = || {
        let bound = |key: &str| schema.get(key).map(ToString::to_string);
        match (bound("minimum").or(bound("exclusiveMinimum").map(|low| format!("above {low}"))), bound("maximum")) {
            (Some(low), Some(high)) => format!(", {low} to {high}"),
            (Some(low), None) if low.starts_with("above") => format!(", {low}"),
            (Some(low), None) => format!(", from {low}"),
            (None, Some(high)) => format!(", up to {high}"),
            (None, None) => String::new(),
        }
    };
    let one = |name: &str| match name {
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some("path") => "path".to_owned(),
            Some("uri-reference" | "uri") => "path or URL".to_owned(),
            _ => "text".to_owned(),
        },
        "integer" => format!("whole number{}", bounds()),
        "number" => format!("number{}", bounds()),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", words(items, root)),
            None => "list".to_owned(),
        },
        "object" => match schema.get("additionalProperties").filter(|value| value.is_object()) {
            Some(values) => format!("map of {}", words(values, root)),
            None => "map".to_owned(),
        },
        "null" => "nothing".to_owned(),
        other => other.to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(name)) => one(name),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn kinds(kinds: &[String]) -> String {
    if kinds.is_empty() { "any".to_owned() } else { kinds.join(" or ") }
}

/// Markdown whose titles stand one level below the page's.
fn shifted(doc: &str, level: usize) -> String {
    let top = doc
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.len() - line.trim_start_matches('#').len())
        .min();
    let Some(top) = top else { return doc.to_owned() };
    let shift = |line: &str| match line.strip_prefix(&"#".repeat(top)) {
        Some(rest) => format!("{}{rest}", "#".repeat(level + 1)),
        None => line.to_owned(),
    };
    doc.lines().map(shift).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_says_what_the_node_declares() {
        let kind: NodeType = serde_json::from_value(json!({
            "name": "demo.cut", "summary": "Cuts", "doc": "Long text.\n\n## Limits\nNone.", "output": "chip",
            "example": "cut: {uses: demo.cut, from: scenes}",
            "inputs": [{"name": "items", "kinds": ["item"], "optional": false, "doc": "what to cut"}],
            "settings": {
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 4, "maximum": 8, "description": "Pixels\nof a side."},
                    "mask": {"$ref": "#/$defs/Mask", "default": "clouds"},
                    "dates": {"anyOf": [{"$ref": "#/$defs/Dates"}, {"type": "null"}]},
                },
                "$defs": {
                    "Mask": {"oneOf": [{"const": "clouds"}, {"const": "none"}]},
                    "Dates": {"type": "object", "properties": {"max": {"type": ["integer", "null"], "minimum": 1}}},
                },
            },
        }))
        .expect("a node type");
        let expected = "\
# demo.cut

Cuts.

Long text.

## Limits
None.

## Edges

| port | kind | |
| --- | --- | --- |
| in: items | item | what to cut |
| out | chip | looks at, or changes, the world outside |

## Settings

| setting | type | default | |
| --- | --- | --- | --- |
| `size` | whole number, 4 to 8 | needed | Pixels of a side. |
| `mask` | `clouds`, `none` | `\"clouds\"` |  |
| `dates` | map |  |  |
| `dates.max` | whole number, from 1 |  |  |

## Example

```yaml
cut: {uses: demo.cut, from: scenes}
```
";
        assert_eq!(node_page(&kind, 1), expected);
    }
}
