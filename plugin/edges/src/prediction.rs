//! Edge `prediction`: the head's probabilities for each chip.

use arrow::datatypes::SchemaRef;

use crate::kind::Kind;
use crate::map::Layout;

pub(crate) const LAYOUT: Layout = Layout { kind: Kind::Prediction, values: "probabilities", axis: "class" };

/// Columns of a `prediction` edge of `classes` maps of `side` pixels square.
pub fn prediction_schema(classes: usize, side: usize) -> SchemaRef {
    LAYOUT.schema(classes, side)
}
