//! The `with` of a node against the JSON Schema that its plugin declares.

use serde_json::Value as Json;

use super::{
    document::{NodeDecl, Reader},
    fault::Fault,
    node_type::NodeType,
    value::Filled,
    violation::{Violation, violations},
    yaml::Yaml,
};

/// Checks the settings of one node; notes every violation at the value, or the key, that it is about.
pub(super) fn check(node: &NodeDecl, kind: &NodeType, filled: &Filled, reader: &mut Reader<'_>) {
    let validator = match jsonschema::options().build(&kind.settings) {
        Ok(validator) => validator,
        Err(error) => {
            let noted =
                reader.note("plugin", format!("the settings of `{}` have no usable schema", kind.name), node.uses_span);
            let hint = format!("this is a fault of plugin `{}`: please report it there", kind.plugin);
            return noted.with(|fault| fault.node(&node.name.name).cause(error.masked()).hint(hint)).push(reader);
        }
    };
    for error in validator.iter_errors(&filled.value) {
        for violation in violations(&error, &kind.settings) {
            // What a param without a value would bring cannot be judged yet.
            let unknown = |open: &String| {
                open.starts_with(&violation.pointer) && violation.alternatives || below(&violation.pointer, open)
            };
            if reader.faults.is_full() {
                // Finding the places of a hundred thousand mistakes would take longer than mending the first ones.
                reader.faults.push(Fault::new("setting", ""));
            } else if !filled.open.iter().any(unknown) {
                note(node, kind, (&violation, &filled.public), reader);
            }
        }
    }
}

fn below(pointer: &str, open: &str) -> bool {
    pointer == open || pointer.strip_prefix(open).is_some_and(|rest| rest.starts_with('/'))
}

fn note(node: &NodeDecl, kind: &NodeType, (violation, public): (&Violation, &Json), reader: &mut Reader<'_>) {
    let at = nearest(&node.with, &violation.pointer);
    let here = if at.span == node.with.span && violation.pointer.is_empty() { node.uses_span } else { at.span };
    let span = match &violation.key {
        Some(key) => at.key_span(key).unwrap_or(here),
        None => here,
    };
    let label = violation.pointer.trim_start_matches('/').replace('/', ".");
    let message = violation.message.replace("{type}", &kind.name).replace("{setting}", &label);
    let pointer = match &violation.key {
        Some(key) => format!("{}/{}", violation.pointer, super::yaml::token(key)),
        None => violation.pointer.clone(),
    };
    // Shown from the public view, because the value itself may be a secret.
    let found = violation.shows_value.then(|| public.pointer(&violation.pointer)).flatten();
    reader
        .note(violation.code, message, span)
        .with(|mut fault| {
            fault = fault.node(&node.name.name).pointer(pointer).hint_if(violation.hint.as_ref());
            fault.expected = violation.expected.clone();
            match found {
                Some(found) => fault.found(shortened(found)),
                None => fault,
            }
        })
        .push(reader);
}

/// The value at a pointer, or the nearest one around it that the file holds.
fn nearest<'y>(with: &'y Yaml, pointer: &str) -> &'y Yaml {
    let mut pointer = pointer;
    loop {
        if let Some(found) = with.at(pointer) {
            return found;
        }
        pointer = pointer.rfind('/').map_or("", |cut| &pointer[..cut]);
    }
}

fn shortened(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
