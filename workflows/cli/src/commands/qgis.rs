//! `skysense qgis`: puts the QGIS plugin in place, packs it, takes it away.

mod folder;
mod zip;

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use self::folder::{PLUGIN, is_ours, plugins_folder};
use super::{Subcommand, path_text};
use crate::{context::Context, exit::Exit, failure::Failure};

/// The plugin's files by their path in its folder, the ready workflows under `library/`, and the licence.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/qgis_files.rs"));
/// Tells the installed plugin which binary put it there.
const INSTALLED: &str = "installed.json";

/// Options of `qgis`.
#[derive(Debug, Args)]
pub(crate) struct Qgis {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Put the plugin into the folder from which QGIS loads plugins
    Install(Place),
    /// Take the plugin out of that folder again
    Uninstall(Place),
    /// Pack the plugin as the plugin repository and "Install from ZIP" take it
    Zip {
        /// File to write
        #[arg(short, long, value_name = "FILE", value_parser = path_text)]
        output: Option<PathBuf>,
        /// Overwrite the file if it is there
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// Profile of QGIS
    #[arg(long, value_name = "NAME", default_value = "default")]
    profile: String,
    /// Folder that holds QGIS plugins, such as one of QGIS_PLUGINPATH, in place of that of the profile
    #[arg(long, value_name = "FOLDER", value_parser = path_text)]
    to: Option<PathBuf>,
}

impl Place {
    fn folder(&self) -> Result<PathBuf, Failure> {
        match &self.to {
            Some(folder) => Ok(folder.clone()),
            None => plugins_folder(&self.profile),
        }
    }

    /// The same place for another command.
    fn words(&self) -> String {
        match &self.to {
            Some(folder) => format!(" --to {}", folder.display()),
            None if self.profile == "default" => String::new(),
            None => format!(" --profile {}", self.profile),
        }
    }
}

impl Subcommand for Qgis {
    const NAME: &'static str = "qgis";
    const ABOUT: &'static str = "Put the QGIS plugin in place, pack it, or take it away";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::Install(place) => install(&place, context),
            What::Uninstall(place) => uninstall(&place, context),
            What::Zip { output, force } => pack(output, force, context),
        }
    }
}

fn install(place: &Place, context: &Context) -> Result<Exit, Failure> {
    let plugins = place.folder()?;
    let folder = plugins.join(PLUGIN);
    let replaced = folder.exists();
    if replaced && !is_ours(&folder) {
        let message = format!("{} is there and is not this plugin", folder.display());
        return Err(Failure::new(Exit::Data, message).hint("move it away, or name another folder with `--to`"));
    }
    // Written beside its place and moved there whole, so that QGIS never loads half a plugin.
    let fresh = plugins.join(format!(".{PLUGIN}-{}", std::process::id()));
    let written = write_all(&fresh).and_then(|()| put(&fresh, &folder));
    if let Err(failure) = written {
        let _nothing_more_to_do = fs::remove_dir_all(&fresh);
        return Err(failure);
    }
    let undo = format!("skysense qgis uninstall{}", place.words());
    let next = "start QGIS, open Plugins > Manage and Install Plugins > Installed, and tick SkySense; \
                without a desktop: qgis_process plugins enable skysense";
    context.answer(
        &json!({"ok": true, "folder": folder.display().to_string(), "files": FILES.len(), "replaced": replaced, "next": next, "undo": undo}),
        || {
            let what = if replaced { "replaced" } else { "installed" };
            format!("{what} {}\nnext: {next}\nundo: {undo}", folder.display())
        },
    )?;
    Ok(Exit::Ok)
}

/// Puts the new folder in the place of the old one; where that fails, the old one is back.
fn put(fresh: &Path, folder: &Path) -> Result<(), Failure> {
    let old = fresh.with_extension("old");
    let replaced = folder.exists();
    if replaced {
        fs::rename(folder, &old).map_err(|error| Failure::file("replace", folder, &error))?;
    }
    if let Err(error) = fs::rename(fresh, folder) {
        if replaced {
            let _nothing_more_to_do = fs::rename(&old, folder);
        }
        return Err(Failure::file("write", folder, &error));
    }
    if replaced {
        fs::remove_dir_all(&old).map_err(|error| Failure::file("remove", &old, &error))?;
    }
    Ok(())
}

