//! Ids by content: the same thing has the same id, whoever brings it and how often.

use serde_json::Value;
use sha2::{Digest, Sha256};
use skysense_address::unsigned_text;

/// SHA-256 over parts that cannot run into each other, in hex, cut to 32 digits: 128 bits.
pub(crate) fn id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())[..32].to_owned()
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of JSON in which nothing that changes without meaning is left: keys sorted, addresses without signatures.
pub(crate) fn content(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Object(fields) => {
                let mut names: Vec<&String> = fields.keys().collect();
                names.sort();
                names
                    .into_iter()
                    .map(|name| (name.clone(), sorted(&fields[name])))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
            Value::String(text) if text.contains("://") => unsigned_text(text).into(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_ne!(id(&["a", ""]), id(&["a"]));
        assert_eq!(id(&["a", "b"]), id(&["a", "b"]));
        assert_eq!(id(&[]).len(), 32);
    }

    #[test]
    fn content_is_the_same_whatever_the_order_and_the_signature() {
        let one = json!({"b": 1, "a": {"href": "https://h/x.tif?sig=ABC&se=2"}});
        let other = json!({"a": {"href": "https://h/x.tif?sig=DEF&se=3"}, "b": 1});
        assert_eq!(content(&one), content(&other));
        assert_ne!(content(&one), content(&json!({"b": 2, "a": {"href": "https://h/x.tif"}})));
    }
}
