//! The folder that a run writes into. A run that begins anew needs it empty; where files of published items lie there,
//! they are put aside until the run came to its end, and come back where it does not.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{Result, ServeError};

/// Where files of published items wait: no folder of a group begins with a dot.
fn aside(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!(".{name}.before"))
}

/// Clears a folder for a run that begins anew; `published` says whether items of it stand.
pub(crate) fn clear(out: &Path, published: bool) -> Result<()> {
    let aside = aside(out);
    // What is aside already was published; what lies there now is of an attempt since.
    if published && !aside.exists() && out.exists() {
        return std::fs::rename(out, &aside).map_err(|error| ServeError::file("put aside", out, error));
    }
    remove(out)
}

/// Lets go what was put aside: the run came to its end.
pub(crate) fn keep(out: &Path) -> Result<()> {
    remove(&aside(out))
}

/// Brings back what was put aside: nothing else will come of the run.
pub(crate) fn restore(out: &Path) -> Result<()> {
    let aside = aside(out);
    if !aside.exists() {
        return Ok(());
    }
    remove(out)?;
    std::fs::rename(&aside, out).map_err(|error| ServeError::file("bring back", out, error))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ServeError::file("remove", folder, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of a run with one file in it.
    fn written(out: &Path, text: &str) {
        std::fs::create_dir_all(out).unwrap();
        std::fs::write(out.join("item.json"), text).unwrap();
    }

    fn text(out: &Path) -> Option<String> {
        std::fs::read_to_string(out.join("item.json")).ok()
    }

    #[test]
    fn files_of_items_that_stand_come_back_unless_the_run_ends_well() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("2021-W07");
        written(&out, "published");
        clear(&out, true).unwrap();
        assert_eq!(text(&out), None);
        written(&out, "first attempt");
        // The next attempt begins anew too: what was published is still aside.
        clear(&out, true).unwrap();
        assert_eq!(text(&out), None);
        written(&out, "second attempt");
        restore(&out).unwrap();
        assert_eq!(text(&out).as_deref(), Some("published"));
        clear(&out, true).unwrap();
        written(&out, "better");
        keep(&out).unwrap();
        restore(&out).unwrap();
        assert_eq!(text(&out).as_deref(), Some("better"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn what_was_never_published_goes() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("2021-W07");
        clear(&out, false).unwrap();
        written(&out, "lost");
        clear(&out, false).unwrap();
        restore(&out).unwrap();
        assert_eq!(text(&out), None);
    }
}
