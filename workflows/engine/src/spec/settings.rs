//! The `with` of a node against the JSON Schema that its plugin declares.

use serde_json::Value as Json;

use super::{
    document::{NodeDecl, Reader, TriggerDecl},
    fault::Fault,
    node_type::{NodeType, TriggerType},
    source::Span,
    value::Filled,
    violation::{Violation, violations},
    yaml::Yaml,
};

/// Whose settings are checked, and against what.
struct Subject<'a> {
    with: &'a Yaml,
    uses_span: Span,
    /// Name of the type, and its schema.
    kind: (&'a str, &'a Json),
    /// Who is to hear of a schema that is no use.
    brings: &'a str,
    /// Says in a fault which node or trigger it is about.
    mark: &'a dyn Fn(Fault) -> Fault,
}

/// Checks the settings of one node; notes every violation at the value, or the key, that it is about.
pub(super) fn check(node: &NodeDecl, kind: &NodeType, filled: &Filled, reader: &mut Reader<'_>) {
    let subject = Subject {
        with: &node.with,
        uses_span: node.uses_span,
        kind: (&kind.name, &kind.settings),
        brings: &kind.plugin,
        mark: &|fault| fault.node(&node.name.name),
    };
    check_subject(&subject, filled, reader);
}

/// Checks the settings of one trigger, as those of a node.
pub(super) fn check_trigger(trigger: &TriggerDecl, kind: &TriggerType, filled: &Filled, reader: &mut Reader<'_>) {
    let subject = Subject {
        with: &trigger.with,
        uses_span: trigger.uses_span,
        kind: (&kind.name, &kind.settings),
        brings: "skysense",
        mark: &|fault| fault.trigger(&trigger.name.name),
    };
    check_subject(&subject, filled, reader);
}

fn check_subject(subject: &Subject<'_>, filled: &Filled, reader: &mut Reader<'_>) {
    let (name, schema) = subject.kind;
    let validator = match jsonschema::options().build(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let noted =
                reader.note("plugin", format!("the settings of `{name}` have no usable schema"), subject.uses_span);
            let hint = format!("this is a fault of plugin `{}`: please report it there", subject.brings);
            return noted.with(|fault| (subject.mark)(fault).cause(error.masked()).hint(hint)).push(reader);
        }
    };
    for error in validator.iter_errors(&filled.value) {
        for violation in violations(&error, schema) {
            // What a param without a value would bring cannot be judged yet.
            let unknown = |open: &String| {
                open.starts_with(&violation.pointer) && violation.alternatives || below(&violation.pointer, open)
            };
            if reader.faults.is_full() {
                // Finding the places of a hundred thousand mistakes would take longer than mending the first ones.
                reader.faults.push(Fault::new("setting", ""));
            } else if !filled.open.iter().any(unknown) {
                note(subject, (&violation, &filled.public), reader);
            }
        }
    }
}

fn below(pointer: &str, open: &str) -> bool {
    pointer == open || pointer.strip_prefix(open).is_some_and(|rest| rest.starts_with('/'))
}

fn note(subject: &Subject<'_>, (violation, public): (&Violation, &Json), reader: &mut Reader<'_>) {
    let at = nearest(subject.with, &violation.pointer);
    let here = if at.span == subject.with.span && violation.pointer.is_empty() { subject.uses_span } else { at.span };
    let span = match &violation.key {
        Some(key) => at.key_span(key).unwrap_or(here),
        None => here,
    };
    let label = violation.pointer.trim_start_matches('/').replace('/', ".");
    let message = violation.message.replace("{type}", subject.kind.0).replace("{setting}", &label);
    let pointer = match &violation.key {
        Some(key) => format!("{}/{}", violation.pointer, super::yaml::token(key)),
        None => violation.pointer.clone(),
    };
    // Shown from the public view, because the value itself may be a secret.
    let found = violation.shows_value.then(|| public.pointer(&violation.pointer)).flatten();
    reader
        .note(violation.code, message, span)
        .with(|mut fault| {
            fault = (subject.mark)(fault).pointer(pointer).hint_if(violation.hint.as_ref());
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
