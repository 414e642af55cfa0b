//! What a violation of a JSON Schema means to the author of a workflow.

use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value as Json;

use super::suggest;

/// One violation in words. `{type}` and `{setting}` in the message stand for the node type and the path of
/// the setting, which only the caller knows.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) code: &'static str,
    /// JSON Pointer of the value.
    pub(super) pointer: String,
    /// Key of that value that is meant, if it is about a key.
    pub(super) key: Option<String>,
    pub(super) message: String,
    pub(super) expected: Option<String>,
    pub(super) hint: Option<String>,
    /// Whether the value itself tells something.
    pub(super) shows_value: bool,
    /// Whether it may come from something deeper inside the value.
    pub(super) alternatives: bool,
}

/// The violations behind one error: of alternatives only the nearest is reported.
pub(super) fn violations(error: &ValidationError<'_>, schema: &Json) -> Vec<Violation> {
    let pointer = error.instance_path().as_str().to_owned();
    let value = error.instance().as_ref();
    let setting = if pointer.is_empty() { "the settings of `{type}`" } else { "`{setting}`" };
    let base = Violation {
        code: "setting",
        pointer: pointer.clone(),
        key: None,
        message: String::new(),
        expected: None,
        hint: None,
        shows_value: true,
        alternatives: false,
    };
    let simple = |message: String, expected: String| Violation { message, expected: Some(expected), ..base.clone() };
    let one = match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = siblings(error, schema);
            let holder = if pointer.is_empty() { "`{type}`" } else { "`{setting}`" };
            let unknown = |name: &String| Violation {
                code: "unknown-setting",
                key: Some(name.clone()),
                message: format!("{holder} has no setting `{name}`"),
                expected: Some(suggest::listed(known.iter().map(String::as_str))),
                hint: suggest::did_you_mean(name, known.iter().map(String::as_str)),
                shows_value: false,
                ..base.clone()
            };
            return unexpected.iter().map(unknown).collect();
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let field = parent(error, schema).and_then(|parent| parent.get("properties")?.get(name));
            let doc = field.and_then(|field| field.get("description")?.as_str());
            Violation {
                code: "missing-setting",
                message: format!("{setting} need{} `{name}`", if pointer.is_empty() { "" } else { "s" }),
                expected: doc.and_then(|doc| doc.lines().next()).map(|doc| format!("`{name}`: {doc}")),
                shows_value: false,
                ..base
            }
        }
        Kind::Type { kind } => {
            let mut one = simple(format!("{setting} has the wrong type"), types(kind));
            one.code = "type";
            one.hint = type_hint(kind, value);
            one
        }
        Kind::Enum { options } => {
            choice(base, setting, options.as_array().into_iter().flatten().cloned().collect(), value)
        }
        Kind::Constant { expected_value } => choice(base, setting, vec![expected_value.as_ref().clone()], value),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            return alternatives(context, schema, (base, setting, value));
        }
        Kind::Minimum { limit } => simple(format!("{setting} is too small"), format!("at least {limit}")),
        Kind::Maximum { limit } => simple(format!("{setting} is too large"), format!("at most {limit}")),
        Kind::ExclusiveMinimum { limit } => simple(format!("{setting} is too small"), format!("more than {limit}")),
        Kind::ExclusiveMaximum { limit } => simple(format!("{setting} is too large"), format!("less than {limit}")),
        Kind::MultipleOf { multiple_of } => {
            simple(format!("{setting} is off the steps"), format!("a multiple of {multiple_of}"))
        }
        Kind::MinItems { limit } => simple(format!("{setting} is too short"), format!("at least {limit} entries")),
        Kind::MaxItems { limit } => simple(format!("{setting} is too long"), format!("at most {limit} entries")),
        Kind::UniqueItems => simple(format!("{setting} names something twice"), "each entry once".to_owned()),
        Kind::MinLength { limit } => simple(format!("{setting} is too short"), format!("at least {limit} characters")),
        Kind::MaxLength { limit } => simple(format!("{setting} is too long"), format!("at most {limit} characters")),
        Kind::Pattern { pattern } => {
            // What people can read is in the setting's own words; a pattern is for editors.
            let doc = parent(error, schema).and_then(|field| field.get("description")?.as_str());
            let expected = doc.map_or_else(|| format!("text like `{pattern}`"), |doc| doc.replace('\n', " "));
            simple(format!("{setting} is not written as it should be"), expected)
        }
        // Whatever else a schema may ask: its own words, with the value cut out since it may be a secret.
        _ => Violation { message: format!("{setting} does not fit: {}", error.masked()), alternatives: true, ..base },
    };
    vec![one]
}

