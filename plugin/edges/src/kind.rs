//! The name of an edge's kind.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

/// Key of the schema metadata that names the kind.
pub const KIND_KEY: &str = "skysense:kind";

/// One of the kinds of edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// STAC items.
    Item,
    /// Bands of assets.
    Source,
    /// Aligned pixels.
    Chip,
    /// Footprints, each on the grid of its zone.
    Location,
    /// Aligned pixels, each row on a grid of its own.
    Sample,
    /// Feature maps.
    Feature,
    /// Probabilities.
    Prediction,
    /// Objects that were found.
    Object,
    /// Rasters that were written.
    Raster,
    /// Model packages.
    Model,
    /// Folders of training shards.
    Dataset,
    /// Numbers that were measured step by step.
    Metric,
}

impl Kind {
    /// All kinds in the order of the flow.
    pub const ALL: [Self; 12] = [
        Self::Item,
        Self::Source,
        Self::Chip,
        Self::Location,
        Self::Sample,
        Self::Feature,
        Self::Prediction,
        Self::Object,
        Self::Raster,
        Self::Model,
        Self::Dataset,
        Self::Metric,
    ];

    /// The word that stands in schemas and ports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Source => "source",
            Self::Chip => "chip",
            Self::Location => "location",
            Self::Sample => "sample",
            Self::Feature => "feature",
            Self::Prediction => "prediction",
            Self::Object => "object",
            Self::Raster => "raster",
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Metric => "metric",
        }
    }

    /// The kind that a schema names, or `None`.
    pub fn of(schema: &Schema) -> Option<Self> {
        let name = schema.metadata().get(KIND_KEY)?;
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A schema of this kind.
    pub(crate) fn schema(self, fields: Vec<Field>) -> SchemaRef {
        let metadata = HashMap::from([(KIND_KEY.to_owned(), self.name().to_owned())]);
        Arc::new(Schema::new_with_metadata(fields, metadata))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
