//! The folder of a set while it is written: who may write, what is kept, and what goes.
//!
//! ```text
//! unfinished.json        what is being written; goes when the manifest is there
//! .train-00002.arrow.part  a shard that is not full yet; lost with its process
//! train-00001.arrow      a whole shard, once train-00001.index.arrow is there
//! manifest.json          the finished set; readers look here alone
//! ```
//!
//! A writing that is broken off leaves whole shards, which the next writing goes on from, and nothing that a reader
//! takes for finished. What `exists: replace` replaces stays until the new manifest stands in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::manifest::{ListedShard, MANIFEST_FILE, Manifest, write_json};
use crate::sums::{hex, sum};
use crate::{Header, Part, Result, ShardError};

/// What is being written.
const UNFINISHED_FILE: &str = "unfinished.json";
/// File that a writer locks for as long as it lives.
const LOCK_FILE: &str = ".lock";

/// What becomes of samples that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exists {
    /// They stay, and nothing is written.
    #[default]
    Fail,
    /// They give way once the new ones are all there.
    Replace,
    /// The new ones join them.
    Append,
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writing {
    /// What becomes of samples that are there already.
    pub exists: Exists,
    /// Hash of the workflow.
    pub workflow: String,
    /// Whether this goes on with a writing of the same workflow that was broken off.
    pub resumed: bool,
}

/// What `unfinished.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Unfinished {
    header: Header,
    workflow: String,
    /// Shards that give way when the manifest is written.
    replaces: Vec<String>,
}

/// A folder that this process writes into.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The header of the set: the one that was there, with modalities that it has.
    pub(crate) header: Header,
    /// Whole shards that stay, in order, with their indexes' checksums.
    pub(crate) kept: Vec<ListedShard>,
    workflows: Vec<String>,
    replaces: Vec<String>,
    /// Number of the next shard of each part; of its own for each, so that a writing that goes on gives the same names.
    next: BTreeMap<Part, u64>,
    _lock: File,
}

/// What is in a folder.
struct Found {
    manifest: Option<Manifest>,
    unfinished: Option<Unfinished>,
    /// Whole shards that the manifest does not list.
    unlisted: Vec<String>,
    /// One more than the largest number of a shard, by part.
    next: BTreeMap<Part, u64>,
    /// A file of somebody else.
    foreign: Option<String>,
}

impl Found {
    fn resumes(&self, writing: &Writing) -> bool {
        let own = |workflow: &String| writing.resumed && *workflow == writing.workflow;
        match (&self.unfinished, &self.manifest) {
            (Some(unfinished), _) => own(&unfinished.workflow),
            (None, manifest) => manifest.as_ref().and_then(|manifest| manifest.workflows.last()).is_some_and(own),
        }
    }

    /// What stands against writing.
    fn check(&self, folder: &Path, header: &Header, writing: &Writing) -> Result<()> {
        let folder = folder.to_owned();
        let own = self.manifest.is_some() || self.unfinished.is_some();
        if let (false, Some(found)) = (own, &self.foreign) {
            return Err(ShardError::Foreign { folder, found: found.clone() });
        }
        if !self.resumes(writing) {
            match (writing.exists, &self.manifest) {
                (Exists::Fail, Some(manifest)) => {
                    let samples = Part::ALL.into_iter().map(|part| manifest.samples(part)).sum();
                    return Err(ShardError::Exists { folder, samples });
                }
                (Exists::Fail, None) if self.unfinished.is_some() => return Err(ShardError::Unfinished { folder }),
                _ => {}
            }
            if writing.exists == Exists::Replace {
                return Ok(());
            }
        }
        let there = self.unfinished.as_ref().map(|unfinished| &unfinished.header);
        let there = there.or(self.manifest.as_ref().map(|manifest| &manifest.header));
        let faults = there.map_or_else(Vec::new, |there| there.misfits(header));
        if faults.is_empty() { Ok(()) } else { Err(ShardError::Misfit { folder, faults }) }
    }
}

/// Whether samples like these could be written into a folder; nothing is touched.
///
/// # Errors
/// Samples that are there and may not be touched, others that these do not fit, or files of somebody else.
pub fn check(folder: &Path, header: &Header, writing: &Writing) -> Result<()> {
    if folder.exists() { look(folder)?.check(folder, header, writing) } else { Ok(()) }
}

