//! An edge with several readers: written once to a file in the run's scratch folder, read by each reader at
//! its own pace. A queue per reader would deadlock when one reader waits for another (a diamond), or grow
//! with the area.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use skysense_abi::NodeError;

use super::edge::Wanted;
use crate::cancel::Cancel;
use crate::error::folder_error;

/// How often a waiting reader looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(20);
const READ: &str = "read the spool file of an edge";

/// A spool file with one writer and several readers. Each batch is an Arrow IPC stream of its own, so that a
/// reader can start anywhere.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    cancel: Cancel,
}

#[derive(Debug)]
struct State {
    file: Option<File>,
    /// Start and length of each batch in the file.
    batches: Vec<(u64, usize)>,
    end: u64,
    closed: Option<bool>,
    readers: usize,
}

impl Spool {
    pub(super) fn new(path: PathBuf, readers: usize, cancel: Cancel) -> Self {
        let state = State { file: None, batches: Vec::new(), end: 0, closed: None, readers };
        Self { path, state: Mutex::new(state), changed: Condvar::new(), cancel }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, batch: &RecordBatch) -> Result<Wanted, NodeError> {
        if self.cancel.is_cancelled() {
            return Err(NodeError::cancelled());
        }
        if self.lock().readers == 0 {
            return Ok(Wanted::Nothing);
        }
        let mut bytes = Vec::new();
        let mut encode = || {
            let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema())?;
            writer.write(batch)?;
            writer.finish()
        };
        encode().map_err(|e: ArrowError| NodeError::from_error("spool", &e).at("file", self.path.display()))?;
        let mut state = self.lock();
        let write = |state: &mut State| {
            if state.file.is_none() {
                state.file = Some(File::create(&self.path)?);
            }
            let Some(file) = state.file.as_mut() else { return Ok(()) };
            file.write_all(&bytes)
        };
        write(&mut state).map_err(|e| folder_error("write the spool file of an edge", &self.path, &e))?;
        let start = state.end;
        state.batches.push((start, bytes.len()));
        state.end += bytes.len() as u64;
        self.changed.notify_all();
        Ok(Wanted::More)
    }

    pub(super) fn close(&self, complete: bool) {
        self.lock().closed.get_or_insert(complete);
        self.changed.notify_all();
    }

    pub(super) fn reader(spool: &Arc<Self>) -> SpoolReader {
        SpoolReader { spool: spool.clone(), file: None, next: 0, ended: false }
    }
}

/// One reader's end.
pub(super) struct SpoolReader {
    spool: Arc<Spool>,
    file: Option<File>,
    next: usize,
    ended: bool,
}

impl SpoolReader {
    /// Where the next batch lies; `None` at the end.
    fn place_of_next(&self) -> Result<Option<(u64, usize)>, NodeError> {
        let mut state = self.spool.lock();
        loop {
            if self.spool.cancel.is_cancelled() {
                return Err(NodeError::cancelled());
            }
            if let Some(&place) = state.batches.get(self.next) {
                return Ok(Some(place));
            }
            match state.closed {
                Some(true) => return Ok(None),
                Some(false) => return Err(NodeError::cancelled()),
                None => state = self.spool.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0,
            }
        }
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, NodeError> {
        let Some((start, length)) = self.place_of_next()? else { return Ok(None) };
        let path = &self.spool.path;
        let mut bytes = vec![0; length];
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(path).map_err(|e| folder_error(READ, path, &e))?),
        };
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| folder_error(READ, path, &e))?;
        // Columns are slices of this buffer: nothing is copied.
        let mut buffer = Buffer::from_vec(bytes);
        let batch = StreamDecoder::new()
            .decode(&mut buffer)
            .map_err(|e| NodeError::from_error("spool", &e).at("file", path.display()))?;
        self.next += 1;
        match batch {
            Some(batch) => Ok(Some(batch)),
            None => Err(NodeError::new("spool", "a spooled batch is cut short").at("file", path.display())),
        }
    }
}

impl Iterator for SpoolReader {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        let mut state = self.spool.lock();
        state.readers -= 1;
        if state.readers == 0 {
            state.file = None;
            // Best effort: the scratch folder goes with the run anyway.
            let _ = std::fs::remove_file(&self.spool.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(n: i32) -> RecordBatch {
        let meta = [("kind".to_owned(), "chip".to_owned())].into();
        let fields =
            vec![Field::new("n", DataType::Int32, false).with_metadata(meta), Field::new("s", DataType::Utf8, true)];
        let text = StringArray::from(vec![Some("a"), None]);
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(Int32Array::from(vec![n, -n])), Arc::new(text)];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    #[test]
    fn every_reader_gets_every_batch_at_its_own_pace_and_the_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.spool");
        let spool = Arc::new(Spool::new(path.clone(), 2, Cancel::new()));
        let (mut early, late) = (Spool::reader(&spool), Spool::reader(&spool));
        assert_eq!(spool.push(&batch(1)).unwrap(), Wanted::More);
        assert_eq!(early.next().unwrap().unwrap(), batch(1));
        spool.push(&batch(2)).unwrap();
        spool.close(true);
        assert_eq!(early.by_ref().map(Result::unwrap).collect::<Vec<_>>(), [batch(2)]);
        drop(early);
        assert!(path.exists());
        assert_eq!(late.map(Result::unwrap).collect::<Vec<_>>(), [batch(1), batch(2)]);
        assert!(!path.exists());
        assert_eq!(spool.push(&batch(3)).unwrap(), Wanted::Nothing);
    }

    #[test]
    fn an_unwritable_folder_is_an_error_that_names_the_file() {
        let spool = Spool::new("/no/such/folder/edge.spool".into(), 1, Cancel::new());
        let error = spool.push(&batch(1)).unwrap_err();
        assert_eq!((error.code.as_str(), error.hint.is_some()), ("disk.run-folder", true), "{error}");
        assert!(error.message.contains("/no/such/folder/edge.spool"), "{error}");
    }
}
