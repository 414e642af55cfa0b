//! What can go wrong with a file of weights.

use std::path::PathBuf;

/// A file that does not hold weights as expected: which file, which key or place, what was found, what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system does not let the file be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The file is damaged, or of a format that is not read.
    #[error("{path}{}: found {found}, expected {expected}\nhint: {hint}", at(.offset))]
    Format {
        /// The file.
        path: PathBuf,
        /// Byte at which it was seen, in the file or in its pickle.
        offset: Option<u64>,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// A pickle asks for something that does not belong to tensors, which would run code when Python reads it.
    #[error(
        "{path}, byte {offset} of its pickle: it names {global}, expected tensors and plain containers only\nhint: nothing of the file was used; if you trust it, save its weights alone with `torch.save(weights, path)`, where weights is a dict of tensors, or as .safetensors"
    )]
    Global {
        /// The file.
        path: PathBuf,
        /// Byte in its pickle.
        offset: u64,
        /// Module and name.
        global: String,
    },
    /// A tensor that cannot be used.
    #[error("{path}, key {key}: found {found}, expected {expected}\nhint: {hint}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The key in the file.
        key: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// The shapes of a module's tensors do not say what it looks like, or contradict each other.
    #[error("{module}: {found}, expected {expected}\nhint: {hint}")]
    Shape {
        /// The module's name in checkpoints.
        module: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// The file holds several versions of the weights.
    #[error("{path} holds {} of the weights{}\nhint: choose with --variant", .known.join(", "), lacks(.wanted))]
    Variant {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: Option<String>,
        /// What there is.
        known: Vec<String>,
    },
}

fn at(offset: &Option<u64>) -> String {
    offset.map_or_else(String::new, |offset| format!(", byte {offset}"))
}

fn lacks(wanted: &Option<String>) -> String {
    wanted.as_ref().map_or_else(String::new, |wanted| format!(", and no {wanted}"))
}

/// The result of reading or writing weights.
pub(super) type Result<T> = std::result::Result<T, CheckpointError>;
