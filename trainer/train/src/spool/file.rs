//! A file of records that lives as long as the value.
//!
//! It is read at places and not mapped: pages of a mapped file would count as memory of the process.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::TrainError;

/// Number of the next file of this process, so that no two have one name.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Records, written one after the other and read in any order.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// Start and length of each record.
    records: Vec<(u64, usize)>,
    end: u64,
}

impl Spool {
    /// An empty one in a folder, which is made if it is not there.
    pub(crate) fn new(folder: &Path) -> Result<Self, TrainError> {
        let make = || {
            std::fs::create_dir_all(folder)?;
            loop {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let path = folder.join(format!("samples-{}-{number}.spool", std::process::id()));
                match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                    // Of a process of that number on another machine, or of one that ended.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    made => return made.map(|file| (path, file)),
                }
            }
        };
        let (path, file) = make().map_err(|source| fault(folder, "make", source))?;
        // The name goes at once where the system allows it, so that nothing is left of a process that is killed; the bytes
        // go with the handle.
        let _named = std::fs::remove_file(&path);
        Ok(Self { folder: folder.to_path_buf(), path, file, records: Vec::new(), end: 0 })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<(), TrainError> {
        // Of a record that could not be written whole nothing counts.
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(record));
        written.map_err(|source| fault(&self.folder, "write", source))?;
        self.records.push((self.end, record.len()));
        self.end += record.len() as u64;
        Ok(())
    }

    /// Reads a record.
    pub(crate) fn read(&self, index: usize) -> Result<Vec<u8>, TrainError> {
        let (start, length) = self.records[index];
        let mut record = vec![0; length];
        read_exact_at(&self.file, &mut record, start).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => {
                let found = self.file.metadata().map_or(0, |file| file.len());
                self.damaged(&format!("it is cut short: {found} bytes, expected {}", self.end))
            }
            _ => fault(&self.folder, "read", source),
        })?;
        Ok(record)
    }

    /// The error of a record that is not what was written.
    pub(crate) fn damaged(&self, what: &str) -> TrainError {
        fault(&self.folder, "read", Error::new(ErrorKind::InvalidData, what))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Best effort, where a file in use keeps its name.
        let _gone = std::fs::remove_file(&self.path);
    }
}

fn fault(folder: &Path, action: &'static str, source: Error) -> TrainError {
    TrainError::Spool { folder: folder.to_path_buf(), action, source }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_in_any_order_and_nothing_is_left_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join("made");
        let mut spool = Spool::new(&within).unwrap();
        let mut other = Spool::new(&within).unwrap();
        for record in [&b"one"[..], b"", b"three"] {
            spool.push(record).unwrap();
            other.push(b"other").unwrap();
        }
        assert_eq!([2, 0, 1].map(|at| spool.read(at).unwrap()), [b"three".to_vec(), b"one".to_vec(), Vec::new()]);
        assert_eq!(other.read(1).unwrap(), b"other");
        drop((spool, other));
        assert_eq!(std::fs::read_dir(&within).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_was_cut_short_is_told_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path()).unwrap();
        (0..2).for_each(|_| spool.push(&[7; 10]).unwrap());
        spool.file.set_len(15).unwrap();
        assert_eq!(spool.read(0).unwrap(), [7; 10]);
        let told = spool.read(1).unwrap_err().to_string();
        assert!(told.contains("cut short: 15 bytes, expected 20"), "{told}");
        assert!(told.contains(&folder.path().display().to_string()), "{told}");
    }

    /// `/dev/full` has room for nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_with_its_folder_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path()).unwrap();
        spool.push(b"one").unwrap();
        let kept = std::mem::replace(&mut spool.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        let error = spool.push(b"two").unwrap_err();
        let TrainError::Spool { action: "write", source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::StorageFull);
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        spool.file = kept;
        spool.push(b"three").unwrap();
        assert_eq!([0, 1].map(|at| spool.read(at).unwrap()), [b"one".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let told = Spool::new(&file.join("under")).unwrap_err().to_string();
        assert!(told.contains("cannot make") && told.contains("under"), "{told}");
    }
}
