//! Checkpoints of a run that has come to its end: the run's own folder goes, and they stay beside the package.

use std::path::{Path, PathBuf};

use serde_json::json;
use skysense_abi::{Host, Level};

/// Moves checkpoints beside the package at `out`, with `-checkpoints` behind its name, and names them in the run's report.
/// Those of a run before make room; what is no checkpoint does not. The model is worth more than they are: what cannot be
/// moved is told and is no error.
pub(crate) fn keep_checkpoints(from: &Path, out: &Path, host: &Host) {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push("-checkpoints");
    let to = out.with_file_name(name);
    match moved(from, &to) {
        Ok(()) => host.report("output", &json!({"href": to, "role": "checkpoint"})),
        Err(why) => host.log(Level::Warn, format!("no checkpoints are kept at {}: {why}", to.display())),
    }
}

fn moved(from: &Path, to: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    if to.exists() {
        let strange = entries(to).map_err(told)?.into_iter().find(|path| !is_checkpoint(path));
        if let Some(strange) = strange {
            return Err(format!("{} is no checkpoint; move the folder away", strange.display()));
        }
        std::fs::remove_dir_all(to).map_err(told)?;
    }
    // From one file system to another nothing can be renamed.
    std::fs::rename(from, to).or_else(|_| copied(from, to)).map_err(told)
}

fn copied(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for path in entries(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() { copied(&path, &target)? } else { std::fs::copy(&path, &target).map(drop)? }
    }
    Ok(())
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn is_checkpoint(path: &Path) -> bool {
    path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]
mod tests {
    use super::*;

    #[test]
    fn those_before_make_room_and_what_is_no_checkpoint_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("run"), folder.path().join("model-checkpoints"));
        let fill = |step: &str| {
            std::fs::create_dir_all(from.join(step)).unwrap();
            std::fs::write(from.join(step).join("state.json"), step).unwrap();
        };
        fill("step-1");
        moved(&from, &to).unwrap();
        fill("step-2");
        moved(&from, &to).unwrap();
        assert_eq!(entries(&to).unwrap(), [to.join("step-2")]);
        fill("step-3");
        copied(&from, &folder.path().join("copy")).unwrap();
        assert_eq!(std::fs::read(folder.path().join("copy/step-3/state.json")).unwrap(), b"step-3");
        std::fs::write(to.join("notes.txt"), "mine").unwrap();
        assert!(moved(&from, &to).unwrap_err().contains("notes.txt"));
        assert!(to.join("notes.txt").is_file());
    }
}
