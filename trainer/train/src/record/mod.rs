//! What becomes of the numbers of each step: a file with a JSON object a line, and event files that TensorBoard opens.

mod appended;
mod crc32c;
mod event;
mod event_file;
mod json_lines;
mod record_io;

use std::path::{Path, PathBuf};

use self::event_file::EventFile;
use self::json_lines::JsonLines;
use crate::TrainError;
use crate::pretrain::Measures;

pub use json_lines::read_measures;

/// Name of the file with an object a line.
const LINES: &str = "metrics.jsonl";

/// Records the measures of a run in a folder: `metrics.jsonl` and `events.out.tfevents.…`.
///
/// A run that goes on from a checkpoint measures steps again that it had measured before it was stopped. The first step
/// that is recorded says where it goes on: what lies at that step or behind it goes, so that each step is there once.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
    open: Option<(JsonLines, EventFile)>,
}

impl Recorder {
    /// A recorder into a folder, which is made with the first record.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), open: None }
    }

    /// The file with an object a line: `step`, `steps`, `epoch`, and the values by name; `null` for what is no number.
    pub fn lines(&self) -> PathBuf {
        self.folder.join(LINES)
    }

    /// The folder that TensorBoard is to open.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Records the measures of one step.
    ///
    /// # Errors
    /// Files that cannot be written, or that hold something else; what was recorded before stays whole, and the next
    /// step may be recorded nevertheless.
    pub fn record(&mut self, measures: &Measures) -> Result<(), TrainError> {
        if self.open.is_none() {
            let fault = |error: std::io::Error| fault(&self.folder, &error);
            std::fs::create_dir_all(&self.folder).map_err(fault)?;
            let lines = JsonLines::open(&self.lines(), measures.step)?;
            self.open = Some((lines, EventFile::create(&self.folder, measures.step)?));
        }
        let Some((lines, events)) = &mut self.open else { return Ok(()) };
        // One that fails does not keep the other from being written.
        let (line, event) = (lines.write(measures), events.write(measures));
        line.and(event)
    }
}

/// A file that cannot be used, in words.
fn fault(path: &Path, error: &std::io::Error) -> TrainError {
    TrainError::Record { path: path.to_path_buf(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn measures(step: usize, loss: f64) -> Measures {
        let values = [("loss".to_owned(), loss), ("loss.image.s2".to_owned(), loss / 3.0)].into();
        Measures { step, steps: 10, epoch: step as f64 / 4.0, values }
    }

    #[test]
    fn each_step_is_there_once_after_a_run_was_stopped_and_went_on() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("records");
        let record = |steps: std::ops::RangeInclusive<usize>, loss: f64| {
            let mut recorder = Recorder::new(&inside);
            steps.for_each(|step| recorder.record(&measures(step, loss)).unwrap());
            recorder.lines()
        };
        record(1..=7, 2.0);
        let lines = record(5..=10, 1.0);
        let found = read_measures(&lines).unwrap();
        assert_eq!(found.iter().map(|m| m.step).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!(found.iter().map(|m| m.values["loss"]).collect::<Vec<_>>()[3..5], [2.0, 1.0]);
        assert_eq!(found[9], measures(10, 1.0));
        // Seven of the first part and six of the second: TensorBoard leaves out what the second part took back.
        let events = event_file::tests::events(&inside);
        assert_eq!(event_file::tests::as_tensorboard_reads(&events, "loss").len(), 10);
        assert_eq!(event_file::tests::as_tensorboard_reads(&events, "loss/image/s2")[4], (5, 1.0 / 3.0));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = Recorder::new(&file.join("records")).record(&measures(1, 1.0)).unwrap_err().to_string();
        assert!(error.contains("file/records") && error.contains("metrics"), "{error}");
    }
}
