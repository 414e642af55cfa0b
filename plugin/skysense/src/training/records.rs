//! What is kept of the numbers of each step, and what is made of them in the end.

use std::path::Path;

use serde_json::json;
use skysense_abi::{Host, Level};
use skysense_train::pretrain::Measures;
use skysense_train::{Recorder, read_measures};

use crate::{errors, plots};

/// Shows the numbers of each step, and records them in a folder. A file that cannot be written ends no training.
pub(crate) struct Records<'a> {
    host: &'a Host,
    recorder: Recorder,
    /// Steps that could not be recorded.
    lost: usize,
}

impl<'a> Records<'a> {
    /// Records into a folder.
    pub(crate) fn new(host: &'a Host, folder: &Path) -> Self {
        Self { host, recorder: Recorder::new(folder), lost: 0 }
    }

    /// Takes the numbers of a step.
    pub(crate) fn measured(&mut self, measures: &Measures) {
        let Measures { step, steps, values, .. } = measures;
        self.host.report("measures", &json!({"step": step, "steps": steps, "values": values}));
        if let Err(error) = self.recorder.record(measures) {
            if self.lost == 0 {
                self.host.log(Level::Warn, format!("training goes on, but step {step} is not recorded: {error}"));
            }
            self.lost += 1;
        }
    }

    /// Draws what was recorded, and names all files in the run's report. The model is worth more than its figures: what
    /// cannot be drawn is told and is no error.
    pub(crate) fn finish(&self, title: &str) {
        let lines = self.recorder.lines();
        if !lines.is_file() {
            return;
        }
        let tell = |path: &Path, role: &str| self.host.report("output", &json!({"href": path, "role": role}));
        tell(&lines, "metrics");
        tell(self.recorder.folder(), "tensorboard");
        let measures = read_measures(&lines).map_err(|error| errors::train(&error));
        let figures = measures.and_then(|all| plots::draw(&all, title, &self.recorder.folder().join("plots")));
        match figures {
            Ok(figures) => figures.iter().for_each(|figure| tell(figure, "figure")),
            Err(error) => self.host.log(Level::Warn, format!("no figures: {error}")),
        }
        if self.lost > 0 {
            self.host.log(Level::Warn, format!("{} steps are not in {}", self.lost, lines.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use skysense_abi::HostCallbacks;

    use super::*;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

    impl HostCallbacks for Heard {
        fn log(&self, _: Level, message: &str) {
            self.0.lock().unwrap().push(("log".into(), message.into()));
        }

        fn report(&self, kind: &str, record: Value) {
            self.0.lock().unwrap().push((kind.into(), record));
        }
    }

    fn measures(step: usize) -> Measures {
        Measures { step, steps: 3, epoch: 0.5, values: [("loss".to_owned(), 1.0 / step as f64)].into() }
    }

    #[test]
    fn numbers_are_shown_recorded_and_drawn_and_the_report_names_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let heard = Heard::default();
        let host = Host::new(heard.clone());
        let mut records = Records::new(&host, &folder.path().join("metrics"));
        records.finish("nothing");
        (1..=3).for_each(|step| records.measured(&measures(step)));
        records.finish("a run");
        let heard = heard.0.lock().unwrap();
        let of = |kind: &str| heard.iter().filter(|(k, _)| k == kind).map(|(_, r)| r.clone()).collect::<Vec<_>>();
        assert_eq!(of("measures")[1], json!({"step": 2, "steps": 3, "values": {"loss": 0.5}}));
        let roles: Vec<Value> = of("output").iter().map(|output| output["role"].clone()).collect();
        assert_eq!(roles, ["metrics", "tensorboard", "figure", "figure", "figure", "figure"]);
        for output in of("output") {
            assert!(Path::new(output["href"].as_str().unwrap()).exists(), "{output}");
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_ends_no_training_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let heard = Heard::default();
        let host = Host::new(heard.clone());
        let mut records = Records::new(&host, &file);
        (1..=3).for_each(|step| records.measured(&measures(step)));
        records.finish("a run");
        let logs = heard.0.lock().unwrap().iter().filter(|(kind, _)| kind == "log").count();
        assert_eq!(logs, 1);
    }
}
