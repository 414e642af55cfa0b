//! From results to STAC: an item for each, a collection around them, written whole or not at all.
//!
//! The same results give the same bytes: nothing here looks at a clock. A folder holds `collection.json`, and for each
//! item a folder of its name with `<item>.json` beside its files.

mod collection;
mod item;
mod record;
mod staging;
mod target;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::record::{AssetRecord, BandRecord, ClassRecord, CollectionRecord, ItemRecord, ModelRecord, Statistics};
use self::staging::Staging;
pub use self::target::Target;
pub use self::write::{checksum, write_json, write_whole};
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

/// Results on their way into a folder.
///
/// Files are made in hidden folders ([`Publishing::folder`]); [`Publishing::finish`] writes the item beside its files,
/// moves each item to its place in one step, and writes the collection that lists them last. Dropped before that, the
/// folder is as it was; a killed process leaves a hidden folder, which the next one takes away.
#[derive(Debug)]
pub struct Publishing {
    target: Target,
    staging: Staging,
}

impl Publishing {
    /// Begins in a folder, which is made where it is not there.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn begin(target: Target) -> Result<Self> {
        let staging = Staging::create(target.folder(), target.collection())?;
        Ok(Self { target, staging })
    }

    /// The folder for the files of an item: where they are made, until they are moved to their place.
    ///
    /// # Errors
    /// An id that is no file name, a folder that cannot be made.
    pub fn folder(&self, id: &str) -> Result<PathBuf> {
        item_path(self.target.folder(), id)?;
        self.staging.item(id)
    }

    /// Describes the items and moves them to their place. What may happen to output that is there is asked once more
    /// ([`Target::check`]): another run may have been quicker.
    ///
    /// # Errors
    /// A record that makes no sense, a file that cannot be read or written, output that may not be touched. Then the
    /// output is as it was.
    pub fn finish(mut self, about: &CollectionRecord, records: &[ItemRecord]) -> Result<Published> {
        let (folder, exists) = (self.target.folder().to_owned(), self.target.exists());
        let path = folder.join("collection.json");
        let mut listed = BTreeMap::new();
        let mut items = Vec::new();
        for record in records {
            let (place, made) = (item_path(&folder, &record.id)?, self.folder(&record.id)?);
            let value = item::item(record, about, &made, &place)?;
            write_json(&made.join(format!("{}.json", record.id)), &value)?;
            listed.insert(record.id.clone(), value);
            items.push(place);
        }
        let _others_wait = self.target.lock();
        let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        self.target.check(&ids)?;
        let old = self.target.read_collection()?.unwrap_or(Value::Null);
        let before: Vec<String> =
            collection::item_ids(&old).into_iter().filter(|id| !listed.contains_key(id)).collect();
        if exists == Exists::Append {
            for id in &before {
                listed.insert(id.clone(), read(&item_path(&folder, id)?)?);
            }
        }
        let collection = collection::collection(about, &listed)?;
        for record in records {
            self.staging.put(&record.id)?;
        }
        write_json(&path, &collection)?;
        self.staging.keep();
        if exists != Exists::Append {
            before.iter().try_for_each(|id| remove_item(&folder, id))?;
        }
        Ok(Published { collection: path, items })
    }
}

/// Takes away an item that the collection does not list any more, with the files that are its own: walkers of folders
/// would find it. A folder that holds anything else stays.
fn remove_item(folder: &Path, id: &str) -> Result<()> {
    let path = item_path(folder, id)?;
    let Some(home) = path.parent() else { return Ok(()) };
    for file in own_files(&path).into_iter().map(|name| home.join(name)) {
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(CatalogError::Write { path: file, source });
            }
            _ => {}
        }
    }
    let _only_if_empty = std::fs::remove_dir(home);
    Ok(())
}

/// Names of the files that an item wrote beside itself, its own the last; none where there is no item.
fn own_files(item: &Path) -> Vec<String> {
    let (Ok(value), Some(own)) = (read(item), item.file_name()) else { return Vec::new() };
    let assets = value["assets"].as_object().into_iter().flatten();
    let names = assets.filter_map(|(_, asset)| asset["href"].as_str()?.strip_prefix("./"));
    // An item is a text that anyone may have changed: only files right beside it are taken for its own.
    let names = names.filter(|name| !name.contains(['/', '\\']) && *name != "..").map(str::to_owned);
    names.chain([own.to_string_lossy().into_owned()]).collect()
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(|source| CatalogError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|error| CatalogError::json(&path.to_string_lossy(), &error))
}
