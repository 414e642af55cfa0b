//! Where QGIS keeps the plugins of a profile.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{exit::Exit, failure::Failure};

/// Name of the plugin's folder: the one that QGIS knows it by.
pub(super) const PLUGIN: &str = "skysense";

/// The folder with the plugins of a profile: of QGIS_CUSTOM_CONFIG_PATH, or where this system keeps it. A profile of
/// QGIS 4 is taken where QGIS 3 was never used.
pub(super) fn plugins_folder(profile: &str) -> Result<PathBuf, Failure> {
    let within = |root: PathBuf| root.join("profiles").join(profile).join("python").join("plugins");
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(root) = variable("QGIS_CUSTOM_CONFIG_PATH") {
        return Ok(within(root));
    }
    let data = match env::consts::OS {
        "windows" => variable("APPDATA"),
        "macos" => variable("HOME").map(|home| home.join("Library").join("Application Support")),
        // As Qt finds it, which QGIS asks.
        _ => variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local").join("share"))),
    };
    let Some(data) = data else {
        let failure = Failure::new(Exit::Resources, "this machine does not say where settings of its user are");
        return Err(failure.hint("name the folder with QGIS plugins: `--to FOLDER`"));
    };
    let versions = ["QGIS3", "QGIS4"].map(|version| data.join("QGIS").join(version));
    let [three, four] = versions;
    Ok(within(if four.exists() && !three.exists() { four } else { three }))
}

/// Whether a folder holds this plugin, whatever its version.
pub(super) fn is_ours(folder: &Path) -> bool {
    fs::read_to_string(folder.join("metadata.txt")).is_ok_and(|text| text.lines().any(|line| line == "name=SkySense"))
}
