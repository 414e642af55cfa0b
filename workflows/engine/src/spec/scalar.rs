//! What a plain YAML scalar means: the core schema of YAML 1.2, with the traps of 1.1 named.

use serde_json::Number;

use super::yaml::Value;

/// The value of an unquoted scalar.
///
/// # Errors
/// The text means different things in YAML 1.1 and 1.2, or has no counterpart in JSON; the error says
/// what is wrong and how to write it.
pub(super) fn resolve(text: &str) -> Result<Value, (String, String)> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        let message = format!("`{text}` is not a finite number");
        return Err((message, "leave the setting out if there is no limit".to_owned()));
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            let message = format!("`{text}` has a leading zero, which some YAML readers take as octal");
            return Err((message, format!("write \"{text}\" for text, or drop the zero for a number")));
        }
        return integer(text.strip_prefix('+').unwrap_or(text), 10).map(Value::Number);
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(rest) = text.strip_prefix(prefix)
            && !rest.is_empty()
            && rest.chars().all(|digit| digit.is_digit(radix))
        {
            return integer(rest, radix).map(Value::Number);
        }
    }
    if is_float(unsigned) {
        let number = text.strip_prefix('+').unwrap_or(text).parse::<f64>().ok().and_then(Number::from_f64);
        return number.map(Value::Number).ok_or_else(|| {
            (format!("`{text}` is too large for a number"), "write it in quotes if it is text".to_owned())
        });
    }
    Ok(Value::Text(text.to_owned()))
}

/// Whether an unquoted text would be read back as this very text.
pub(super) fn is_plain_text(text: &str) -> bool {
    matches!(resolve(text), Ok(Value::Text(_)))
}

fn integer(digits: &str, radix: u32) -> Result<Number, (String, String)> {
    i64::from_str_radix(digits, radix)
        .map(Number::from)
        .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from))
        .map_err(|_| (format!("`{digits}` is too large for an integer"), "write it in quotes if it is text".to_owned()))
}

/// `[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?` or `\.[0-9]+…`: what `f64` parses, less the words it also knows.
fn is_float(unsigned: &str) -> bool {
    let starts = unsigned.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    starts
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && unsigned.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_schema() {
        let number = |text: &str| Value::Number(text.parse().expect("a JSON number"));
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("true", Value::Bool(true)),
            ("12", number("12")),
            ("+12", number("12")),
            ("-3", number("-3")),
            ("0x1F", number("31")),
            ("0o17", number("15")),
            ("1.5", number("1.5")),
            ("-1e3", number("-1000.0")),
            (".5", number("0.5")),
            ("18446744073709551615", number("18446744073709551615")),
        ] {
            assert_eq!(resolve(text), Ok(value), "{text}");
        }
        // YAML 1.1 would read these as booleans, sexagesimals, numbers or dates.
        for text in
            ["yes", "no", "on", "off", "12:30:00", "1_000", "2021-03-01", "1.2.3", "infinity", "nan", "1e", "33TWM"]
        {
            assert_eq!(resolve(text), Ok(Value::Text(text.to_owned())), "{text}");
        }
        for text in ["012", "-007", ".inf", "-.Inf", ".nan", "99999999999999999999", "1e999"] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
