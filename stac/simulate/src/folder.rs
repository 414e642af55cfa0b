//! The folder of a scene: written beside its place, then renamed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scene::extent;
use crate::stac;
use crate::{Result, SimulateError};

/// A folder being filled; removed again when dropped before [`Folder::finish`].
pub(crate) struct Folder {
    target: PathBuf,
    partial: PathBuf,
    replace: bool,
    finished: bool,
    written: BTreeMap<&'static str, Vec<(String, Value)>>,
    /// Rasters begun.
    pub(crate) rasters: usize,
}

impl Folder {
    /// Begins a folder that will stand at `target`.
    pub(crate) fn begin(target: &Path, replace: bool) -> Result<Self> {
        let occupied = target.is_file() || fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !(replace && is_simulated(target)) {
            return Err(SimulateError::Exists(target.to_owned()));
        }
        let absolute = std::path::absolute(target).map_err(io(target))?;
        let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let partial = absolute.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        fs::create_dir_all(&partial).map_err(io(&partial))?;
        Ok(Self { target: absolute, partial, replace, finished: false, written: BTreeMap::new(), rasters: 0 })
    }

    /// The path of a raster of an item.
    pub(crate) fn raster(&mut self, collection: &str, item: &str, asset: &str) -> Result<PathBuf> {
        let folder = self.partial.join(collection).join(item);
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        self.rasters += 1;
        Ok(folder.join(format!("{asset}.tif")))
    }

    /// Writes a text beside an item.
    pub(crate) fn text(&mut self, collection: &str, item: &str, name: &str, text: &str) -> Result<()> {
        let folder = self.partial.join(collection).join(item);
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let path = folder.join(name);
        fs::write(&path, text).map_err(io(&path))
    }

    /// Writes an item.
    pub(crate) fn item(&mut self, collection: &'static str, id: &str, item: &Value) -> Result<()> {
        self.json(&format!("{collection}/{id}/{id}.json"), item)?;
        self.written.entry(collection).or_default().push((id.to_owned(), item.clone()));
        Ok(())
    }

    /// Writes the collections that have items, and the catalog.
    pub(crate) fn catalog(&mut self, about: &str) -> Result<()> {
        let mut children = Vec::new();
        for (id, description) in stac::COLLECTIONS {
            let Some(items) = self.written.get(id) else { continue };
            let (bbox, interval) = extent(items.iter().map(|(_, item)| item));
            let ids: Vec<String> = items.iter().map(|(id, _)| id.clone()).collect();
            self.json(&format!("{id}/collection.json"), &stac::collection(id, description, bbox, interval, &ids))?;
            children.push(id);
        }
        self.json(
            "catalog.json",
            &stac::catalog("simulated-scene", &format!("A simulated scene of {about}."), &children),
        )
    }

    /// Hrefs of all items relative to the folder, by collection.
    pub(crate) fn items(&self) -> BTreeMap<String, Vec<String>> {
        let href = |collection: &str, id: &str| format!("{collection}/{id}/{id}.json");
        self.written
            .iter()
            .map(|(c, items)| ((*c).to_owned(), items.iter().map(|(id, _)| href(c, id)).collect()))
            .collect()
    }

    /// Bytes of all files so far.
    pub(crate) fn bytes(&self) -> Result<u64> {
        fn size(path: &Path) -> std::io::Result<u64> {
            fs::read_dir(path)?.try_fold(0, |sum, entry| {
                let entry = entry?;
                Ok(sum + if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() })
            })
        }
        size(&self.partial).map_err(io(&self.partial))
    }

    /// Puts the folder in its place and gives the path of the catalog.
    pub(crate) fn finish(mut self) -> Result<String> {
        if self.replace && is_simulated(&self.target) {
            fs::remove_dir_all(&self.target).map_err(io(&self.target))?;
        } else if self.target.is_dir() {
            // Only an empty folder comes this far; one that was filled meanwhile makes this fail, as it should.
            fs::remove_dir(&self.target).map_err(io(&self.target))?;
        }
        fs::rename(&self.partial, &self.target).map_err(io(&self.target))?;
        self.finished = true;
        Ok(self.target.join("catalog.json").to_string_lossy().into_owned())
    }

    fn json(&self, path: &str, value: &Value) -> Result<()> {
        let path = self.partial.join(path);
        let mut text = format!("{value:#}");
        text.push('\n');
        fs::write(&path, text).map_err(io(&path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing can be done about a folder that will not go; the error that brought us here is the one to tell.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// Whether a folder holds what this crate wrote: only that may be replaced.
fn is_simulated(folder: &Path) -> bool {
    let catalog =
        fs::read_to_string(folder.join("catalog.json")).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    catalog.is_some_and(|catalog| catalog["id"] == "simulated-scene")
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SimulateError {
    let path = path.to_owned();
    move |source| SimulateError::Io { path, source }
}
