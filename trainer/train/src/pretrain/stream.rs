//! Where in the model features are compared.

use std::fmt;

use skysense_contract::Modality;

/// Features of one kind, on the 10 m grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// What the encoder of a modality gives, up head included: an image for each date.
    Modality(Modality),
    /// What the fusion gives, with geo-context where there is one: an image for each view.
    Fused,
}

/// A level of granularity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Pixels.
    Pixel,
    /// Objects.
    Object,
    /// The whole image.
    Image,
}

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::Pixel, Self::Object, Self::Image];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pixel => "pixel",
            Self::Object => "object",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fused => f.write_str("fused"),
            Self::Modality(modality) => modality.fmt(f),
        }
    }
}