/// A value that is not among those allowed.
fn choice(base: Violation, setting: &str, options: Vec<Json>, value: &Json) -> Violation {
    let words: Vec<String> =
        options.iter().map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned)).collect();
    let hint = value.as_str().and_then(|text| suggest::did_you_mean(text, words.iter().map(String::as_str)));
    let expected = suggest::listed(words.iter().map(String::as_str));
    let expected = if words.len() > 1 { format!("one of {expected}") } else { expected };
    Violation {
        code: "value",
        message: format!("{setting} has a value that is not known"),
        expected: Some(expected),
        hint,
        ..base
    }
}

/// The most telling of several failed branches.
fn alternatives(
    context: &[Vec<ValidationError<'static>>],
    schema: &Json,
    (base, setting, value): (Violation, &str, &Json),
) -> Vec<Violation> {
    // Words that any branch would have taken: how serde's enums look in a schema.
    let mut words = Vec::new();
    for error in context.iter().flatten().filter(|error| error.instance_path().as_str() == base.pointer) {
        match error.kind() {
            Kind::Enum { options } => words.extend(options.as_array().into_iter().flatten().cloned()),
            Kind::Constant { expected_value } => words.push(expected_value.as_ref().clone()),
            _ => {}
        }
    }
    // A branch of another type altogether was not meant; one that fails deeper inside was.
    let wrong_type = |errors: &&Vec<ValidationError<'static>>| {
        errors
            .iter()
            .any(|error| matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == base.pointer)
    };
    let meant: Vec<_> = context.iter().filter(|errors| !wrong_type(errors)).collect();
    if !words.is_empty() && value.is_string() {
        return vec![choice(base, setting, words, value)];
    }
    let best = meant.iter().min_by_key(|errors| errors.len());
    if let Some(best) = best {
        return best.iter().flat_map(|error| violations(error, schema)).collect();
    }
    let mut expected: Vec<String> = Vec::new();
    let mut hint = None;
    for error in context.iter().flatten() {
        if let Kind::Type { kind } = error.kind() {
            let words = types(kind);
            hint = hint.or_else(|| type_hint(kind, value));
            if !expected.contains(&words) && words != "nothing" {
                expected.push(words);
            }
        }
    }
    vec![Violation {
        code: "type",
        message: format!("{setting} has the wrong type"),
        expected: Some(expected.join(", or ")).filter(|expected| !expected.is_empty()),
        hint,
        alternatives: true,
        ..base
    }]
}

/// The schema that holds the keyword that failed.
fn parent<'s>(error: &ValidationError<'_>, schema: &'s Json) -> Option<&'s Json> {
    let path = error.schema_path().as_str();
    schema.pointer(&path[..path.rfind('/')?])
}

/// Names that the schema knows where an unknown one was found.
fn siblings(error: &ValidationError<'_>, schema: &Json) -> Vec<String> {
    let known = parent(error, schema).and_then(|parent| parent.get("properties")?.as_object());
    known.map(|known| known.keys().cloned().collect()).unwrap_or_default()
}

fn types(kind: &TypeKind) -> String {
    let words = |one: JsonType| match one {
        JsonType::Array => "a list",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "text",
    };
    match kind {
        TypeKind::Single(one) => words(*one).to_owned(),
        TypeKind::Multiple(many) => {
            let all: Vec<&str> = many.iter().map(words).filter(|words| *words != "nothing").collect();
            all.join(" or ")
        }
    }
}

/// What to do about the commonest slips of type.
fn type_hint(kind: &TypeKind, value: &Json) -> Option<String> {
    let wants = |one: JsonType| match kind {
        TypeKind::Single(single) => *single == one,
        TypeKind::Multiple(many) => many.contains(one),
    };
    match value {
        Json::String(text) if (wants(JsonType::Number) || wants(JsonType::Integer)) && text.parse::<f64>().is_ok() => {
            Some("drop the quotes".to_owned())
        }
        Json::String(text) if wants(JsonType::Boolean) => match text.to_lowercase().as_str() {
            "yes" | "on" | "y" => Some("write `true`: YAML 1.2 reads `yes` and `on` as text".to_owned()),
            "no" | "off" | "n" => Some("write `false`: YAML 1.2 reads `no` and `off` as text".to_owned()),
            "true" | "false" => Some("drop the quotes".to_owned()),
            _ => None,
        },
        Json::Number(_) | Json::Bool(_) if wants(JsonType::String) => Some(format!("put it in quotes: \"{value}\"")),
        Json::Array(_) | Json::Object(_) => None,
        _ if wants(JsonType::Array) => Some("write a list: `[a]`".to_owned()),
        _ => None,
    }
}
