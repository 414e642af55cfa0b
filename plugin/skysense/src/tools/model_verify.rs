//! `model.verify`: everything that is wrong with a model package.

use serde::Serialize;
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::{Module, Package};
use skysense_infer::{Model, Options, ProbeReport};
use skysense_train::check_weights;

use super::package::PackageArguments;
use crate::errors;

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether nothing is wrong.
    ok: bool,
    name: String,
    /// Everything that is wrong, each with its file.
    problems: Vec<String>,
    /// Whether files, sizes and checksums are as the contract says.
    files: bool,
    /// Tensors of the weights whose shapes were held against the sizes of the model.
    tensors: usize,
    /// Modules whose graphs open in ONNX Runtime.
    graphs: Vec<Module>,
    /// How the probe came out, where it was run and held.
    probe: Option<ProbeReport>,
}

/// The tool.
pub(crate) struct ModelVerify;

impl Tool for ModelVerify {
    const NAME: &'static str = "model.verify";
    const SUMMARY: &'static str = "Checks the files, the weights' shapes, the graphs and the probe of a model package, and names all that is wrong";
    type Arguments = PackageArguments;
    type Answer = Answer;

    fn call(arguments: PackageArguments, host: &Host) -> Result<Answer, NodeError> {
        let package = Package::read(arguments.folder(host)).map_err(|error| errors::contract(&error))?;
        let mut problems: Vec<String> = package.damage().iter().map(|error| errors::contract(error).message).collect();
        let files = problems.is_empty();
        host.check_cancelled()?;
        let tensors = match check_weights(&package) {
            Ok(check) => {
                problems.extend(check.problems);
                check.tensors
            }
            // Damage that was named already may be why.
            Err(error) => {
                problems.push(format!("weights: {}", errors::train(&error).message));
                0
            }
        };
        host.check_cancelled()?;
        let (mut graphs, mut probe) = (Vec::new(), None);
        match Model::check(&package, &Options::default()) {
            Ok(check) => {
                problems.extend(check.problems.iter().map(|error| errors::infer(error).message));
                (graphs, probe) = (check.modules, check.probe);
            }
            // Without a runtime, what was found before is told all the same.
            Err(error) => problems.push(errors::infer(&error).message),
        }
        let name = package.contract().name.clone();
        Ok(Answer { ok: problems.is_empty(), name, problems, files, tensors, graphs, probe })
    }
}
