//! Where in a model features are compared.

use std::fmt;

use skysense_contract::Modality;

/// A place in the model whose features a teacher and a student both have, on the 10 m grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// What the fusion gives: one map for a chip.
    Fused,
    /// What the encoder of a modality gives, up head included: one map for each date.
    Encoder(Modality),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fused => f.write_str("fused"),
            Self::Encoder(modality) => modality.fmt(f),
        }
    }
}
