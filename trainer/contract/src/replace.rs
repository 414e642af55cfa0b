//! A new package in the place of an old one.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{CONTRACT_FILE, ContractError, MLM_FILE, Package, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};

impl Package {
    /// Moves this package to `target`, in the place of a package there: by renames, so that one of the two stands there
    /// whole. Files that the old package does not name are somebody's own and stay.
    ///
    /// # Errors
    /// Something at `target` that is no sound package, or a folder that cannot be moved. Then both are where they were.
    pub fn replace(self, target: &Path) -> Result<Self, ContractError> {
        let fault = |source| ContractError::Write { path: target.to_owned(), source };
        if !target.exists() {
            fs::rename(self.folder(), target).map_err(fault)?;
            return Self::open(target);
        }
        let old = Self::open(target)?;
        let own = old.own_files();
        let aside = free_place(target, "old");
        fs::rename(target, &aside).map_err(fault)?;
        if let Err(source) = fs::rename(self.folder(), target) {
            fs::rename(&aside, target).map_err(fault)?;
            return Err(fault(source));
        }
        tidy(&aside, target, &own).map_err(|source| ContractError::Write { path: aside.clone(), source })?;
        Self::open(target)
    }

    /// A place for a package beside `target` that nobody uses, hidden from walkers of folders.
    pub fn place_beside(target: &Path) -> PathBuf {
        free_place(target, "new")
    }

    /// Names of all files that belong to the package.
    fn own_files(&self) -> Vec<OsString> {
        let named = self.sized_files().map(|(path, ..)| path);
        let others = [CONTRACT_FILE, MLM_FILE, WEIGHTS_FILE, WEIGHTS_INDEX_FILE, self.contract().probe.path.as_str()];
        named.chain(others).map(OsString::from).collect()
    }
}

fn free_place(target: &Path, kind: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let place = |number: usize| target.with_file_name(format!(".{name}.{}-{number}.{kind}", std::process::id()));
    (0..).map(place).find(|place| !place.exists()).unwrap_or_else(|| place(0))
}

/// Removes the files of the old package; what is left of it joins the new one.
fn tidy(aside: &Path, target: &Path, own: &[OsString]) -> io::Result<()> {
    for entry in fs::read_dir(aside)? {
        let entry = entry?;
        let mut back = target.join(entry.file_name());
        if own.contains(&entry.file_name()) {
            fs::remove_file(entry.path())?;
            continue;
        }
        while back.exists() {
            let mut name = back.file_name().unwrap_or_default().to_os_string();
            name.push(".old");
            back.set_file_name(name);
        }
        fs::rename(entry.path(), back)?;
    }
    fs::remove_dir(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::tests::sample;
    use crate::{MlmContext, Module, PackageWriter};

    fn write(folder: &Path, weights: &[u8]) -> Package {
        let mut writer = PackageWriter::new(folder).unwrap();
        let contract = sample();
        for module in contract.graphs.keys() {
            writer.graph(*module, b"graph", None).unwrap();
        }
        assert!(contract.graphs.contains_key(&Module::Fusion));
        writer.weights(weights).unwrap();
        writer.probe(b"probe", 1e-4, 1e-4).unwrap();
        writer.finish(contract, &MlmContext::default()).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_the_old_package_goes() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        write(&target, b"old");
        fs::write(target.join("notes.txt"), "somebody's own").unwrap();
        fs::create_dir(folder.path().join("model.new")).unwrap();
        let before = names(&target);
        let package = write(&Package::place_beside(&target), b"new").replace(&target).unwrap();
        assert_eq!(fs::read(package.weights()).unwrap(), b"new");
        package.verify().unwrap();
        assert_eq!(names(&target), before);
        assert_eq!(names(folder.path()), ["model", "model.new"]);
    }

    #[test]
    fn what_is_no_package_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("thesis");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("chapter.txt"), "years").unwrap();
        let new = write(&Package::place_beside(&target), b"new");
        assert!(matches!(new.clone().replace(&target), Err(ContractError::Read { .. })));
        assert_eq!(names(&target), ["chapter.txt"]);
        assert!(new.weights().is_file());
    }
}
