//! The folder that results go to, and what may happen to what is there.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::collection::item_ids;
use super::{Exists, item_path, read};
use crate::{CatalogError, Result};

/// The property that every item of ours has.
const MADE_BY: &str = "skysense:workflow_sha256";

/// A folder for the items of one collection.
#[derive(Debug, Clone)]
pub struct Target {
    folder: PathBuf,
    collection: String,
    exists: Exists,
    /// Hash of the workflow of a run that goes on: what it had published before it was broken off is its own.
    resumed: Option<String>,
}

impl Target {
    /// The folder for a collection of this id.
    ///
    /// # Errors
    /// An id that is no file name.
    pub fn new(folder: &Path, collection: &str, exists: Exists) -> Result<Self> {
        item_path(folder, collection)?;
        Ok(Self { folder: folder.to_owned(), collection: collection.to_owned(), exists, resumed: None })
    }

    /// For a run that goes on: items that the workflow of this hash made give way, whatever `exists` says.
    pub fn resumed(self, workflow_sha256: &str) -> Self {
        Self { resumed: Some(workflow_sha256.to_owned()), ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Id of the collection.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// What may happen to output that is there.
    pub(super) fn exists(&self) -> Exists {
        self.exists
    }

    /// Whether items of these ids could be published here; asked before a run computes anything, and once more before
    /// anything is moved to its place.
    ///
    /// # Errors
    /// Output that may not be touched: by the setting, or because something else than a collection of this id, made
    /// by us, is there.
    pub fn check(&self, ids: &[&str]) -> Result<()> {
        let places = ids.iter().map(|id| item_path(&self.folder, id)).collect::<Result<Vec<_>>>()?;
        let own = |path: &Path| self.resumed.is_some() && made_by(path).as_deref() == self.resumed.as_deref();
        let file = self.folder.join("collection.json");
        if let Some(collection) = self.read_collection()? {
            let listed =
                item_ids(&collection).iter().map(|id| item_path(&self.folder, id)).collect::<Result<Vec<_>>>()?;
            let all_own = !listed.is_empty() && listed.iter().all(|path| own(path));
            if self.exists == Exists::Fail && !all_own {
                return Err(self.taken(file));
            }
            if collection["id"] != self.collection.as_str() {
                let found = format!("is the collection {}, not {:?}", collection["id"], self.collection);
                return Err(CatalogError::Foreign { path: file, found });
            }
            // Only what gives way is looked at: an item that stays may be anyone's.
            for path in listed.iter().filter(|path| self.exists == Exists::Replace && path.exists()) {
                if made_by(path).is_none() {
                    let found = format!("was not made by a workflow: it has no `{MADE_BY}`");
                    return Err(CatalogError::Foreign { path: path.clone(), found });
                }
            }
        }
        for path in places {
            if self.exists != Exists::Replace && path.exists() && !own(&path) {
                return Err(self.taken(path));
            }
            let home = path.parent().filter(|home| !is_free(home));
            if let Some(home) = home.filter(|_| made_by(&path).is_none()) {
                let found = "is needed for an item, and something that no workflow made is there".to_owned();
                return Err(CatalogError::Foreign { path: home.to_owned(), found });
            }
        }
        Ok(())
    }

    /// The collection that is there.
    pub(super) fn read_collection(&self) -> Result<Option<Value>> {
        let path = self.folder.join("collection.json");
        if path.exists() { read(&path).map(Some) } else { Ok(None) }
    }

    /// Keeps other runs from publishing into the folder until it is dropped.
    pub(super) fn lock(&self) -> Option<File> {
        // Where a system cannot lock folders, two runs that end in the same moment are not told apart.
        File::open(&self.folder).ok().filter(|folder| folder.lock().is_ok())
    }

    fn taken(&self, path: PathBuf) -> CatalogError {
        CatalogError::Exists { path, exists: self.exists }
    }
}

/// Whether nothing is at this place, or an empty folder.
fn is_free(place: &Path) -> bool {
    match std::fs::read_dir(place) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !place.exists(),
    }
}

/// Hash of the workflow that made an item; `None` for an item of someone else.
fn made_by(item: &Path) -> Option<String> {
    read(item).ok()?["properties"][MADE_BY].as_str().map(str::to_owned)
}
