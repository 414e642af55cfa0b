//! Takes the QGIS plugin and the ready workflows that go with it into the binary, so that an installed `skysense` can
//! put the plugin in place.

use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut files = Vec::new();
    walk(&here.join("../../plugin/qgis/skysense"), "", &mut files)?;
    walk(&here.join("../../workflows/library"), "library/", &mut files)?;
    // The plugin repository wants the licence inside.
    let licence = here.join("../../LICENSE").canonicalize()?;
    println!("cargo::rerun-if-changed={}", licence.display());
    files.push(("LICENSE".to_owned(), licence));
    files.retain(|(name, _)| !name.ends_with(".schema.json"));
    files.sort();
    let mut text = "&[\n".to_owned();
    for (name, path) in files {
        let _infallible = writeln!(text, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    text.push_str("]\n");
    fs::write(out.join("qgis_files.rs"), text)
}

/// The files of a folder, by the name that they have in the plugin.
fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // What Python and editors leave behind is not part of the plugin.
        if name.starts_with('.') || name == "__pycache__" || name.ends_with(".pyc") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push((format!("{prefix}{name}"), path.canonicalize()?));
        }
    }
    Ok(())
}
