//! `model.inspect`: what a model package promises, and whether its files and its probe hold.

use serde::Serialize;
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::{Contract, Package};
use skysense_infer::{Model, Options, ProbeReport};

use super::package::PackageArguments;
use crate::errors;

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether every file is as its checksum says and the probe within its tolerance.
    ok: bool,
    /// Why not.
    problem: Option<String>,
    probe: Option<ProbeReport>,
    /// What the graphs compute with: f32, or the precision that `skysense model reduce` gave them.
    precision: String,
    contract: Contract,
}

/// The tool.
pub(crate) struct ModelInspect;

impl Tool for ModelInspect {
    const NAME: &'static str = "model.inspect";
    const SUMMARY: &'static str = "Shows the contract of a model package, checks its files and runs its probe";
    type Arguments = PackageArguments;
    type Answer = Answer;

    fn call(arguments: PackageArguments, host: &Host) -> Result<Answer, NodeError> {
        let package = Package::open(arguments.folder(host)).map_err(|error| errors::contract(&error))?;
        let checked = package
            .verify()
            .map_err(|error| errors::contract(&error).message)
            .and_then(|()| Model::verify(&package, &Options::default()).map_err(|error| errors::infer(&error).message));
        let (probe, problem) = match checked {
            Ok(report) => (Some(report), None),
            Err(problem) => (None, Some(problem)),
        };
        let contract = package.contract().clone();
        Ok(Answer { ok: problem.is_none(), problem, probe, precision: contract.precision(), contract })
    }
}
