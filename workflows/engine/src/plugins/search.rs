//! Where plugins are looked for.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use super::Refused;

/// Folders and files in which plugins are looked for, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPath {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    /// Whether someone named it: then it has to be there, and every library in it is taken for a plugin.
    named: bool,
}

impl SearchPath {
    /// The standard places: what SKYSENSE_PLUGIN_PATH names (folders or libraries, separated as in PATH), the
    /// folder of this program, `../lib/skysense/plugins` beside it, and `skysense/plugins` in the user's data
    /// folder ($XDG_DATA_HOME, else ~/.local/share).
    ///
    /// In the folder of the program only libraries called `skysense_…` are plugins, since other libraries live
    /// there too.
    pub fn standard() -> Self {
        let own = env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
        Self::standard_of(&own.into_iter().collect::<Vec<_>>())
    }

    /// The standard places with other folders in the place of the program's: for a library inside another program.
    pub fn standard_of(own: &[PathBuf]) -> Self {
        let mut it = Self::default();
        if let Some(paths) = env::var_os("SKYSENSE_PLUGIN_PATH") {
            for path in env::split_paths(&paths).filter(|p| !p.as_os_str().is_empty()) {
                it = it.with(path);
            }
        }
        let mut place = |path: PathBuf| it.entries.push(Entry { path, named: false });
        for folder in own {
            place(folder.clone());
            place(folder.join("../lib/skysense/plugins"));
        }
        if let Some(data) = data_folder() {
            place(data.join("skysense/plugins"));
        }
        it
    }

    /// Adds a folder or a library that has to be there.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>) -> Self {
        self.entries.push(Entry { path: path.into(), named: true });
        self
    }

    /// The folders and files, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.iter().map(|e| e.path.as_path())
    }

    /// The libraries to load, each once, and the named places that are not there.
    pub(super) fn files(&self) -> (Vec<PathBuf>, Vec<Refused>) {
        let (mut files, mut missing, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for entry in &self.entries {
            let mut refuse = |path: &Path, reason: String| missing.push(Refused { path: path.to_owned(), reason });
            let found = if entry.path.is_dir() {
                libraries(&entry.path, entry.named).unwrap_or_else(|error| {
                    refuse(&entry.path, format!("the folder cannot be read: {error}"));
                    Vec::new()
                })
            } else if entry.path.exists() {
                vec![entry.path.clone()]
            } else {
                if entry.named {
                    refuse(&entry.path, "it is on the search path for plugins and does not exist".to_owned());
                }
                Vec::new()
            };
            // The system's loader would wait for ever on a pipe, and a link may lead nowhere.
            let (found, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.is_file());
            others.iter().for_each(|path| refuse(path, "it is no file".to_owned()));
            files.extend(found.into_iter().filter(|f| seen.insert(f.canonicalize().unwrap_or_else(|_| f.clone()))));
        }
        (files, missing)
    }
}

/// The user's data folder: $XDG_DATA_HOME, else ~/.local/share.
pub fn data_folder() -> Option<PathBuf> {
    let named = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| env::home_dir().map(|home| home.join(".local/share")))
}

fn libraries(folder: &Path, all: bool) -> std::io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(stem) = name.strip_suffix(env::consts::DLL_SUFFIX) else { return false };
            all || stem.strip_prefix(env::consts::DLL_PREFIX).is_some_and(|stem| stem.starts_with("skysense_"))
        })
        .collect();
    // The order of a folder's entries is the file system's; ours is not.
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_folders_give_every_library_and_missing_ones_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let suffix = env::consts::DLL_SUFFIX;
        for name in ["b", "a", "notes"] {
            let end = if name == "notes" { ".txt" } else { suffix };
            std::fs::write(folder.path().join(format!("{name}{end}")), "").unwrap();
        }
        let search = SearchPath::default().with(folder.path()).with(folder.path().join(format!("a{suffix}")));
        let (files, missing) = search.with("no/such/folder").files();
        let names: Vec<_> = files.iter().map(|f| f.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(missing[0].path, Path::new("no/such/folder"));
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(format!("folder{}", env::consts::DLL_SUFFIX))).unwrap();
        let (files, refused) = SearchPath::default().with(folder.path()).files();
        assert!(files.is_empty() && refused.len() == 1 && refused[0].reason == "it is no file", "{refused:?}");
        // A pipe without a writer: opening it would wait for ever.
        #[cfg(unix)]
        {
            let pipe = folder.path().join(format!("pipe{}", env::consts::DLL_SUFFIX));
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            let set = super::super::PluginSet::discover(&SearchPath::default().with(&pipe));
            assert_eq!(set.refused().iter().map(|r| r.path.as_path()).collect::<Vec<_>>(), [pipe.as_path()]);
        }
    }

    #[test]
    fn beside_the_program_only_our_names_count() {
        let folder = tempfile::tempdir().unwrap();
        let (prefix, suffix) = (env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        for name in ["skysense_plugin", "onnxruntime"] {
            std::fs::write(folder.path().join(format!("{prefix}{name}{suffix}")), "").unwrap();
        }
        let found = libraries(folder.path(), false).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with(format!("{prefix}skysense_plugin{suffix}")));
    }
}
