//! `model.reduce`: a model package with smaller numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::{ContractError, Module, Package, Reduced};
use skysense_infer::{Likeness, Options, likeness, ranges};
use skysense_train::{Precision, Ranges, Reduction};

use crate::errors;
use crate::settings::path;

/// What to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the package with f32 graphs.
    model: PathBuf,
    /// fp16, bf16, int8, int8-dynamic or int8-static.
    to: String,
    /// Folder for the new package.
    out: PathBuf,
    /// Chips to calibrate `int8-static` on, beside the probe: safetensors files laid out as the package's probe, the
    /// output left out.
    #[serde(default)]
    samples: Vec<PathBuf>,
}

/// What was made.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    out: PathBuf,
    precision: String,
    /// Bytes of graphs and weights.
    bytes_before: u64,
    bytes_after: u64,
    /// Bytes of each graph, before and after.
    graphs: BTreeMap<Module, [u64; 2]>,
    /// On the probe, against the float model.
    likeness: Likeness,
    /// Absolute tolerance of the new package's probe.
    tolerance: f64,
    batch_dependent: bool,
    calibration: Option<String>,
}

/// The tool.
pub(crate) struct ModelReduce;

impl Tool for ModelReduce {
    const NAME: &'static str = "model.reduce";
    const SUMMARY: &'static str =
        "Writes a model package with weights in 16 or 8 bit, and measures it against the original";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = &host.about().base;
        let folder = |given: &Path| path(base, &given.display().to_string());
        let precision: Precision = arguments.to.parse().map_err(|error: _| setting(&error))?;
        if precision != Precision::Int8Static && !arguments.samples.is_empty() {
            let message = format!("{precision} is not calibrated, and samples are given");
            return Err(NodeError::new("settings.invalid", message).hint("leave `samples` out, or ask for int8-static"));
        }
        let out = folder(&arguments.out);
        if out.exists() {
            return Err(errors::contract(&ContractError::Exists { path: out }));
        }
        let package = Package::open(folder(&arguments.model)).map_err(|error| errors::contract(&error))?;
        let original = Reduction::read(&package).map_err(|error| errors::train(&error))?;
        let scratch = Scratch::beside(&out)?;
        let samples: Vec<PathBuf> = arguments.samples.iter().map(|sample| folder(sample)).collect();
        let (seen, calibration) = match precision {
            Precision::Int8Static => calibrate(&original, &package, &samples, &scratch)?,
            _ => (BTreeMap::new(), None),
        };
        host.check_cancelled()?;
        let small = original.clone().reduced(precision, &seen).map_err(|error| errors::train(&error))?;
        let measured = small.write(&scratch.0.join("measured"), None).map_err(|error| errors::train(&error))?;
        let options = Options::default();
        let likeness = likeness(&package, &measured, &options).map_err(|error| errors::infer(&error))?;
        if !likeness.largest_difference.is_finite() {
            let message = format!("in {precision} the model does not give numbers on its probe");
            return Err(NodeError::new("model.run", message).hint("choose another precision"));
        }
        host.check_cancelled()?;
        let note = Reduced {
            precision: precision.to_string(),
            batch_dependent: precision.batch_dependent(),
            from_weights_sha256: package.contract().weights_sha256.clone(),
            from_bytes: original.bytes(),
            calibration: calibration.clone(),
            largest_difference: likeness.largest_difference,
            feature_cosine: likeness.feature_cosine,
        };
        let written = small.write(&out, Some(&note)).map_err(|error| errors::train(&error))?;
        let graphs = &package.contract().graphs;
        let sizes = written.contract().graphs.iter().map(|(module, file)| (*module, [graphs[module].size, file.size]));
        Ok(Answer {
            precision: note.precision,
            bytes_before: original.bytes(),
            bytes_after: small.bytes(),
            graphs: sizes.collect(),
            likeness,
            tolerance: written.contract().probe.absolute,
            batch_dependent: note.batch_dependent,
            calibration,
            out,
        })
    }
}

fn setting(error: &dyn std::error::Error) -> NodeError {
    NodeError::new("settings.invalid", error.to_string()).at("field", "/to")
}

/// Runs the float graphs over the probe and the samples; gives what their products' inputs span, and says on what.
fn calibrate(
    original: &Reduction,
    package: &Package,
    samples: &[PathBuf],
    scratch: &Scratch,
) -> Result<(BTreeMap<Module, Ranges>, Option<String>), NodeError> {
    let watched = original.clone().watched().map_err(|error| errors::train(&error))?;
    let watched = watched.write(&scratch.0.join("watched"), None).map_err(|error| errors::train(&error))?;
    let probe = package.probe();
    let files: Vec<&Path> = std::iter::once(probe.as_path()).chain(samples.iter().map(PathBuf::as_path)).collect();
    let (seen, chips) = ranges(&watched, &files, &Options::default()).map_err(|error| errors::infer(&error))?;
    let more = if samples.is_empty() { String::new() } else { format!(", samples: {}", samples.len()) };
    Ok((seen, Some(format!("least and largest values of inputs; chips: {chips}, probe: 1{more}"))))
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
