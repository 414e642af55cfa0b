//! Event files as TensorBoard reads them.
//!
//! A folder holds one file for each part of a run. TensorBoard reads them in the order of their names; the record of a
//! start in each takes back what earlier ones hold of its step and later steps.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::appended::Appended;
use super::event::{Event, START, SessionLog, Summary, VERSION, Value};
use super::fault;
use super::record_io::framed;
use crate::TrainError;
use crate::pretrain::Measures;

/// How the names begin; TensorBoard opens files that have `tfevents` in their names.
const PREFIX: &str = "events.out.tfevents.";

/// An event file of this part of the run.
#[derive(Debug)]
pub(super) struct EventFile(Appended);

impl EventFile {
    /// Begins a file that goes on at a step.
    pub(super) fn create(folder: &Path, step: usize) -> Result<Self, TrainError> {
        let path = folder.join(format!("{PREFIX}{:010}.skysense", order(folder)?));
        let file = std::fs::File::create_new(&path).map_err(|error| fault(&path, &error))?;
        let mut events = Self(Appended::new(&path, file, 0)?);
        events.push(&Event { file_version: Some(VERSION.into()), ..now(0) })?;
        events.push(&Event { session_log: Some(SessionLog { status: START }), ..now(step) })?;
        Ok(events)
    }

    /// Writes the values of a step. What stands behind a dot in a name stands behind a stroke in TensorBoard, which
    /// groups by what is before the first one.
    pub(super) fn write(&mut self, measures: &Measures) -> Result<(), TrainError> {
        let value =
            |(name, value): (&str, f64)| Value { tag: name.replace('.', "/"), simple_value: Some(value as f32) };
        let all = measures.values.iter().map(|(name, value)| (name.as_str(), *value));
        let value = all.chain([("epoch", measures.epoch)]).map(value).collect();
        self.push(&Event { summary: Some(Summary { value }), ..now(measures.step) })
    }

    fn push(&mut self, event: &Event) -> Result<(), TrainError> {
        self.0.push(&framed(&event.encode_to_vec()))
    }
}

/// The number in a new file's name: seconds since 1970, or the next one behind all files of the folder.
fn order(folder: &Path) -> Result<u64, TrainError> {
    let taken = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.strip_prefix(PREFIX)?.split('.').next()?.parse::<u64>().ok()
    };
    let entries = std::fs::read_dir(folder).map_err(|error| fault(folder, &error))?;
    let last = entries.filter_map(taken).max();
    Ok(last.map_or(0, |last| last + 1).max(seconds() as u64))
}

fn now(step: usize) -> Event {
    Event { wall_time: seconds(), step: step as i64, ..Event::default() }
}

fn seconds() -> f64 {
    // A clock before 1970 is 1970: the time is for people, the order comes from the names.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::record_io::tests::unframed;
    use super::super::tests::measures;
    use super::*;

    /// All events of a folder in the order in which TensorBoard reads them.
    pub(in crate::record) fn events(folder: &Path) -> Vec<Event> {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.to_str().unwrap().contains("tfevents"));
        files.sort();
        let read = |path: &std::path::PathBuf| unframed(&std::fs::read(path).unwrap());
        files.iter().flat_map(read).map(|record| Event::decode(&record[..]).unwrap()).collect()
    }

    /// Steps and values of a tag, as TensorBoard's accumulator keeps them.
    pub(in crate::record) fn as_tensorboard_reads(events: &[Event], tag: &str) -> Vec<(i64, f32)> {
        let mut kept: Vec<(i64, f32)> = Vec::new();
        for event in events {
            if event.session_log.as_ref().is_some_and(|log| log.status == START) {
                kept.retain(|(step, _)| *step < event.step);
            }
            let values = event.summary.iter().flat_map(|summary| &summary.value).filter(|value| value.tag == tag);
            kept.extend(values.map(|value| (event.step, value.simple_value.unwrap())));
        }
        kept
    }

    #[test]
    fn files_of_one_second_are_read_in_the_order_in_which_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        for part in 0..3 {
            let mut file = EventFile::create(folder.path(), 1).unwrap();
            file.write(&measures(1, f64::from(part))).unwrap();
        }
        let events = events(folder.path());
        assert_eq!(events.len(), 9);
        assert!(events.iter().step_by(3).all(|event| event.file_version.as_deref() == Some(VERSION)));
        assert_eq!(as_tensorboard_reads(&events, "loss"), [(1, 2.0)]);
        assert_eq!(as_tensorboard_reads(&events, "epoch"), [(1, 0.25)]);
    }
}
