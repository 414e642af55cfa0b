//! Where a trained model goes, and what the run is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::json;
use skysense_abi::{Fault, Host, NodeError};
use skysense_catalog::Exists;
use skysense_contract::{MlmContext, Package};
use skysense_edges::ChipFacts;
use skysense_train::{Group, Hooks, Progress, TrainError};

use super::together::Made;
use crate::errors;
use crate::settings::path;

/// The folder of a package: the one that the workflow names, else one in the run's folder.
///
/// # Errors
/// Neither is there.
pub(crate) fn place(out: Option<&str>, host: &Host) -> Result<PathBuf, NodeError> {
    match (out, host.scratch()) {
        (Some(out), _) => Ok(path(&host.about().base, out)),
        (None, Some(scratch)) => Ok(scratch.join("model")),
        (None, None) => Err(NodeError::new("scratch.missing", "the run has no folder for the model").hint("set `out`")),
    }
}

/// Name of the file in a node's own folder that holds the checksum of the package that the run made.
const MADE: &str = "made.sha256";

/// The package that this run finished before it was killed, where it goes on now. One of the same name that stood there
/// before is none.
pub(crate) fn finished(target: &Path, host: &Host) -> Option<Package> {
    let made = std::fs::read_to_string(host.about().resumed.then(|| host.scratch())??.join(MADE)).ok()?;
    Package::open(target).ok().filter(|package| package.contract().weights_sha256 == made)
}

/// Where a package goes.
pub(crate) struct Place<'a> {
    pub(crate) target: &'a Path,
    /// Whether the workflow names it; otherwise it lies in the run's own folder.
    pub(crate) named: bool,
    pub(crate) exists: Exists,
}

impl Place<'_> {
    /// Has a package written by `export`, which is told of the area and the time of the chips where they are of one grid;
    /// one that is there is put aside until the new one is whole.
    ///
    /// # Errors
    /// Something is there that may not be replaced, or the package cannot be written.
    pub(crate) fn write(
        &self,
        chips: Option<&ChipFacts>,
        host: &Host,
        export: impl Fn(&Path, &MlmContext) -> Result<Package, TrainError>,
    ) -> Result<Package, NodeError> {
        let context = chips.map(context).transpose()?.unwrap_or_default();
        // Asked while planning; meanwhile something may have come. A package in the run's own folder is of a run before.
        if self.named
            && let Some(fault) = taken(Some(self.target), self.exists)
        {
            return Err(NodeError::new(fault.code, fault.message).hint(fault.hint.unwrap_or_default()));
        }
        let new = export(&Package::place_beside(self.target), &context).map_err(|error| errors::train(&error))?;
        // Before it stands in its place: a run that is killed now and goes on must know it as its own.
        if let Some(scratch) = host.scratch() {
            let path = scratch.join(MADE);
            let written =
                std::fs::create_dir_all(&scratch).and_then(|()| std::fs::write(&path, &new.contract().weights_sha256));
            written.map_err(|source| errors::written(&path, &source))?;
        }
        new.replace(self.target).map_err(|error| errors::contract(&error))
    }
}

/// Area and time of chips.
fn context(chips: &ChipFacts) -> Result<MlmContext, NodeError> {
    let outline = skysense_raster::footprint(&chips.geobox).map_err(|error| errors::raster(&error))?;
    let ends = chips.periods.first().zip(chips.periods.last());
    let period = ends.map(|(first, last)| (first.start.clone(), last.end.clone()));
    Ok(MlmContext { geometry: Some(outline.geometry()), bbox: Some(outline.bbox), period, parameters: None })
}

/// Why a package cannot be written to a place, if it cannot.
pub(crate) fn taken(target: Option<&Path>, exists: Exists) -> Option<Fault> {
    if exists == Exists::Append {
        let message = "exists is append, and a model package is one whole that nothing joins";
        let hint = "write `exists: replace` to put it in the place of one that is there, or `exists: fail`";
        return Some(Fault::new("/exists", "settings.exists", message).hint(hint));
    }
    let target = target.filter(|target| target.exists())?;
    if exists != Exists::Replace {
        let message = format!("{} is already there", target.display());
        let hint = "set `exists: replace`, or choose another folder";
        return Some(Fault::new("/out", "output.exists", message).hint(hint));
    }
    let error = Package::open(target).err()?;
    let message = format!("{} is there and is no model package: {error}", target.display());
    Some(Fault::new("/out", "output.exists", message).hint("choose another folder, or move away what is there"))
}

/// The row of a model's edge; the package is told to be an output.
///
/// # Errors
/// A contract that cannot be told.
pub(crate) fn model_row(package: &Package, host: &Host) -> Result<RecordBatch, NodeError> {
    Made::of(package)?.row(Some(host))
}

/// Tells the host how far training is.
pub(crate) struct Teller<'a>(pub(crate) &'a Host, pub(crate) Arc<dyn Group>);

impl Hooks for Teller<'_> {
    fn progress(&mut self, progress: &Progress) {
        let Progress { step, steps, loss, learning_rate } = progress;
        self.0.progress(*step as u64, Some(*steps as u64), "steps");
        let values = json!({"loss": loss, "learning_rate": learning_rate});
        self.0.report("measures", &json!({"step": step, "steps": steps, "values": values}));
    }

    fn teacher(&mut self, samples: usize, of: usize) {
        self.0.progress(samples as u64, Some(of as u64), "chips seen by the teacher");
    }

    fn group(&self) -> Arc<dyn Group> {
        self.1.clone()
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
