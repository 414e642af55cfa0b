//! A hidden folder beside the output where everything is made, so that nothing half written ever stands in
//! the output's place.

use std::fs;
use std::path::{Path, PathBuf};

use skysense_abi::NodeError;

/// Folders of items on their way into the output. Dropped before [`Staging::keep`], the output is as it was.
pub(crate) struct Staging {
    target: PathBuf,
    hidden: PathBuf,
    /// Items that were moved to their place, each with where the old one was put.
    moved: Vec<(PathBuf, Option<PathBuf>)>,
    /// Whether the output's own folder was made here.
    made: bool,
    kept: bool,
}

impl Staging {
    /// Makes the hidden folder in the output's folder.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(crate) fn create(target: &Path, collection: &str) -> Result<Self, NodeError> {
        let made = !target.exists();
        let hidden = target.join(format!(".{collection}.{}.part", std::process::id()));
        let staging = Self { target: target.to_path_buf(), hidden, moved: Vec::new(), made, kept: false };
        fs::create_dir_all(&staging.hidden).map_err(|error| fault(&staging.hidden, &error))?;
        Ok(staging)
    }

    /// A new folder for the files of an item.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(crate) fn item(&self, id: &str) -> Result<PathBuf, NodeError> {
        let folder = self.hidden.join(id);
        fs::create_dir_all(&folder).map_err(|error| fault(&folder, &error))?;
        Ok(folder)
    }

    /// Where an item will lie.
    pub(crate) fn place(&self, id: &str) -> PathBuf {
        self.target.join(id)
    }

    /// Moves a finished item to its place; what is there is put aside.
    ///
    /// # Errors
    /// A folder that cannot be moved.
    pub(crate) fn put(&mut self, id: &str) -> Result<(), NodeError> {
        let (from, to) = (self.hidden.join(id), self.place(id));
        let aside = to.exists().then(|| self.hidden.join(format!("{id}.old")));
        if let Some(aside) = &aside {
            fs::rename(&to, aside).map_err(|error| fault(&to, &error))?;
        }
        let result = fs::rename(&from, &to);
        self.moved.push((to.clone(), aside));
        result.map_err(|error| fault(&to, &error))
    }

    /// The output is whole: what was put aside goes.
    pub(crate) fn keep(mut self) {
        self.kept = true;
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

fn fault(path: &Path, error: &std::io::Error) -> NodeError {
    let hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to"
        }
        std::io::ErrorKind::StorageFull => "free some space or write to another disk",
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed: choose another `href`"
        }
        _ => "check the folder and its permissions",
    };
    NodeError::from_error("output.write", error).at("path", path.display()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_leaves_the_output_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir_all(out.join("a")).unwrap();
        fs::write(out.join("a/old"), "old").unwrap();
        let mut staging = Staging::create(&out, "c").unwrap();
        fs::write(staging.item("a").unwrap().join("new"), "new").unwrap();
        staging.put("a").unwrap();
        assert!(out.join("a/new").exists() && !out.join("a/old").exists());
        drop(staging);
        assert!(out.join("a/old").exists() && !out.join("a/new").exists());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    }

    #[test]
    fn what_is_kept_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        let mut staging = Staging::create(&out, "c").unwrap();
        fs::write(staging.item("a").unwrap().join("new"), "new").unwrap();
        staging.put("a").unwrap();
        staging.keep();
        let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn a_folder_that_was_made_for_nothing_goes() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        drop(Staging::create(&out, "c").unwrap());
        assert!(!out.exists());
    }
}
