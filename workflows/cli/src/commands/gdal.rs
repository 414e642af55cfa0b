//! `skysense gdal`: where GDAL finds the driver plugin.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use skysense_engine::{SearchPath, data_folder};

use super::Subcommand;
use crate::{context::Context, exit::Exit, failure::Failure, output};

/// Name that GDAL looks for.
const PLUGIN: &str = "gdal_SkySense";
/// Folder beside the libraries in which it has that name.
const FOLDER: &str = "gdalplugins";

/// Options of `gdal`.
#[derive(Debug, Args)]
pub(crate) struct Gdal {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the folder for GDAL_DRIVER_PATH
    Path,
}

impl Subcommand for Gdal {
    const NAME: &'static str = "gdal";
    const ABOUT: &'static str = "Say where GDAL finds workflows as rasters";
    const DETAILS: &'static str = "With GDAL_DRIVER_PATH set to the folder that `path` prints, GDAL opens \
        SKYSENSE:workflow.yaml?param=value and *.skysense.yaml as rasters whose blocks are computed when read.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let What::Path = self.what;
        let folder = folder()?;
        let shown = folder.display().to_string();
        let before = env::var("GDAL_DRIVER_PATH").ok().filter(|before| !before.is_empty());
        let set = before.is_some_and(|before| env::split_paths(&before).any(|path| path == folder));
        let next = format!("export GDAL_DRIVER_PATH={shown}");
        let undo = "unset GDAL_DRIVER_PATH";
        context
            .answer(&json!({"ok": true, "folder": shown, "set": set, "next": next, "undo": undo}), || shown.clone())?;
        if !context.options.json {
            if set {
                output::note(&format!("GDAL_DRIVER_PATH names this folder already\nundo: {undo}"));
            } else {
                output::note(&format!("use:  {next}\nthen: gdalinfo SKYSENSE:workflow.yaml?param=value\nundo: {undo}"));
            }
        }
        Ok(Exit::Ok)
    }
}

/// The folder in which the plugin has the name that GDAL looks for; made where cargo built the library.
fn folder() -> Result<PathBuf, Failure> {
    let named = format!("{PLUGIN}{}", env::consts::DLL_SUFFIX);
    let built = format!("{}{named}", env::consts::DLL_PREFIX);
    let search = SearchPath::standard();
    // What is named may be a library: what lies beside it counts.
    let folders: Vec<PathBuf> = search
        .paths()
        .filter_map(|path| if path.is_file() { path.parent() } else { Some(path) })
        .map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()))
        .collect();
    for folder in &folders {
        let ready = folder.join(FOLDER);
        if ready.join(&named).is_file() {
            return Ok(ready);
        }
        let library = folder.join(&built);
        if library.is_file() {
            return link(&library, &ready, &named);
        }
    }
    let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let failure = Failure::new(Exit::Resources, format!("no {built} was found, nor {FOLDER}/{named}"));
    Err(failure
        .because(format!("looked in {}", looked.join(", ")))
        .hint("build the whole workspace (`cargo build --workspace`), or keep both beside the command"))
}

/// Gives the library the name that GDAL looks for, in a folder of its own: GDAL reads every library of the folder.
fn link(library: &Path, ready: &Path, named: &str) -> Result<PathBuf, Failure> {
    let place = |folder: &Path| -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let link = folder.join(named);
        // One that leads nowhere is in the way.
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        put(library, &link)
    };
    if place(ready).is_ok() {
        return Ok(ready.to_owned());
    }
    // Where the command is installed for all, its folder may not be written to.
    let own = data_folder().unwrap_or_else(|| ready.to_owned()).join("skysense").join(FOLDER);
    place(&own).map_err(|error| Failure::file("write", &own, &error))?;
    Ok(own)
}

#[cfg(unix)]
fn put(library: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(library, link)
}

#[cfg(not(unix))]
fn put(library: &Path, link: &Path) -> std::io::Result<()> {
    fs::copy(library, link).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("library");
        fs::write(&library, "one").unwrap();
        let ready = folder.path().join(FOLDER);
        fs::create_dir(&ready).unwrap();
        put(&folder.path().join("gone"), &ready.join("named")).unwrap();
        let found = link(&library, &ready, "named").unwrap();
        assert_eq!(fs::read_to_string(found.join("named")).unwrap(), "one");
    }
}
