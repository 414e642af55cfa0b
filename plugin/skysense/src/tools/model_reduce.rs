//! `model.reduce`: a model package with smaller numbers.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::Package;
use skysense_train::Precision;

use crate::errors;
use crate::reduction::{Answer, of_files, reduce};
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
        let package = Package::open(folder(&arguments.model)).map_err(|error| errors::contract(&error))?;
        let samples: Vec<PathBuf> = arguments.samples.iter().map(|sample| folder(sample)).collect();
        reduce(&package, precision, folder(&arguments.out), host, |watched| {
            let more = if samples.is_empty() { String::new() } else { format!(", samples: {}", samples.len()) };
            let (seen, chips) = of_files(watched, &[&[package.probe()], &samples[..]].concat())?;
            Ok((seen, format!("least and largest values of inputs; chips: {chips}, probe: 1{more}")))
        })
    }
}

fn setting(error: &dyn std::error::Error) -> NodeError {
    NodeError::new("settings.invalid", error.to_string()).at("field", "/to")
}
