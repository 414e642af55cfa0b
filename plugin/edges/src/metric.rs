//! Edge `metric`: numbers that were measured step by step.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::check::{conform, limit};
use crate::column::{batch, count, real, text};
use crate::error::Result;
use crate::kind::Kind;

const KIND: Kind = Kind::Metric;

/// One number of one step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricRow {
    /// The step, counted from 1.
    pub step: i64,
    /// What was measured: `loss.image`.
    pub name: String,
    /// The number.
    pub value: f64,
}

/// Columns of a `metric` edge.
pub fn metric_schema() -> SchemaRef {
    KIND.schema(vec![
        Field::new("step", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Float64, false),
    ])
}

/// Numbers on their way into a batch.
#[derive(Debug, Default)]
pub struct MetricBuilder {
    rows: Vec<MetricRow>,
}

impl MetricBuilder {
    /// Adds a number.
    pub fn push(&mut self, row: MetricRow) {
        self.rows.push(row);
    }

    /// Numbers so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The batch.
    ///
    /// # Errors
    /// More text than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        limit(KIND, "name", self.rows.iter().map(|row| row.name.len()).sum())?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.rows.iter().map(|row| row.step).collect::<Int64Array>()),
            Arc::new(self.rows.iter().map(|row| Some(&row.name)).collect::<StringArray>()),
            Arc::new(self.rows.iter().map(|row| row.value).collect::<Float64Array>()),
        ];
        batch(KIND, metric_schema(), columns)
    }
}

/// A validated batch of numbers.
#[derive(Debug, Clone)]
pub struct MetricBatch {
    step: Int64Array,
    name: StringArray,
    value: Float64Array,
}

impl MetricBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &metric_schema())?;
        Ok(Self {
            step: count(KIND, records, "step")?,
            name: text(KIND, records, "name")?,
            value: real(KIND, records, "value")?,
        })
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = MetricRow> + '_ {
        (0..self.name.len()).map(|row| MetricRow {
            step: self.step.value(row),
            name: self.name.value(row).to_owned(),
            value: self.value.value(row),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_other_columns_are_refused() {
        let row = |step, name: &str, value| MetricRow { step, name: name.into(), value };
        let rows = [row(1, "loss", 2.5), row(1, "loss.image", 0.5), row(2, "loss", f64::NAN)];
        let mut builder = MetricBuilder::default();
        assert!(builder.is_empty());
        rows.iter().for_each(|row| builder.push(row.clone()));
        assert_eq!(builder.len(), 3);
        let records = builder.finish().unwrap();
        let found: Vec<MetricRow> = MetricBatch::try_new(&records).unwrap().rows().collect();
        assert_eq!(found[..2], rows[..2]);
        assert!(found[2].value.is_nan());
        assert!(MetricBatch::try_new(&records.project(&[0, 1]).unwrap()).unwrap_err().to_string().contains("value"));
    }
}
