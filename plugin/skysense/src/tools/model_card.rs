//! `model.card`: what a model package says of itself, as Markdown.

use serde::Serialize;
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::Package;

use super::package::PackageArguments;
use crate::errors;

/// The card.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    name: String,
    /// Markdown.
    card: String,
}

/// The tool.
pub(crate) struct ModelCard;

impl Tool for ModelCard {
    const NAME: &'static str = "model.card";
    const SUMMARY: &'static str = "Writes the model card of a package from the package alone";
    type Arguments = PackageArguments;
    type Answer = Answer;

    fn call(arguments: PackageArguments, host: &Host) -> Result<Answer, NodeError> {
        let package = Package::open(arguments.folder(host)).map_err(|error| errors::contract(&error))?;
        Ok(Answer { name: package.contract().name.clone(), card: package.card() })
    }
}
