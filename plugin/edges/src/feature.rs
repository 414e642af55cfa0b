//! Edge `feature`: the encoder's map of each chip.

use arrow::datatypes::SchemaRef;

use crate::kind::Kind;
use crate::map::Layout;

pub(crate) const LAYOUT: Layout = Layout { kind: Kind::Feature, values: "features", axis: "channel" };

/// Columns of a `feature` edge of `channels` maps of `side` pixels square.
pub fn feature_schema(channels: usize, side: usize) -> SchemaRef {
    LAYOUT.schema(channels, side)
}
