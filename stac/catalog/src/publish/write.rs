//! Files that are whole or not there.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{CatalogError, Result};

/// Writes JSON as [`write_whole`] does.
///
/// # Errors
/// As [`write_whole`].
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    let written = serde_json::to_vec_pretty(value);
    let mut text = written.map_err(|error| CatalogError::Write { path: path.to_owned(), source: error.into() })?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// Writes a file under a temporary name and renames it; a reader never sees half of it.
///
/// # Errors
/// A folder or file that cannot be written; the temporary file is taken away.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let fault = |source| CatalogError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fault)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let part = folder.join(format!(".{name}.{}.part", std::process::id()));
    let written = write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _gone = std::fs::remove_file(&part);
    }
    written.map_err(fault)
}

fn write(part: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Size of a file, and its SHA-256 as a multihash in hexadecimal (`1220…`), as the STAC file extension wants it.
///
/// # Errors
/// A file that cannot be read.
pub fn checksum(path: &Path) -> Result<(u64, String)> {
    let fault = |source| CatalogError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(fault)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = 0_u64;
    loop {
        let count = file.read(&mut buffer).map_err(fault)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
    let hexadecimal: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((size, format!("1220{hexadecimal}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_a_multihash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(checksum(&path).unwrap(), (3, format!("1220{sha256_of_abc}")));
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("x"), "x").unwrap();
        assert!(write_json(&path, &Value::Null).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
