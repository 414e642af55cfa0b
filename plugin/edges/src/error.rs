//! What can be wrong with a batch.

/// A batch, or a row on its way into one, that does not fit its declared schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// Arrow itself refused the data.
    #[error("the {kind} batch is not valid Arrow data: {source}")]
    Arrow {
        /// Kind of the edge.
        kind: &'static str,
        /// What Arrow says.
        source: arrow::error::ArrowError,
    },
    /// A value that does not fit its place.
    #[error("{kind} batch, column {column:?}, row {row}: {reason}")]
    Value {
        /// Kind of the edge.
        kind: &'static str,
        /// Name of the column.
        column: String,
        /// Row in the batch.
        row: usize,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A column that is missing, doubled or of another type.
    #[error("{kind} batch, column {column:?}: {reason}")]
    Column {
        /// Kind of the edge.
        kind: &'static str,
        /// Name of the column.
        column: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A batch of another kind, or of none.
    #[error("expected a batch of kind {expected:?}, got {found}: connect a node that gives {expected:?}")]
    Kind {
        /// The kind that the reader reads.
        expected: &'static str,
        /// The kind that the schema's metadata names.
        found: String,
    },
    /// More values in one column than an Arrow list can count.
    #[error(
        "{kind} batch, column {column:?} holds {values} values, and a batch must hold fewer than 2147483648: use smaller batches"
    )]
    TooLarge {
        /// Kind of the edge.
        kind: &'static str,
        /// Name of the column.
        column: String,
        /// Number of values.
        values: usize,
    },
}

/// The result of reading or building a batch.
pub type Result<T> = std::result::Result<T, EdgeError>;
