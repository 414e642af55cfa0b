//! Where ONNX Runtime's library may lie.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Attempt, cache_folder};

/// A file that may be the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) origin: &'static str,
    pub(crate) path: PathBuf,
}

/// The places in the order of the search: files to try, and places that hold none.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) empty: Vec<Attempt>,
}

const EXPLICIT: &str = "the path given";
const VARIABLE: &str = "ORT_DYLIB_PATH";
const CACHE: &str = "the cache folder";
const BINARY: &str = "next to the binary";
const SYSTEM: &str = "the system";

/// The search for this process. A library that was named, by option or variable, is the only candidate:
/// someone who names one does not want another.
pub(crate) fn places(explicit: Option<&Path>) -> Places {
    let variable = env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some((origin, path)) =
        explicit.map(|path| (EXPLICIT, path.to_path_buf())).or(variable.map(|path| (VARIABLE, path)))
    {
        return named(origin, path);
    }
    let mut places = Places::default();
    match cache_folder() {
        Some(folder) => places.search(CACHE, &folder.join("onnxruntime")),
        None => places.lacks(CACHE, Path::new("$XDG_CACHE_HOME/skysense"), "neither XDG_CACHE_HOME nor HOME is set"),
    }
    if let Some(folder) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.search(BINARY, folder);
        places.search(BINARY, &folder.join("lib"));
    }
    // Left to the system's loader, which knows its own folders and LD_LIBRARY_PATH.
    for name in system_names() {
        places.candidates.push(Candidate { origin: SYSTEM, path: name.into() });
    }
    places
}

fn named(origin: &'static str, path: PathBuf) -> Places {
    let mut places = Places::default();
    if path.is_dir() {
        places.search(origin, &path);
    } else if path.exists() {
        // Made absolute, for the loader reads a relative path as one beside the binary.
        let path = fs::canonicalize(&path).unwrap_or(path);
        places.candidates.push(Candidate { origin, path });
    } else {
        places.lacks(origin, &path, "no such file");
    }
    places
}

impl Places {
    /// Adds the libraries of a folder and of the folders in it, the newest version first.
    fn search(&mut self, origin: &'static str, folder: &Path) {
        let mut found = libraries(folder);
        for inner in entries(folder).into_iter().filter(|path| path.is_dir()) {
            found.extend(libraries(&inner));
        }
        found.sort_by_cached_key(|path| std::cmp::Reverse((version(path), path.clone())));
        if found.is_empty() {
            self.lacks(origin, folder, if folder.is_dir() { "holds no libonnxruntime" } else { "no such folder" });
        }
        self.candidates.extend(found.into_iter().map(|path| Candidate { origin, path }));
    }

    fn lacks(&mut self, origin: &str, path: &Path, reason: &str) {
        let attempt = Attempt { origin: origin.into(), path: path.to_path_buf(), reason: reason.into() };
        self.empty.push(attempt);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn libraries(folder: &Path) -> Vec<PathBuf> {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let named = name.starts_with("libonnxruntime.") || name == "onnxruntime.dll";
        named && path.is_file()
    };
    entries(folder).into_iter().filter(is_library).collect()
}

/// Numbers of a file's name, so that 1.32.0 comes after 1.9.0.
fn version(path: &Path) -> Vec<u32> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn system_names() -> &'static [&'static str] {
    if cfg!(windows) {
        &["onnxruntime.dll"]
    } else if cfg!(target_os = "macos") {
        &["libonnxruntime.dylib"]
    } else {
        &["libonnxruntime.so", "libonnxruntime.so.1"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_searched_one_deep_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("1.32.0");
        fs::create_dir(&inner).unwrap();
        for file in [
            folder.path().join("libonnxruntime.so.1.9.0"),
            inner.join("libonnxruntime.so.1.32.0"),
            inner.join("other.so"),
        ] {
            fs::write(file, "").unwrap();
        }
        let mut places = Places::default();
        places.search(CACHE, folder.path());
        let names: Vec<_> = places.candidates.iter().map(|c| c.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["libonnxruntime.so.1.32.0", "libonnxruntime.so.1.9.0"]);
        assert!(places.empty.is_empty());
    }

    #[test]
    fn a_named_library_is_the_only_candidate() {
        let places = places(Some(Path::new("no/such/library.so")));
        assert!(places.candidates.is_empty());
        assert_eq!(places.empty[0].reason, "no such file");
    }
}
