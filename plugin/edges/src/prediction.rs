//! Edge `prediction`: the head's probabilities for each chip.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use skysense_grid::Window;

use crate::error::Result;
use crate::kind::Kind;
use crate::map::{Layout, MapBatch};

pub(crate) const LAYOUT: Layout = Layout { kind: Kind::Prediction, values: "probabilities", axis: "class" };

/// Columns of a `prediction` edge of `classes` maps of `side` pixels square.
pub fn prediction_schema(classes: usize, side: usize) -> SchemaRef {
    LAYOUT.schema(classes, side)
}

/// A validated batch of probabilities.
#[derive(Debug, Clone)]
pub struct PredictionBatch(MapBatch);

impl PredictionBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type or shape, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        MapBatch::try_new(LAYOUT, records).map(Self)
    }

    /// `(classes, side)` that a schema declares.
    ///
    /// # Errors
    /// A schema of another kind, or tensors of another shape.
    pub fn sizes(schema: &Schema) -> Result<(usize, usize)> {
        LAYOUT.sizes(schema)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.0.channels
    }

    /// Pixels along a side.
    pub fn side(&self) -> usize {
        self.0.side
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Number of the chip in row-major order.
    pub fn chip(&self, row: usize) -> u32 {
        self.0.chip(row)
    }

    /// Name of the period.
    pub fn period(&self, row: usize) -> &str {
        self.0.period(row)
    }

    /// Pixels of the target grid that the chip covers.
    ///
    /// # Errors
    /// None after validation; kept so that no value is made up.
    pub fn window(&self, row: usize) -> Result<Window> {
        self.0.window(row)
    }

    /// `[class, height, width]`, in the Arrow buffer.
    pub fn values(&self, row: usize) -> &[f32] {
        self.0.values(row)
    }

    /// 1 where at least one input held data, `[height, width]`.
    pub fn valid(&self, row: usize) -> &[u8] {
        self.0.valid(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapBuilder, MapRow};

    #[test]
    fn rows_come_back() {
        let mut builder = MapBuilder::predictions(2, 2);
        for chip in 0..2 {
            let values = (0..8).map(|v| v as f32 + 10.0 * chip as f32).collect();
            let row =
                MapRow { chip, period: "all".into(), window: Window::full(2, 2), values, valid: vec![1, 0, 1, 1] };
            builder.push(row).unwrap();
        }
        let records = builder.finish().unwrap();
        assert_eq!(records.schema(), prediction_schema(2, 2));
        let maps = PredictionBatch::try_new(&records.slice(1, 1)).unwrap();
        assert_eq!((maps.classes(), maps.side(), maps.len(), maps.chip(0)), (2, 2, 1, 1));
        assert_eq!(maps.values(0)[..2], [10.0, 11.0]);
        assert_eq!(maps.valid(0), [1, 0, 1, 1]);
    }
}
