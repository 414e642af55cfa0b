//! The folder of a data set, looked at with errors that say what the layout has where.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Result, content, io};

/// Endings of images, in lower case.
pub(crate) const IMAGES: &[&str] = &["png", "jpg", "jpeg", "tif", "tiff"];

/// A folder of the data set.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder that holds everything.
    ///
    /// # Errors
    /// What is no folder.
    pub(crate) fn root(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(content(path, "the folder of the data set", there(path)));
        }
        // Items name files from anywhere.
        Ok(Self(std::path::absolute(path).map_err(io(path))?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A folder inside, which must be there.
    pub(crate) fn dir(&self, name: &str) -> Result<Self> {
        self.first(&[name])
    }

    /// The first folder of these names that is there.
    pub(crate) fn first(&self, names: &[&str]) -> Result<Self> {
        match names.iter().map(|name| self.0.join(name)).find(|path| path.is_dir()) {
            Some(path) => Ok(Self(path)),
            None => {
                let names: Vec<String> = names.iter().map(|name| format!("{name}/")).collect();
                Err(content(&self.0, format!("a folder {}", names.join(" or ")), self.shown()))
            }
        }
    }

    /// A folder inside that may be missing.
    pub(crate) fn maybe(&self, name: &str) -> Option<Self> {
        Some(self.0.join(name)).filter(|path| path.is_dir()).map(Self)
    }

    /// The first folder inside whose name fits; `expected` is what it is called.
    pub(crate) fn fitting(&self, expected: &str, fits: impl Fn(&str) -> bool) -> Result<Self> {
        let found = self.entries()?.into_iter().find(|path| path.is_dir() && fits(&name(path)));
        found.map(Self).ok_or_else(|| content(&self.0, format!("a folder {expected}/"), self.shown()))
    }

    /// The folder around this one.
    pub(crate) fn parent(&self) -> Option<Self> {
        self.0.parent().map(|path| Self(path.to_owned()))
    }

    /// A file inside that may be missing.
    pub(crate) fn maybe_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.0.join(name)).filter(|path| path.is_file())
    }

    /// A file inside, which must be there.
    pub(crate) fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        if path.is_file() { Ok(path) } else { Err(content(&path, "a file", there(&path))) }
    }

    /// The text of a file inside.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        let path = self.file(name)?;
        fs::read_to_string(&path).map_err(io(&path))
    }

    /// Files with one of these endings, by name; at least one.
    pub(crate) fn files(&self, endings: &[&str]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in self.entries()? {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if path.is_file() && ending.is_some_and(|ending| endings.contains(&ending.as_str())) {
                found.push(path);
            }
        }
        if found.is_empty() {
            return Err(content(&self.0, format!("files ending in .{}", endings.join(", .")), self.shown()));
        }
        Ok(found)
    }

    /// Folders, by name; at least one.
    pub(crate) fn dirs(&self) -> Result<Vec<Self>> {
        let found: Vec<Self> = self.entries()?.into_iter().filter(|path| path.is_dir()).map(Self).collect();
        match found.is_empty() {
            true => Err(content(&self.0, "folders", self.shown())),
            false => Ok(found),
        }
    }

    /// Files with an ending, in folders of any depth, by path.
    pub(crate) fn deep(&self, ending: &str) -> Result<Vec<PathBuf>> {
        let (mut found, mut open) = (Vec::new(), vec![self.clone()]);
        while let Some(folder) = open.pop() {
            for path in folder.entries()? {
                if path.is_dir() {
                    open.push(Self(path));
                } else if path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending)) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    pub(crate) fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn entries(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.0).map_err(io(&self.0))?;
        let mut paths = entries.map(|entry| Ok(entry.map_err(io(&self.0))?.path())).collect::<Result<Vec<_>>>()?;
        paths.retain(|path| !stem(path).starts_with('.'));
        paths.sort();
        Ok(paths)
    }

    /// A few names of what is there.
    pub(crate) fn shown(&self) -> String {
        let names: Vec<String> = self.entries().unwrap_or_default().iter().map(|path| name(path)).collect();
        match names.len() {
            0 => "nothing".into(),
            count if count > 6 => format!("{}, … ({count})", names[..6].join(", ")),
            _ => names.join(", "),
        }
    }
}

/// Name of a file.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Name of a file without its ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn there(path: &Path) -> &'static str {
    match (path.is_dir(), path.exists()) {
        (true, _) => "a folder",
        (_, true) => "a file",
        _ => "nothing",
    }
}
