//! `skysense init`: a commented workflow to start from.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Subcommand;
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// What the workflow is to do
    #[arg(value_enum, default_value_t = Task::Map)]
    task: Task,
    /// File to write
    #[arg(short, long, value_name = "FILE", default_value = "workflow.yaml")]
    output: PathBuf,
    /// Overwrite the file if it is there
    #[arg(long)]
    force: bool,
}

/// What a workflow is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// A map of classes from a trained model
    Map,
    /// Features of the encoder
    Features,
    /// Learn a class for each pixel, and map it
    Segmentation,
    /// Learn a class for each pixel of a high-resolution image, and map it
    SegmentationHr,
    /// Learn a number for each pixel, and map it
    Regression,
    /// Learn one class for each chip
    Classification,
    /// Learn any classes for each chip
    MultiLabel,
    /// Learn what changed between two times, and map it
    Change,
    /// Learn to find objects as upright boxes
    Detection,
    /// Learn to find objects as rotated boxes
    OrientedDetection,
}

/// The workflow of an example, which the tests of the project run.
macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../../examples/finetune-", $name, "/workflow.yaml"))
    };
}

impl Task {
    fn template(self) -> &'static str {
        match self {
            Task::Map => include_str!("../../../library/map.yaml"),
            Task::Features => include_str!("../../../library/features.yaml"),
            Task::Segmentation => example!("segmentation"),
            Task::SegmentationHr => example!("segmentation-hr"),
            Task::Regression => example!("regression"),
            Task::Classification => example!("classification"),
            Task::MultiLabel => example!("multi-label"),
            Task::Change => example!("change"),
            Task::Detection => example!("detection"),
            Task::OrientedDetection => example!("oriented-detection"),
        }
    }

    /// Params without which the workflow cannot be planned.
    fn params(self) -> &'static str {
        match self {
            Task::Map | Task::Features => "-p catalog=… -p model=…",
            _ => "-p catalog=…",
        }
    }
}

impl Subcommand for Init {
    const NAME: &'static str = "init";
    const ABOUT: &'static str = "Write a commented workflow to start from";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(!self.force).create(true).truncate(self.force);
        let written = options.open(&self.output).and_then(|mut file| file.write_all(self.task.template().as_bytes()));
        written.map_err(|error| {
            let failure = Failure::file("write", &self.output, &error);
            match error.kind() {
                ErrorKind::AlreadyExists => failure.hint("`--force` overwrites it, `--output` names another file"),
                _ => failure,
            }
        })?;
        let file = self.output.display();
        context.answer(&json!({"file": self.output}), || {
            format!("{file}\nnext: skysense check {file}; skysense plan {file} {}", self.task.params())
        })?;
        Ok(Exit::Ok)
    }
}
