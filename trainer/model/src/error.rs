//! What can go wrong with a model.

/// A configuration, checkpoint or input that does not fit the model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A preset that does not exist.
    #[error("no preset named {name:?}; there are {known:?}")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A map smaller than an attention window.
    #[error(
        "a map of {height} x {width} tokens in stage {stage} is smaller than the window of {window}: take a larger chip, or set pad_small_map"
    )]
    SmallMap {
        /// Stage of the backbone.
        stage: usize,
        /// Rows of tokens.
        height: usize,
        /// Columns of tokens.
        width: usize,
        /// Side of the window.
        window: usize,
    },
    /// Parameters that a checkpoint lacks, or that it has and the model does not.
    #[error(
        "the checkpoint does not fit: missing {missing:?}, of another shape {mismatched:?}, not known {unexpected:?}"
    )]
    Checkpoint {
        /// Keys of the model without a tensor in the file.
        missing: Vec<String>,
        /// `key: shape in the file, shape in the model`.
        mismatched: Vec<String>,
        /// Keys of the file that the model does not have.
        unexpected: Vec<String>,
    },
    /// A file that is not a safetensors file, or holds a type that weights cannot have.
    #[error("cannot read the weights: {0}")]
    Weights(String),
    /// A checkpoint's file, or what its shapes say.
    #[error(transparent)]
    File(#[from] crate::checkpoint::CheckpointError),
    /// A graph that cannot be made smaller.
    #[error("graph {graph} cannot be reduced: {fault}")]
    Graph {
        /// Its name.
        graph: String,
        /// What was found, with what to do.
        fault: String,
    },
    /// A setting whose parts do not fit each other.
    #[error("{0}")]
    Config(String),
}

/// The result of a model operation.
pub type Result<T> = std::result::Result<T, ModelError>;
