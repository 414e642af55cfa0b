//! `model.card`: what a model package says of itself, as Markdown.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::Package;

use crate::errors;
use crate::settings::path;

/// What is asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the package.
    model: PathBuf,
}

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
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let folder = path(&host.about().base, &arguments.model.display().to_string());
        let package = Package::open(folder).map_err(|error| errors::contract(&error))?;
        Ok(Answer { name: package.contract().name.clone(), card: package.card() })
    }
}
