//! Constants in a file beside the graph: a protobuf message ends at 2 GiB, and memory sooner.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::proto::EntryProto;
use crate::checkpoint::CheckpointError;
use crate::{ModelError, Result};

/// Constants smaller than this stay in the graph: shapes of operators are looked at when a graph is loaded.
const SMALL: usize = 1024;
/// Constants begin at multiples of a page, so that they can be mapped.
const PAGE: u64 = 4096;

/// A file that is being written beside a graph.
#[derive(Debug)]
pub(crate) struct Beside {
    path: PathBuf,
    /// Name by which the graph looks for it: that of a file in its own folder.
    name: String,
    file: BufWriter<File>,
    end: u64,
    /// The first thing that went wrong; builders of graphs cannot return it.
    fault: Option<std::io::Error>,
}

impl Beside {
    /// Begins the file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|source| fault(path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path: path.to_path_buf(), name, file: BufWriter::new(file), end: 0, fault: None })
    }

    /// Writes the values of a constant and says where they are, or `None` where it is too small to stand here.
    pub(crate) fn take(&mut self, values: &[u8]) -> Option<Vec<EntryProto>> {
        if values.len() < SMALL {
            return None;
        }
        let offset = self.end.next_multiple_of(PAGE);
        let blank = vec![0; (offset - self.end) as usize];
        if let Err(error) = self.file.write_all(&blank).and_then(|()| self.file.write_all(values)) {
            let _first = self.fault.get_or_insert(error);
        }
        self.end = offset + values.len() as u64;
        let entry = |key: &str, value: String| EntryProto { key: key.into(), value };
        Some(vec![
            entry("location", self.name.clone()),
            entry("offset", offset.to_string()),
            entry("length", values.len().to_string()),
        ])
    }

    /// Brings everything to the disk.
    pub(crate) fn finish(self) -> Result<()> {
        let Self { path, file, fault: earlier, .. } = self;
        if let Some(source) = earlier {
            return Err(fault(&path, source));
        }
        let file = file.into_inner().map_err(|error| fault(&path, error.into_error()))?;
        file.sync_all().map_err(|source| fault(&path, source))
    }
}

fn fault(path: &Path, source: std::io::Error) -> ModelError {
    CheckpointError::Io { action: "write", path: path.to_path_buf(), source }.into()
}
