//! What can go wrong between the processes of a group.

use serde::{Deserialize, Serialize};

/// Why a group ended or did not come to be. It is told to every rank in the same words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupError {
    /// What happened, with the rank and host it happened to, what was expected and what was found.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Whether the group was ended on purpose, and nothing is wrong with it.
    pub cancelled: bool,
}

impl GroupError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), cancelled: false }
    }
}

impl std::fmt::Display for GroupError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(formatter, "; {}", self.hint) }
    }
}

impl std::error::Error for GroupError {}
