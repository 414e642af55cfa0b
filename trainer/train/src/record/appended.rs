//! A file that whole pieces are appended to: a piece that did not fit on the disk leaves nothing behind.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::fault;
use crate::TrainError;

#[derive(Debug)]
pub(super) struct Appended {
    path: PathBuf,
    file: File,
    /// Bytes of whole pieces.
    length: u64,
}

impl Appended {
    /// Goes on behind so many bytes of a file; what lies behind them goes.
    pub(super) fn new(path: &Path, file: File, length: u64) -> Result<Self, TrainError> {
        file.set_len(length).map_err(|error| fault(path, &error))?;
        Ok(Self { path: path.to_path_buf(), file, length })
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), TrainError> {
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(piece));
        match written {
            Ok(()) => {
                self.length += piece.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Where even this fails, the next piece is written over what is there.
                let _ = self.file.set_len(self.length);
                Err(fault(&self.path, &error))
            }
        }
    }
}
