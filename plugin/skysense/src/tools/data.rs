//! Tools that look into a folder of training shards, and one that brings in data sets of others.

mod adopt;
mod inspect;
mod map;
mod sheet;
mod stats;
mod summary;
mod verify;

pub(crate) use adopt::DataAdopt;
pub(crate) use inspect::DataInspect;
pub(crate) use stats::DataStats;
pub(crate) use verify::DataVerify;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{Host, NodeError};
use skysense_shards::{Part, Shards};

use crate::errors;
use crate::settings::path;

/// A part of a set, in arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PartName {
    /// What is learned from.
    #[default]
    Train,
    /// What is never learned from.
    Validation,
}

impl From<PartName> for Part {
    fn from(name: PartName) -> Self {
        match name {
            PartName::Train => Self::Train,
            PartName::Validation => Self::Validation,
        }
    }
}

/// Opens the set of a folder that the caller names.
fn open(folder: &std::path::Path, host: &Host) -> Result<Shards, NodeError> {
    let folder: PathBuf = path(&host.about().base, &folder.display().to_string());
    Shards::open(&folder).map_err(|error| errors::shards(&error))
}
