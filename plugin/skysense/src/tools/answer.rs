//! Answers of tools that are kept as files.

use std::path::Path;

use serde::Serialize;
use skysense_abi::NodeError;
use skysense_catalog::write_whole;

use crate::errors;

/// Writes an answer as `NAME.json` and its text as `NAME.md` into a folder, each whole or not at all.
///
/// # Errors
/// A folder or file that cannot be written.
pub(super) fn keep(folder: &Path, name: &str, answer: &impl Serialize, text: &str) -> Result<(), NodeError> {
    let json = serde_json::to_vec_pretty(answer).map_err(|error| NodeError::from_error("output.write", &error))?;
    for (ending, bytes) in [("json", json.as_slice()), ("md", text.as_bytes())] {
        write_whole(&folder.join(format!("{name}.{ending}")), bytes).map_err(|error| errors::catalog(&error))?;
    }
    Ok(())
}
