//! From results to STAC: an item for each, a collection around them, written whole or not at all.
//!
//! The same results give the same bytes: nothing here looks at a clock. A folder holds `collection.json`, and for each
//! item a folder of its name with `<item>.json` beside its files.

mod collection;
mod item;
mod record;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::record::{AssetRecord, BandRecord, ClassRecord, CollectionRecord, ItemRecord, ModelRecord, Statistics};
pub use self::write::{checksum, write_json};
use crate::{CatalogError, Result};

/// What happens to output that is already there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exists {
    /// It stays and the run ends with an error.
    #[default]
    Fail,
    /// It gives way.
    Replace,
    /// New items join it; an item of the same id is an error.
    Append,
}

/// Where published items lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The collection.
    pub collection: PathBuf,
    /// Items, in the order given.
    pub items: Vec<PathBuf>,
}

/// Where the item of this id lies in a folder of results; its assets belong beside it.
///
/// # Errors
/// An id that is no file name.
pub fn item_path(folder: &Path, id: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 200 || id.starts_with('.') || !id.chars().all(plain) {
        return Err(CatalogError::Publish {
            item: id.to_owned(),
            message: "the id must be a file name: letters, digits, `-`, `_` and `.`, not first a `.`".into(),
        });
    }
    Ok(folder.join(id).join(format!("{id}.json")))
}

/// Whether items of these ids could be published here; asked before a run computes anything.
///
/// # Errors
/// Output that is there and may not be touched.
pub fn check_target(folder: &Path, ids: &[&str], exists: Exists) -> Result<()> {
    let collection = folder.join("collection.json");
    if exists == Exists::Fail && collection.exists() {
        return Err(CatalogError::Exists { path: collection });
    }
    for id in ids {
        let path = item_path(folder, id)?;
        if exists != Exists::Replace && path.exists() {
            return Err(CatalogError::Exists { path });
        }
    }
    Ok(())
}

/// Writes items and their collection: items first, the collection that lists them last, each under a temporary name
/// and renamed.
///
/// # Errors
/// Output that may not be touched, a record that makes no sense, a file that cannot be read or written.
pub fn publish(folder: &Path, about: &CollectionRecord, records: &[ItemRecord], exists: Exists) -> Result<Published> {
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    check_target(folder, &ids, exists)?;
    let path = folder.join("collection.json");
    let old = match path.exists() {
        true => read(&path)?,
        false => Value::Null,
    };
    let mut items = Vec::new();
    for record in records {
        let path = item_path(folder, &record.id)?;
        items.push((path.clone(), item::item(record, about, &path)?));
    }
    for (path, value) in &items {
        write_json(path, value)?;
    }
    let mut listed: BTreeMap<String, Value> =
        items.iter().map(|(path, value)| (file_stem(path), value.clone())).collect();
    let before = collection::item_ids(&old);
    match exists {
        Exists::Append => {
            for id in before {
                let value = read(&item_path(folder, &id)?)?;
                listed.entry(id).or_insert(value);
            }
        }
        // Items that the old collection listed and the new one does not: their records would be found by walkers of folders.
        Exists::Replace | Exists::Fail => {
            for id in before.into_iter().filter(|id| !listed.contains_key(id)) {
                let path = item_path(folder, &id)?;
                if path.exists() {
                    std::fs::remove_file(&path).map_err(|source| CatalogError::Write { path, source })?;
                }
            }
        }
    }
    write_json(&path, &collection::collection(about, &listed)?)?;
    Ok(Published { collection: path, items: items.into_iter().map(|(path, _)| path).collect() })
}

fn file_stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(|source| CatalogError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|error| CatalogError::json(&path.to_string_lossy(), &error))
}
