//! The date-specific temporal encoding.
//!
//! A learned row for each day of the year, added to tokens before the fusion's projection. The official
//! code adds it to Sentinel-2 alone, the paper's equation to all modalities: both are settings.

use serde::{Deserialize, Serialize};

/// Rows of the published table. The 31 December of a leap year, index 365, takes the last row.
pub const DAYS: usize = 365;

/// The published number of rows, for configurations that name none.
pub(crate) fn year() -> usize {
    DAYS
}

/// Whether a table has the published number of rows.
pub(crate) fn is_year(days: &usize) -> bool {
    *days == DAYS
}

/// Which tokens carry the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// None.
    None,
    /// Sentinel-2 only: the official code.
    S2Only,
    /// Every modality: the paper's equation.
    All,
}
