//! MapLibre GL, with which the page draws its map. It is another project's and lies in a folder, not in the binary.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What the page needs of it, each with its type: the build for pages whose policy allows no code made at run time.
pub(crate) const FILES: [(&str, &str); 4] = [
    ("maplibre-gl-csp.js", "text/javascript; charset=utf-8"),
    ("maplibre-gl-csp-worker.js", "text/javascript; charset=utf-8"),
    ("maplibre-gl.css", "text/css; charset=utf-8"),
    ("LICENSE.txt", "text/plain; charset=utf-8"),
];

/// How one comes by it.
const REMEDY: &str = "`./x setup` brings it, or --map-library (SKYSENSE_MAPLIBRE) names a folder with it";

/// A folder with the library, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapLibrary(PathBuf);

impl MapLibrary {
    /// The library in the folder that is given, else beside the program, else in the cache.
    ///
    /// # Errors
    /// In words, why there is none, and how one comes by it.
    pub fn find(given: Option<&Path>) -> Result<Self, String> {
        if let Some(folder) = given {
            let missing = missing(folder);
            return match missing[..] {
                [] => Ok(Self(folder.to_owned())),
                _ => Err(format!("MapLibre GL is not whole in {}: no {}", folder.display(), missing.join(", "))),
            };
        }
        let program = std::env::current_exe().ok();
        let places = places(program.as_deref(), |name| std::env::var_os(name));
        places.iter().find(|folder| missing(folder).is_empty()).cloned().map(Self).ok_or_else(|| {
            let looked: Vec<String> = places.iter().map(|folder| folder.display().to_string()).collect();
            let looked = if looked.is_empty() { "anywhere".to_owned() } else { looked.join(", ") };
            format!("the page has no map, for MapLibre GL is not in {looked}: {REMEDY}")
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// A file of the library and its type; nothing for any other name.
    pub(crate) fn file(&self, name: &str) -> Option<(PathBuf, &'static str)> {
        let (name, kind) = FILES.iter().find(|(known, _)| *known == name)?;
        Some((self.0.join(name), kind))
    }
}

/// What is not in a folder.
fn missing(folder: &Path) -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).filter(|name| !folder.join(name).is_file()).collect()
}

/// Where it is looked for: beside the program, then each version in the cache, the latest first.
fn places(program: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(above) = program.and_then(Path::parent).and_then(Path::parent) {
        places.push(above.join("share/skysense/maplibre"));
    }
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache"))) {
        let cache = cache.join("skysense/maplibre");
        let mut versions: Vec<PathBuf> =
            std::fs::read_dir(&cache).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        versions.sort_by_key(|path| version(path));
        if versions.is_empty() { places.push(cache) } else { places.extend(versions.into_iter().rev()) }
    }
    places
}

/// A version in an order by number: 5.10.0 comes behind 5.9.0.
fn version(path: &Path) -> Vec<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, _) in FILES {
            std::fs::write(folder.join(name), name).unwrap();
        }
    }

    #[test]
    fn the_latest_whole_one_is_found_and_files_by_their_names_alone() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join(".cache/skysense/maplibre");
        let variable = |name: &str| (name == "HOME").then(|| home.path().into());
        let found = || places(None, variable).into_iter().find(|folder| missing(folder).is_empty());
        assert_eq!(found(), None);
        assert_eq!(places(None, variable), std::slice::from_ref(&cache));
        fill(&cache.join("5.9.0"));
        fill(&cache.join("5.10.0"));
        // One that was broken off is passed over.
        std::fs::create_dir_all(cache.join("5.11.0")).unwrap();
        assert_eq!(found(), Some(cache.join("5.10.0")));
        let beside = places(Some(Path::new("/usr/local/bin/skysense")), |_| None);
        assert_eq!(beside, [PathBuf::from("/usr/local/share/skysense/maplibre")]);

        let library = MapLibrary::find(Some(&cache.join("5.9.0"))).unwrap();
        assert_eq!(library.file("maplibre-gl.css").unwrap().0, cache.join("5.9.0/maplibre-gl.css"));
        for name in ["", ".", "..", "../5.10.0/maplibre-gl.css", "/etc/passwd", "maplibre-gl.css/", "other.js"] {
            assert_eq!(library.file(name), None, "{name}");
        }
        let error = MapLibrary::find(Some(&cache.join("5.11.0"))).unwrap_err();
        assert!(error.contains("5.11.0") && error.contains("maplibre-gl-csp-worker.js"), "{error}");
    }
}