fn write_all(folder: &Path) -> Result<(), Failure> {
    let binary = std::env::current_exe().ok().map(|path| path.canonicalize().unwrap_or(path).display().to_string());
    let installed = json!({"binary": binary, "version": env!("CARGO_PKG_VERSION")}).to_string();
    for (name, bytes) in FILES.iter().copied().chain([(INSTALLED, installed.as_bytes())]) {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| Failure::file("create", parent, &error))?;
        fs::write(&path, bytes).map_err(|error| Failure::file("write", &path, &error))?;
    }
    Ok(())
}

fn uninstall(place: &Place, context: &Context) -> Result<Exit, Failure> {
    let folder = place.folder()?.join(PLUGIN);
    if !folder.exists() {
        let failure = Failure::new(Exit::Data, format!("{} is not there", folder.display()));
        return Err(failure.hint("`--profile` names another profile of QGIS, `--to` another folder"));
    }
    if !is_ours(&folder) {
        let message = format!("{} is not this plugin, so it stays", folder.display());
        return Err(Failure::new(Exit::Data, message).hint("remove it by hand if you are sure"));
    }
    fs::remove_dir_all(&folder).map_err(|error| Failure::file("remove", &folder, &error))?;
    let undo = format!("skysense qgis install{}", place.words());
    context.answer(&json!({"ok": true, "folder": folder.display().to_string(), "undo": undo}), || {
        format!("removed {}\nnext: restart QGIS; its settings of the plugin stay\nundo: {undo}", folder.display())
    })?;
    Ok(Exit::Ok)
}

fn pack(output: Option<PathBuf>, force: bool, context: &Context) -> Result<Exit, Failure> {
    let file = output.unwrap_or_else(|| PathBuf::from(format!("{PLUGIN}-qgis-{}.zip", env!("CARGO_PKG_VERSION"))));
    let named = FILES.iter().map(|(name, bytes)| (format!("{PLUGIN}/{name}"), *bytes));
    let bytes = zip::archive(named).map_err(|message| Failure::new(Exit::Internal, message))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).create_new(!force).truncate(force);
    let written = options.open(&file).and_then(|mut open| std::io::Write::write_all(&mut open, &bytes));
    written.map_err(|error| {
        let failure = Failure::file("write", &file, &error);
        match error.kind() {
            ErrorKind::AlreadyExists => failure.hint("`--force` overwrites it, `--output` names another file"),
            _ => failure,
        }
    })?;
    context.answer(&json!({"ok": true, "file": file, "files": FILES.len(), "bytes": bytes.len()}), || {
        let next = "in QGIS, Plugins > Manage and Install Plugins > Install from ZIP, or upload it to plugins.qgis.org";
        format!("{}\nnext: {next}\nundo: delete the file", file.display())
    })?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_embedded_whole_and_says_its_version() {
        let text = |name: &str| {
            let (_, bytes) = FILES.iter().find(|(file, _)| *file == name).unwrap_or_else(|| panic!("no {name}"));
            String::from_utf8_lossy(bytes).into_owned()
        };
        let metadata = text("metadata.txt");
        for line in ["name=SkySense", "hasProcessingProvider=yes", concat!("version=", env!("CARGO_PKG_VERSION"))] {
            assert!(metadata.lines().any(|found| found == line), "{line} is missing in:\n{metadata}");
        }
        assert!(text("__init__.py").contains("classFactory"));
        assert!(!text("LICENSE").is_empty());
        assert!(text("library/map.yaml").starts_with("# yaml-language-server"));
        assert!(FILES.iter().all(|(name, _)| !name.contains("__pycache__") && *name != INSTALLED));
    }
}
