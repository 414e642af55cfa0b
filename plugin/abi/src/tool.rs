//! Tools: named functions of a plugin from JSON to JSON, for what is not a node.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::NodeError;
use crate::host::Host;

/// A tool. List it in the plugin's table with [`tool`](crate::tool()).
pub trait Tool: Send + Sync + 'static {
    /// Name to call it by: `simulate.scene`.
    const NAME: &'static str;

    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// Its arguments.
    type Arguments: DeserializeOwned + JsonSchema;

    /// Its answer.
    type Answer: Serialize;

    /// Does it.
    ///
    /// # Errors
    /// Whatever went wrong, with place and hint.
    fn call(arguments: Self::Arguments, host: &Host) -> Result<Self::Answer, NodeError>;
}
