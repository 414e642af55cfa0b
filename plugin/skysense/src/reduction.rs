//! Packages with smaller numbers: what the tool `model.reduce` and the node `skysense.reduce` share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use skysense_abi::{Host, NodeError};
use skysense_contract::{ContractError, Module, Package, Reduced};
use skysense_infer::{Likeness, ModuleRanges, Options, likeness, ranges};
use skysense_train::{Precision, Reduction};

use crate::errors;

/// What was made.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) out: PathBuf,
    pub(crate) precision: String,
    /// Bytes of graphs and weights.
    bytes_before: u64,
    bytes_after: u64,
    /// Bytes of each graph, before and after, with its constants where they lie beside it.
    graphs: BTreeMap<Module, [u64; 2]>,
    /// On the probe, against the float model.
    likeness: Likeness,
    /// Absolute tolerance of the new package's probe.
    tolerance: f64,
    batch_dependent: bool,
    pub(crate) calibration: Option<String>,
}

/// Ranges of products' inputs, and what they were seen on.
pub(crate) type Seen = (ModuleRanges, String);

/// Writes `package` in a precision at `out`. For [`Precision::Int8Static`] `calibrate` is given a package whose graphs show
/// what their products' inputs span.
///
/// # Errors
/// A folder that exists or cannot be written, a package that cannot be made smaller, graphs that do not run.
pub(crate) fn reduce(
    package: &Package,
    precision: Precision,
    out: PathBuf,
    host: &Host,
    calibrate: impl FnOnce(&Package) -> Result<Seen, NodeError>,
) -> Result<Answer, NodeError> {
    if out.exists() {
        return Err(errors::contract(&ContractError::Exists { path: out }));
    }
    let train = |error: skysense_train::TrainError| errors::train(&error);
    let original = Reduction::read(package).map_err(train)?;
    let scratch = Scratch::beside(&out)?;
    let (seen, calibration) = match precision {
        Precision::Int8Static => {
            let watched = original.clone().watched().write(&scratch.0.join("watched")).map_err(train)?;
            let (seen, text) = calibrate(&watched)?;
            (seen, Some(text))
        }
        _ => (BTreeMap::new(), None),
    };
    host.check_cancelled()?;
    let measured = original.reduced(precision, &seen).write(&scratch.0.join("measured")).map_err(train)?;
    let likeness = likeness(package, &measured, &Options::default()).map_err(|error| errors::infer(&error))?;
    if !likeness.largest_difference.is_finite() {
        let message = format!("in {precision} the model does not give numbers on its probe");
        return Err(NodeError::new("model.run", message).hint("choose another precision"));
    }
    host.check_cancelled()?;
    let note = Reduced {
        precision: precision.to_string(),
        batch_dependent: precision.batch_dependent(),
        from_weights_sha256: package.contract().weights_sha256.clone(),
        from_bytes: package.bytes(),
        calibration: calibration.clone(),
        largest_difference: likeness.largest_difference,
        feature_cosine: likeness.feature_cosine,
    };
    let written = Reduction::publish(&measured, package, &out, &note).map_err(train)?;
    let size = |package: &Package, module: &Module| {
        let graph = &package.contract().graphs[module];
        graph.size + graph.data.as_ref().map_or(0, |data| data.size)
    };
    let modules = written.contract().graphs.keys();
    Ok(Answer {
        precision: note.precision,
        bytes_before: note.from_bytes,
        bytes_after: written.bytes(),
        graphs: modules.map(|module| (*module, [size(package, module), size(&written, module)])).collect(),
        likeness,
        tolerance: written.contract().probe.absolute,
        batch_dependent: note.batch_dependent,
        calibration,
        out,
    })
}

/// Ranges over files that are laid out as a probe, with the number of chips in them.
pub(crate) fn of_files(watched: &Package, files: &[PathBuf]) -> Result<(ModuleRanges, usize), NodeError> {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    ranges(watched, &files, &Options::default()).map_err(|error| errors::infer(&error))
}

/// A folder for packages that are there to be measured, gone with the call.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(out: &Path) -> Result<Self, NodeError> {
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.reduce", std::process::id()));
        let folder = out.with_file_name(name);
        fs::create_dir_all(&folder)
            .map_err(|source| errors::contract(&ContractError::Write { path: folder.clone(), source }))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done about a folder that will not go.
        let _ = fs::remove_dir_all(&self.0);
    }
}
