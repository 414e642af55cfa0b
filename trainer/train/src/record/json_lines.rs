//! A JSON object a line: one for each step.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::appended::Appended;
use super::fault;
use crate::TrainError;
use crate::pretrain::Measures;

/// Fields of an object that are no values.
const OWN: [&str; 3] = ["step", "steps", "epoch"];

/// The file, open for more.
#[derive(Debug)]
pub(super) struct JsonLines(Appended);

impl JsonLines {
    /// Opens the file to go on at a step; what it holds from there on goes.
    pub(super) fn open(path: &Path, step: usize) -> Result<Self, TrainError> {
        let mut options = File::options();
        let _ = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|error| fault(path, &error))?;
        let mut kept = 0;
        each(&file, path, |measures, end| {
            let before = measures.step < step;
            if before {
                kept = end;
            }
            before
        })?;
        Ok(Self(Appended::new(path, file, kept)?))
    }

    /// Writes the line of a step.
    pub(super) fn write(&mut self, measures: &Measures) -> Result<(), TrainError> {
        self.0.push(format!("{}\n", object(measures)).as_bytes())
    }
}

/// All steps of a `metrics.jsonl`; a last line that is torn is left out, and so are values that are no numbers.
///
/// # Errors
/// A file that cannot be read, or that holds something else: with the line.
pub fn read_measures(path: &Path) -> Result<Vec<Measures>, TrainError> {
    let file = File::open(path).map_err(|error| fault(path, &error))?;
    let mut all = Vec::new();
    each(&file, path, |measures, _| {
        all.push(measures);
        true
    })?;
    Ok(all)
}

/// Hands each line over with the place behind it, until `wanted` says that it is enough.
fn each(file: &File, path: &Path, mut wanted: impl FnMut(Measures, u64) -> bool) -> Result<(), TrainError> {
    let mut reader = BufReader::new(file);
    let (mut line, mut end, mut number) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|error| fault(path, &error))?;
        // What has no end of line was torn while it was written.
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        (end, number) = (end + read as u64, number + 1);
        let Some(measures) = serde_json::from_slice(&line).ok().and_then(parsed) else {
            let message = format!(
                "line {number} is no record of a step (an object with step, steps and epoch); move the file away to begin \
                 a new one"
            );
            return Err(TrainError::Record { path: path.to_path_buf(), message });
        };
        if !wanted(measures, end) {
            return Ok(());
        }
    }
}

fn object(measures: &Measures) -> Value {
    let own = [json!(measures.step), json!(measures.steps), json!(measures.epoch)];
    let own = OWN.into_iter().map(str::to_owned).zip(own);
    let values = measures.values.iter().map(|(name, value)| (name.clone(), json!(value)));
    Value::Object(own.chain(values).collect())
}

fn parsed(mut object: Map<String, Value>) -> Option<Measures> {
    let [step, steps, epoch] = OWN.map(|name| object.shift_remove(name));
    let values: BTreeMap<String, f64> =
        object.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
    let whole = |value: Option<Value>| usize::try_from(value?.as_u64()?).ok();
    Some(Measures { step: whole(step)?, steps: whole(steps)?, epoch: epoch?.as_f64()?, values })
}

#[cfg(test)]
mod tests {
    use super::super::tests::measures;
    use super::*;

    #[test]
    fn lines_are_objects_in_which_what_is_no_number_is_null() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut lines = JsonLines::open(&path, 1).unwrap();
        let mut bad = measures(1, f64::NAN);
        bad.values.insert("loss.image.s2".into(), 0.1);
        lines.write(&bad).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"step\":1,\"steps\":10,\"epoch\":0.25,\"loss\":null,\"loss.image.s2\":0.1}\n");
        assert_eq!(read_measures(&path).unwrap()[0].values, BTreeMap::from([("loss.image.s2".to_owned(), 0.1)]));
    }

    #[test]
    fn a_torn_end_goes_and_a_strange_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let whole = format!("{}\n{}\n", object(&measures(1, 4.0)), object(&measures(2, 3.0)));
        std::fs::write(&path, format!("{whole}{{\"step\":3,\"st")).unwrap();
        JsonLines::open(&path, 3).unwrap().write(&measures(3, 2.0)).unwrap();
        let losses: Vec<f64> = read_measures(&path).unwrap().iter().map(|m| m.values["loss"]).collect();
        assert_eq!(losses, [4.0, 3.0, 2.0]);
        std::fs::write(&path, format!("{whole}hello\n")).unwrap();
        let error = JsonLines::open(&path, 9).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("metrics.jsonl"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{whole}hello\n"), "nothing of it is lost");
    }
}
