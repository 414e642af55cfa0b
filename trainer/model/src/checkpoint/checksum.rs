//! Checksums of the entries of an archive, held against the bytes while they are read.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{CheckpointError, Result};
use super::source::Source;

/// Bytes read at a time.
const PIECE: u64 = 4 << 20;

/// The bytes of an entry, and the checksum that the archive states.
#[derive(Debug)]
pub(super) struct Checksum {
    entry: String,
    pub(super) start: u64,
    pub(super) length: u64,
    stated: u32,
    /// Whether the bytes were found to have it: they are read more than once.
    held: AtomicBool,
}

impl Checksum {
    /// `None` where the archive states none: torch.save can be told to leave them out, and writes 0 then.
    pub(super) fn new(entry: &str, start: u64, length: u64, stated: u32) -> Option<Self> {
        (stated != 0).then(|| Self { entry: entry.into(), start, length, stated, held: AtomicBool::new(false) })
    }

    /// Whether the bytes were found to be sound before.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Reads the bytes of the entry, unless they were found to be sound before.
    pub(super) fn hold(&self, source: &Source) -> Result<()> {
        if self.is_held() {
            return Ok(());
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; PIECE.min(self.length) as usize];
        let mut done = 0;
        while done < self.length {
            let piece = &mut buffer[..PIECE.min(self.length - done) as usize];
            source.read(self.start + done, piece)?;
            hasher.update(piece);
            done += piece.len() as u64;
        }
        self.compare(source, hasher)
    }

    /// Compares the sum of bytes that were all read.
    pub(super) fn compare(&self, source: &Source, found: crc32fast::Hasher) -> Result<()> {
        let found = found.finalize();
        if found == self.stated {
            self.held.store(true, Ordering::Relaxed);
            return Ok(());
        }
        Err(CheckpointError::Format {
            path: source.path().to_path_buf(),
            offset: Some(self.start),
            found: format!("CRC-32 {found:08x} of {:?} ({} bytes)", self.entry, self.length),
            expected: format!("{:08x}, which the archive states", self.stated),
            hint: "bytes of this part were changed: fetch the file again and compare its checksum",
        })
    }
}