impl Folder {
    /// Makes the folder this process's own, and decides what of it stays.
    pub(crate) fn begin(path: &Path, header: &Header, writing: &Writing) -> Result<Self> {
        check(path, header, writing)?;
        let fault = |source| ShardError::Write { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(fault)?;
        let lock = File::create(path.join(LOCK_FILE)).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(ShardError::Busy { folder: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => return Err(fault(source)),
        }
        // Another writer may have been at work until the lock was free.
        let found = look(path)?;
        found.check(path, header, writing)?;
        let mut folder = Self {
            path: path.to_owned(),
            header: header.clone(),
            kept: Vec::new(),
            workflows: Vec::new(),
            replaces: Vec::new(),
            next: found.next.clone(),
            _lock: lock,
        };
        folder.tidy()?;
        folder.decide(found, writing)?;
        let unfinished = Unfinished {
            header: folder.header.clone(),
            workflow: writing.workflow.clone(),
            replaces: folder.replaces.clone(),
        };
        write_json(&path.join(UNFINISHED_FILE), &unfinished)?;
        folder.workflows.retain(|workflow| *workflow != writing.workflow);
        folder.workflows.push(writing.workflow.clone());
        Ok(folder)
    }

    /// Takes away what has no index: shards that were not full when their process ended.
    fn tidy(&self) -> Result<()> {
        for name in names(&self.path)? {
            let half = name.starts_with('.') && name.ends_with(".part");
            let without_index = number(&name).is_some() && !self.path.join(Index::file_of(&name)).exists();
            if half || without_index {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    fn decide(&mut self, found: Found, writing: &Writing) -> Result<()> {
        let resumes = found.resumes(writing);
        let listed = found.manifest.as_ref().map_or_else(Vec::new, |manifest| manifest.shards.clone());
        let mut unlisted = found.unlisted;
        let gives_way = |name: &String, unfinished: &Option<Unfinished>| {
            unfinished.as_ref().is_some_and(|unfinished| unfinished.replaces.contains(name))
        };
        // A process that ended between its manifest and its last removal left these.
        for name in unlisted.extract_if(.., |name| gives_way(name, &found.unfinished)) {
            self.remove_shard(&name)?;
        }
        let replacing = match (&found.unfinished, resumes) {
            (Some(unfinished), true) => !unfinished.replaces.is_empty(),
            (None, true) => false,
            (_, false) => writing.exists == Exists::Replace,
        };
        if replacing {
            self.replaces = listed.iter().map(|listed| listed.shard.file.clone()).collect();
            if !resumes {
                for name in unlisted.drain(..) {
                    self.remove_shard(&name)?;
                }
            }
        } else {
            let there = found.unfinished.map(|unfinished| unfinished.header);
            let there = there.or(found.manifest.as_ref().map(|manifest| manifest.header.clone()));
            self.header = there.unwrap_or_else(|| self.header.clone());
            self.workflows = found.manifest.map_or_else(Vec::new, |manifest| manifest.workflows);
            self.kept = listed;
        }
        for name in unlisted {
            let index = Index::read(&self.path, &name, None)?;
            let file = self.path.join(&name);
            let size = fs::metadata(&file).map_err(|source| ShardError::Read { path: file.clone(), source })?.len();
            if size != index.shard.size {
                let fault = format!("it has {size} bytes, expected {}", index.shard.size);
                return Err(ShardError::Damaged { file, sample: None, fault });
            }
            let path = self.path.join(Index::file_of(&name));
            let bytes = fs::read(&path).map_err(|source| ShardError::Read { path, source })?;
            self.kept.push(ListedShard { shard: index.shard, index_sha256: hex(&sum(&bytes)) });
        }
        Ok(())
    }

    /// Where the set lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the next shard of a part.
    pub(crate) fn next(&mut self, part: Part) -> String {
        let number = self.next.entry(part).or_default();
        let name = format!("{part}-{number:05}.arrow");
        *number += 1;
        name
    }

    /// Writes the manifest; then what it replaces goes.
    pub(crate) fn finish(&self, header: Header, mut shards: Vec<ListedShard>) -> Result<Manifest> {
        shards.sort_by_key(|listed| number(&listed.shard.file));
        let manifest = Manifest::new(header, shards, self.workflows.clone());
        manifest.write(&self.path)?;
        for name in &self.replaces {
            self.remove_shard(name)?;
        }
        self.remove(UNFINISHED_FILE)?;
        // The lock goes with this process; its file would be taken for somebody's own in an empty folder.
        let _gone = fs::remove_file(self.path.join(LOCK_FILE));
        Ok(manifest)
    }

    fn remove_shard(&self, name: &str) -> Result<()> {
        // The index first: a shard without one is not whole, and goes with the next writing.
        self.remove(&Index::file_of(name))?;
        self.remove(name)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(ShardError::Write { path, source }),
            _ => Ok(()),
        }
    }
}

/// Part and number of a shard by its file's name.
fn number(name: &str) -> Option<(Part, u64)> {
    let number = |part: Part| name.strip_prefix(part.name())?.strip_prefix('-')?.strip_suffix(".arrow")?.parse().ok();
    Part::ALL.into_iter().find_map(|part| Some((part, number(part)?)))
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let fault = |source| ShardError::Read { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(fault)?;
    entries.map(|entry| Ok(entry.map_err(fault)?.file_name().to_string_lossy().into_owned())).collect()
}

fn look(folder: &Path) -> Result<Found> {
    let names = names(folder)?;
    let manifest = Manifest::read(folder)?;
    let path = folder.join(UNFINISHED_FILE);
    let unfinished = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(ShardError::Read { path, source }),
        Ok(text) => Some(serde_json::from_slice(&text).map_err(|error| ShardError::Damaged {
            file: path,
            sample: None,
            fault: error.to_string(),
        })?),
    };
    let listed: BTreeSet<&str> =
        manifest.iter().flat_map(|manifest| &manifest.shards).map(|listed| listed.shard.file.as_str()).collect();
    let whole = |name: &&String| names.contains(&Index::file_of(name)) && !listed.contains(name.as_str());
    let mut unlisted: Vec<String> = names.iter().filter(|name| number(name).is_some()).filter(whole).cloned().collect();
    unlisted.sort_by_key(|name| number(name));
    let known = [MANIFEST_FILE, UNFINISHED_FILE, LOCK_FILE];
    let foreign = names.iter().find(|name| !known.contains(&name.as_str()) && !name.ends_with(".part")).cloned();
    let mut next = BTreeMap::new();
    for (part, number) in names.iter().filter_map(|name| number(name)) {
        let after = next.entry(part).or_insert(0);
        *after = (number + 1).max(*after);
    }
    Ok(Found { manifest, unfinished, unlisted, next, foreign })
}
