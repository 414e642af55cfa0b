//! Bytes of a file at a place, read when they are wanted: nothing is held, nothing is mapped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{CheckpointError, Result};

/// A file that stays open while tensors of it are in use.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Arc<Self>> {
        let fault = |source| CheckpointError::Io { action: "read", path: path.to_path_buf(), source };
        let file = File::open(path).map_err(fault)?;
        let about = file.metadata().map_err(fault)?;
        if about.is_dir() {
            return Err(fault(std::io::ErrorKind::IsADirectory.into()));
        }
        Ok(Arc::new(Self { path: path.to_path_buf(), file, length: about.len() }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `bytes` from `offset`.
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, bytes, offset).map_err(|source| CheckpointError::Io {
            action: "read",
            path: self.path.clone(),
            source,
        })
    }

    /// `length` bytes from `offset`, no more than `limit`: what a file says of itself is not taken for granted.
    pub(super) fn bytes(&self, offset: u64, length: u64, limit: u64, what: &str) -> Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.length);
        if end.is_none() || length > limit {
            let found = format!("{what} of {length} bytes");
            let expected = match end {
                None => format!("an end within the {} bytes of the file", self.length),
                Some(_) => format!("at most {limit} bytes"),
            };
            return Err(self.fault(Some(offset), found, expected));
        }
        // Bounded by `limit`, which callers keep at some megabytes.
        let mut bytes = vec![0; length as usize];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// A damaged file.
    pub(super) fn fault(
        &self,
        offset: Option<u64>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> CheckpointError {
        CheckpointError::Format {
            path: self.path.clone(),
            offset,
            found: found.into(),
            expected: expected.into(),
            hint: "the file is truncated or damaged: fetch it again and compare its size and checksum",
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}
