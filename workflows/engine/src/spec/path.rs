//! Relative paths: those in the file start at the file's folder, those of `-p` where the user stands.

use std::path::{Component, Path, PathBuf};

use serde_json::Value as Json;

/// The absolute form of a path or an address. URLs, GDAL's `/vsi…` paths and absolute paths stay.
pub(super) fn absolute(text: &str, folder: &Path) -> String {
    if is_absolute(text) {
        return text.to_owned();
    }
    let mut path = PathBuf::from(folder);
    for component in Path::new(text).components() {
        match component {
            Component::CurDir => {}
            // Lexical, so that the path of a folder that a run will create can be resolved too.
            Component::ParentDir => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    let mut text_out = path.to_string_lossy().into_owned();
    // A trailing slash says "folder", also of one that is not there yet.
    if text.ends_with('/') && !text_out.ends_with('/') {
        text_out.push('/');
    }
    text_out
}

fn is_absolute(text: &str) -> bool {
    let scheme = text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    scheme || text.is_empty() || Path::new(text).is_absolute()
}

/// Makes the settings absolute that the node's schema marks with `format: path` or `format: uri-reference`.
pub(super) fn absolute_settings(value: &mut Json, schema: &Json, root: &Json, folder: &Path) {
    walk(value, schema, root, folder, 0);
}

fn walk(value: &mut Json, schema: &Json, root: &Json, folder: &Path, depth: usize) {
    // Schemas may refer to themselves; settings nest no deeper than the parser lets them.
    if depth > 128 {
        return;
    }
    let target = schema.get("$ref").and_then(Json::as_str).and_then(|text| text.strip_prefix('#'));
    if let Some(target) = target.and_then(|target| root.pointer(target)) {
        walk(value, target, root, folder, depth + 1);
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        for branch in schema.get(keyword).and_then(Json::as_array).into_iter().flatten() {
            walk(value, branch, root, folder, depth + 1);
        }
    }
    match value {
        Json::String(text) => {
            if matches!(schema.get("format").and_then(Json::as_str), Some("path" | "uri-reference")) {
                *text = absolute(text, folder);
            }
        }
        Json::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| walk(item, schema, root, folder, depth + 1));
            }
        }
        Json::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let known = schema.get("properties").and_then(|known| known.get(name));
                if let Some(schema) = known.or_else(|| schema.get("additionalProperties")) {
                    walk(field, schema, root, folder, depth + 1);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn relative_ones_start_at_the_folder_and_all_others_stay() {
        let folder = Path::new("/data/workflows");
        for (text, expected) in [
            ("catalog.json", "/data/workflows/catalog.json"),
            ("./out/", "/data/workflows/out/"),
            ("../a/b.tif", "/data/a/b.tif"),
            ("/abs/x", "/abs/x"),
            ("https://example.com/c.json", "https://example.com/c.json"),
            ("s3://bucket/key", "s3://bucket/key"),
            ("/vsimem/a.tif", "/vsimem/a.tif"),
            ("", ""),
        ] {
            assert_eq!(absolute(text, folder), expected);
        }
    }

    #[test]
    fn the_schema_says_which_settings_are_paths() {
        let schema = json!({
            "properties": {
                "href": {"type": "string", "format": "uri-reference"},
                "title": {"type": "string"},
                "allow": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
                "area": {"anyOf": [{"type": "null"}, {"type": "string", "format": "path"}]}
            },
            "$defs": {"Place": {"type": "string", "format": "path"}}
        });
        let mut value = json!({"href": "c.json", "title": "c.json", "allow": ["x", "/y"], "area": "a.geojson"});
        absolute_settings(&mut value, &schema, &schema, Path::new("/w"));
        assert_eq!(
            value,
            json!({"href": "/w/c.json", "title": "c.json", "allow": ["/w/x", "/y"], "area": "/w/a.geojson"})
        );
    }
}
