//! JSON in a file: read up to a size, with what failed told apart, the file or what it holds.

use std::{fmt, fs::File, io::Read, path::Path};

use serde_json::Value;
use skysense_catalog::{Item, Root};

/// Largest item that is read, in bytes.
const LARGEST_ITEM: u64 = 16 << 20;

/// Why nothing was read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The file could not be read, which may pass.
    File(std::io::Error),
    /// What it holds is of no use.
    Content(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(formatter),
            Self::Content(reason) => reason.fmt(formatter),
        }
    }
}

/// The JSON in a file of at most so many bytes.
pub(crate) fn read_json(path: &Path, most: u64) -> Result<Value, Unread> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut text));
    if read.map_err(Unread::File)? as u64 > most {
        return Err(Unread::Content(format!("it has more than {most} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| Unread::Content(format!("no JSON: {error}")))
}

/// JSON of the size of an item.
pub(crate) fn read_small(path: &Path) -> Result<Value, Unread> {
    read_json(path, LARGEST_ITEM)
}

/// The item in a file.
pub(crate) fn read_item(path: &Path) -> Result<Item, Unread> {
    item(read_small(path)?, path)
}

/// JSON of a file as an item, whose hrefs are relative to that file.
pub(crate) fn item(value: Value, path: &Path) -> Result<Item, Unread> {
    let href = path.display().to_string();
    let read = Root::of(&href).and_then(|root| Item::from_json(value, &href, root));
    read.map_err(|error| Unread::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_one_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert!(matches!(read_item(&path), Err(Unread::File(_))));
        for text in ["{", "[]", "\u{fffd}", r#"{"type": "Feature"}"#] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(read_item(&path), Err(Unread::Content(_))), "{text}");
        }
        std::fs::write(&path, "[1, 2]").unwrap();
        assert!(read_json(&path, 6).is_ok());
        assert!(matches!(read_json(&path, 5), Err(Unread::Content(_))));
    }
}
