//! What a file declares of its params and where they go, for whoever makes a form of it.

use super::{
    document::Document,
    param::{ParamDecl, to_json},
    resolved::{DeclaredParam, FilledSetting},
    yaml::{Value, Yaml, token},
};

/// The params of a file in its order, each with the settings that it fills.
pub(super) fn params(document: &Document) -> Vec<DeclaredParam> {
    document.params.iter().map(|param| declared(param, document)).collect()
}

fn declared(param: &ParamDecl, document: &Document) -> DeclaredParam {
    let reference = format!("${}", param.name.name);
    let mut fills = Vec::new();
    for node in &document.nodes {
        let mut pointers = Vec::new();
        find(&node.with, &reference, "", &mut pointers);
        let filled = |pointer| FilledSetting { node: node.name.name.clone(), uses: node.uses.clone(), pointer };
        fills.extend(pointers.into_iter().map(filled));
    }
    DeclaredParam {
        name: param.name.name.clone(),
        kind: param.kind,
        default: param.default.as_ref().map(to_json).unwrap_or_default(),
        doc: param.doc.clone().unwrap_or_default(),
        min: param.min,
        max: param.max,
        values: param.values.clone(),
        fills,
    }
}

/// The places of a reference, as JSON Pointers.
fn find(yaml: &Yaml, reference: &str, pointer: &str, found: &mut Vec<String>) {
    match &yaml.value {
        Value::Text(text) if text == reference => found.push(pointer.to_owned()),
        Value::List(items) => {
            for (position, item) in items.iter().enumerate() {
                find(item, reference, &format!("{pointer}/{position}"), found);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                find(&entry.value, reference, &format!("{pointer}/{}", token(&entry.key.name)), found);
            }
        }
        _ => {}
    }
}
