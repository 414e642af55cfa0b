//! The arguments of tools that look at one model package.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::Host;

use crate::settings::path;

/// What is asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackageArguments {
    /// Folder of the package.
    model: PathBuf,
}

impl PackageArguments {
    /// The folder, as the caller's own folder makes it.
    pub(crate) fn folder(&self, host: &Host) -> PathBuf {
        path(&host.about().base, &self.model.display().to_string())
    }
}
