//! A hidden folder beside the output where everything is made, so that nothing half written ever stands in the
//! output's place.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::own_files;
use crate::{CatalogError, Result};

/// File whose lock says that the process that made the folder still lives.
const LOCK: &str = ".lock";
/// Ending of the folder of an item that was put aside.
const ASIDE: &str = ".old";
/// Names to try: another process that tidies up may take a folder away before it is locked.
const ATTEMPTS: usize = 8;

/// Folders of items on their way into the output. Dropped before [`Staging::keep`], the output is as it was.
#[derive(Debug)]
pub(super) struct Staging {
    target: PathBuf,
    hidden: PathBuf,
    /// Items that were moved to their place, each with where the old one was put.
    moved: Vec<(PathBuf, Option<PathBuf>)>,
    /// Whether the output's own folder was made here.
    made: bool,
    kept: bool,
    /// Held for as long as the folder is in use.
    _lock: File,
}

impl Staging {
    /// Makes the hidden folder in the output's folder, and tidies up what killed processes left there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(super) fn create(target: &Path, collection: &str) -> Result<Self> {
        let made = !target.exists();
        fs::create_dir_all(target).map_err(|source| fault(target, source))?;
        let begun = begin(target, collection);
        if begun.is_err() && made {
            // Only an empty folder goes.
            let _gone = fs::remove_dir(target);
        }
        let (hidden, lock) = begun?;
        Ok(Self { target: target.to_path_buf(), hidden, moved: Vec::new(), made, kept: false, _lock: lock })
    }

    /// A new folder for the files of an item.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(super) fn item(&self, id: &str) -> Result<PathBuf> {
        let folder = self.hidden.join(id);
        fs::create_dir_all(&folder).map_err(|source| fault(&folder, source))?;
        Ok(folder)
    }

    /// Moves a finished item to its place; what is there is put aside.
    ///
    /// # Errors
    /// A folder that cannot be moved.
    pub(super) fn put(&mut self, id: &str) -> Result<()> {
        let (from, to) = (self.hidden.join(id), self.target.join(id));
        let aside = to.exists().then(|| self.hidden.join(format!("{id}{ASIDE}")));
        if let Some(aside) = &aside {
            fs::rename(&to, aside).map_err(|source| fault(&to, source))?;
        }
        let result = fs::rename(&from, &to);
        self.moved.push((to.clone(), aside));
        result.map_err(|source| fault(&to, source))
    }

    /// The output is whole: what was put aside goes, but for files that the item there had not written.
    pub(super) fn keep(mut self) {
        self.kept = true;
        for (place, aside) in self.moved.iter().filter_map(|(place, aside)| Some((place, aside.as_ref()?))) {
            let Some(id) = place.file_name().map(|id| id.to_string_lossy().into_owned()) else { continue };
            let own = own_files(&aside.join(format!("{id}.json")));
            for entry in fs::read_dir(aside).into_iter().flatten().flatten() {
                let back = place.join(entry.file_name());
                if !own.iter().any(|name| entry.file_name() == **name) && !back.exists() {
                    let _kept = fs::rename(entry.path(), back);
                }
            }
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Nothing more can be done about folders that will not go: the error that led here is reported.
        if !self.kept {
            for (place, aside) in self.moved.iter().rev() {
                let _gone = fs::remove_dir_all(place);
                if let Some(aside) = aside {
                    let _back = fs::rename(aside, place);
                }
            }
        }
        let _gone = fs::remove_dir_all(&self.hidden);
        if self.made && !self.kept {
            // Only an empty folder goes.
            let _gone = fs::remove_dir(&self.target);
        }
    }
}

/// A hidden folder of this process, locked.
fn begin(target: &Path, collection: &str) -> Result<(PathBuf, File)> {
    tidy(target, collection);
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        let hidden = target.join(format!(".{collection}.{}-{attempt}.part", std::process::id()));
        let locked = fs::create_dir(&hidden)
            .and_then(|()| File::create(hidden.join(LOCK)))
            .and_then(|lock| lock.try_lock().map_err(std::io::Error::from).map(|()| lock));
        match locked {
            Ok(lock) => return Ok((hidden, lock)),
            Err(source) => last = Some(fault(&hidden, source)),
        }
    }
    Err(last.unwrap_or_else(|| fault(target, std::io::ErrorKind::AlreadyExists.into())))
}

/// Takes away the hidden folders of processes that are gone; an item that one had put aside goes back to its place.
fn tidy(target: &Path, collection: &str) {
    let prefix = format!(".{collection}.");
    for entry in fs::read_dir(target).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !(name.starts_with(&prefix) && name.ends_with(".part")) {
            continue;
        }
        let hidden = entry.path();
        // The system gives a lock free when its process ends, however it ends.
        let Ok(lock) = File::open(hidden.join(LOCK)) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        for aside in fs::read_dir(&hidden).into_iter().flatten().flatten() {
            let name = aside.file_name().to_string_lossy().into_owned();
            if let Some(place) = name.strip_suffix(ASIDE).map(|id| target.join(id)).filter(|place| !place.exists()) {
                let _back = fs::rename(aside.path(), place);
            }
        }
        let _gone = fs::remove_dir_all(&hidden);
    }
}

fn fault(path: &Path, source: std::io::Error) -> CatalogError {
    CatalogError::Write { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_dropped_leaves_the_output_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir_all(out.join("a")).unwrap();
        fs::write(out.join("a/old"), "old").unwrap();
        fs::write(out.join("a/notes.txt"), "somebody's own").unwrap();
        let mut staging = Staging::create(&out, "c").unwrap();
        fs::write(staging.item("a").unwrap().join("new"), "new").unwrap();
        staging.put("a").unwrap();
        assert!(out.join("a/new").exists() && !out.join("a/old").exists());
        drop(staging);
        assert!(out.join("a/old").exists() && !out.join("a/new").exists());
        assert_eq!(names(&out), ["a"]);
    }

    #[test]
    fn what_is_kept_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        let mut staging = Staging::create(&out, "c").unwrap();
        fs::write(staging.item("a").unwrap().join("new"), "new").unwrap();
        staging.put("a").unwrap();
        staging.keep();
        assert_eq!(names(&out), ["a"]);
    }

    #[test]
    fn a_folder_that_was_made_for_nothing_goes() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        drop(Staging::create(&out, "c").unwrap());
        assert!(!out.exists());
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_a_living_one_uses_stays() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let living = Staging::create(out, "c").unwrap();
        // A lock file that nobody holds, and an item that was put aside just before the end.
        let dead = out.join(".c.1-0.part");
        fs::create_dir_all(dead.join("map.old")).unwrap();
        fs::write(dead.join("map.old/map.json"), "old").unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        drop(Staging::create(out, "c").unwrap());
        assert!(!dead.exists() && living.hidden.exists());
        assert_eq!(fs::read_to_string(out.join("map/map.json")).unwrap(), "old");
        drop(living);
        assert_eq!(names(out), ["map"]);
    }
}
