//! Workflows without what opens their addresses.

use serde_json::Value as Json;
use skysense_address::unsigned_text;

/// Cuts credentials out of every text of a tree.
pub(super) fn close(value: &mut Json) {
    match value {
        Json::String(text) => {
            if text.contains("://") {
                *text = unsigned_text(text);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(close),
        Json::Object(fields) => fields.values_mut().for_each(close),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_of_a_tree_is_closed() {
        let mut tree = json!({"a": [{"b": "http://u:p@h/"}], "n": 1});
        close(&mut tree);
        assert_eq!(tree, json!({"a": [{"b": "http://h/"}], "n": 1}));
    }
}
