//! What opens the files of a catalog: user and password of its address, signatures of its links.
//!
//! `stac.search` pins items without them, since rows of items are stored, shown and written into results. The
//! nodes that plan the reading of these items get them back here, and keep them in their plan's state, which the
//! engine shows to nobody. Planning happens in one process, so a table in memory is enough.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use skysense_address::unsigned;

/// Address without credentials → the same with them.
static KNOWN: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

fn known() -> MutexGuard<'static, HashMap<String, String>> {
    // A thread that panicked leaves a table that is whole: entries are added one by one.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts credentials out of every address of an item, and remembers them.
pub(crate) fn cut(value: &mut Value) {
    texts(value, &mut |text| {
        let open = unsigned(text);
        if open != *text {
            let whole = std::mem::replace(text, open.clone());
            known().insert(open, whole);
        }
    });
}

/// Gives the addresses of an item's assets back what [`cut`] took. What is only told keeps to its place.
pub(crate) fn restore(item: &mut Value) {
    if let Some(assets) = item.get_mut("assets") {
        texts(assets, &mut |text| {
            if let Some(whole) = known().get(text) {
                text.clone_from(whole);
            }
        });
    }
}

/// Visits the texts that hold an address.
fn texts(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) if text.contains("://") => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, visit)),
        Value::Object(fields) => fields.values_mut().for_each(|field| texts(field, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_is_pinned_without_credentials_and_read_with_them() {
        let whole = json!({
            "links": [{"rel": "self", "href": "https://u:geheim@credentials.test/a.json?token=geheim"}],
            "assets": {"B04": {
                "href": "https://u:geheim@credentials.test/B04.tif",
                "alternate": {"https": {"href": "https://credentials.test/B04-2.tif?v=1&sig=geheim"}},
            }, "B05": {"href": "https://credentials.test/B05.tif"}},
        });
        let mut item = whole.clone();
        cut(&mut item);
        assert!(!item.to_string().contains("geheim"), "{item}");
        assert_eq!(item["assets"]["B04"]["alternate"]["https"]["href"], "https://credentials.test/B04-2.tif?v=1");
        restore(&mut item);
        assert_eq!(item["assets"], whole["assets"]);
        assert_eq!(item["links"][0]["href"], "https://credentials.test/a.json");
    }
}
