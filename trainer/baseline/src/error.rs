//! What can be wrong with what a baseline is given.

use thiserror::Error;

/// Sizes that make no network, and tensors or tables that do not belong together.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaselineError {
    /// A size out of range.
    #[error("{network}: {setting} is {value}, expected {expected}")]
    Size {
        /// Which network or classifier.
        network: &'static str,
        /// The size.
        setting: &'static str,
        /// What was found.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// Shapes that do not fit each other.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// Of what.
        what: &'static str,
        /// What was found.
        found: String,
        /// What would do.
        expected: String,
    },
}

/// Refuses a size of zero.
pub(crate) fn at_least_one(network: &'static str, sizes: &[(&'static str, usize)]) -> Result<(), BaselineError> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some((setting, _)) => Err(BaselineError::Size { network, setting, value: "0".into(), expected: "1 or more" }),
        None => Ok(()),
    }
}
