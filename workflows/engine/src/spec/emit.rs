//! Scalars and one-line values in canonical YAML.

use super::{
    scalar,
    yaml::{Value, Yaml},
};

/// A value on one line. `flow` says that it stands inside brackets, where more signs have a meaning.
pub(super) fn one_line(yaml: &Yaml, flow: bool) -> String {
    match &yaml.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(value) => text(value, flow),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| one_line(item, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let pair = |key: &str, value: &Yaml| format!("{}: {}", text(key, true), one_line(value, true));
            let entries: Vec<String> = entries.iter().map(|entry| pair(&entry.key.name, &entry.value)).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A text, in quotes where it would be read as something else without.
pub(super) fn text(text: &str, flow: bool) -> String {
    // JSON's escapes are a part of YAML's; control characters beyond them come out as `\u….`.
    if is_plain(text, flow) { text.to_owned() } else { serde_json::Value::String(text.to_owned()).to_string() }
}

fn is_plain(text: &str, flow: bool) -> bool {
    let old_boolean = ["yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    // `12:30` is a number to the base of 60 for readers of YAML 1.1.
    let sexagesimal =
        text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | '-' | '+'));
    scalar::is_plain_text(text)
        && !old_boolean
        && !sexagesimal
        && text.trim() == text
        && !text.starts_with(|c: char| "-?:,[]{}#&*!|>'\"%@`=<~".contains(c))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.chars().any(char::is_control)
        && !text.contains(['\u{feff}', '\u{2028}', '\u{2029}'])
        && !(flow && text.contains([',', '[', ']', '{', '}']))
}

/// Whether a text can stand as a literal block, line for line.
pub(super) fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && body.lines().all(|line| line.trim_end() == line && !line.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_where_they_are_needed() {
        for plain in
            ["crop map", "data/catalog.json", "2021-03-01/2021-10-31", "$model", "a:b", "15m", "33TWM", "${env:HOME}"]
        {
            assert_eq!(text(plain, false), plain);
        }
        for quoted in [
            "", "yes", "On", "12", "1e3", "true", "null", "-x", "a: b", "a #b", " a", "12:30", "a:", "#a", "'", "*x",
            "012",
        ] {
            assert_eq!(text(quoted, false), format!("\"{quoted}\""));
        }
        assert_eq!(text("${env:HOME}", true), "\"${env:HOME}\"");
        assert_eq!(text("a\tb\"", false), "\"a\\tb\\\"\"");
    }
}
