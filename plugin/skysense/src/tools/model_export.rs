//! `model.export`: graphs and weights of a package for other software.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::{Module, Package};
use skysense_train::{FilesConfig, Written, export_files};

use crate::errors;
use crate::settings::path;

/// What to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the package.
    model: PathBuf,
    /// Folder to make; it must not exist.
    out: PathBuf,
    /// Modules, of `hr`, `s2`, `s1`, `fusion`, `geo_context` and `head`; all of the package if left out.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    modules: Vec<Module>,
    /// Side of a chip in pixels of the 10 m grid; that of the package if left out.
    #[serde(default)]
    chip_size: Option<usize>,
    /// No graphs.
    #[serde(default)]
    weights_only: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    out: PathBuf,
    #[serde(flatten)]
    written: Written,
}

/// The tool.
pub(crate) struct ModelExport;

impl Tool for ModelExport {
    const NAME: &'static str = "model.export";
    const SUMMARY: &'static str =
        "Writes ONNX graphs of a package's modules and their weights under the published keys, for other software";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = host.about().base;
        let folder = |given: &PathBuf| path(&base, &given.display().to_string());
        let package = Package::open(folder(&arguments.model)).map_err(|error| errors::contract(&error))?;
        let out = folder(&arguments.out);
        let Arguments { modules, chip_size, weights_only, .. } = arguments;
        let config = FilesConfig { modules, chip_size, weights_only };
        let written = export_files(&package, &config, &out).map_err(|error| errors::train(&error))?;
        Ok(Answer { out, written })
    }
}
