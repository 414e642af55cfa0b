//! Edge `object`: objects that were found, as outlines on the map.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::check::conform;
use crate::column::{batch, fixed, fixed_type, fixed_values, number, real, text};
use crate::error::{EdgeError, Result};
use crate::facts::{ChipFacts, ClassFacts, ModelFacts};
use crate::kind::Kind;

const KIND: Kind = Kind::Object;

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRow {
    /// Number of the chip that it was found in, in row-major order.
    pub chip: u32,
    /// Name of the period.
    pub period: String,
    /// Place of its class in the facts.
    pub class: u32,
    /// How sure the model is, 0 to 1.
    pub score: f64,
    /// Corners in coordinates of the grid's reference system.
    pub corners: [[f64; 2]; 4],
}

/// Facts of an `object` edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectFacts {
    /// The chips that were looked at.
    pub chips: ChipFacts,
    /// The model.
    pub model: ModelFacts,
    /// Classes in the order of their places.
    pub classes: Vec<ClassFacts>,
    /// Whether outlines are rotated; upright ones are so on the grid.
    pub rotated: bool,
    /// Bands that the model ran without, by modality.
    pub absent_bands: BTreeMap<String, Vec<String>>,
}

/// Columns of an `object` edge.
pub fn object_schema() -> SchemaRef {
    KIND.schema(vec![
        Field::new("chip", DataType::UInt32, false),
        Field::new("period", DataType::Utf8, false),
        Field::new("class", DataType::UInt32, false),
        Field::new("score", DataType::Float64, false),
        Field::new("corners", fixed_type(DataType::Float64, 8), false),
    ])
}

/// Objects on their way into a batch.
#[derive(Debug, Default)]
pub struct ObjectBuilder {
    rows: Vec<ObjectRow>,
}

impl ObjectBuilder {
    /// Adds an object.
    pub fn push(&mut self, row: ObjectRow) {
        self.rows.push(row);
    }

    /// The batch.
    ///
    /// # Errors
    /// More text than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        crate::check::limit(KIND, "period", self.rows.iter().map(|row| row.period.len()).sum())?;
        let values: Vec<f64> = self.rows.iter().flat_map(|row| row.corners.as_flattened()).copied().collect();
        let child = Arc::new(Field::new_list_field(DataType::Float64, false));
        let corners = FixedSizeListArray::try_new(child, 8, Arc::new(Float64Array::from(values)), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.rows.iter().map(|row| row.chip).collect::<UInt32Array>()),
            Arc::new(self.rows.iter().map(|row| Some(&row.period)).collect::<StringArray>()),
            Arc::new(self.rows.iter().map(|row| row.class).collect::<UInt32Array>()),
            Arc::new(self.rows.iter().map(|row| row.score).collect::<Float64Array>()),
            Arc::new(corners.map_err(|source| EdgeError::Arrow { kind: KIND.name(), source })?),
        ];
        batch(KIND, object_schema(), columns)
    }
}

/// A validated batch of objects.
#[derive(Debug, Clone)]
pub struct ObjectBatch {
    chip: UInt32Array,
    period: StringArray,
    class: UInt32Array,
    score: Float64Array,
    corners: FixedSizeListArray,
}

impl ObjectBatch {
    /// Validates a batch whose classes are these many.
    ///
    /// # Errors
    /// A column that is missing or of another type, a class that is not there, numbers that are not finite.
    pub fn try_new(records: &RecordBatch, classes: usize) -> Result<Self> {
        conform(records, &object_schema())?;
        let found = Self {
            chip: number(KIND, records, "chip")?,
            period: text(KIND, records, "period")?,
            class: number(KIND, records, "class")?,
            score: real(KIND, records, "score")?,
            corners: fixed(KIND, records, "corners")?,
        };
        for row in 0..found.chip.len() {
            let wrong = |column: &str, reason: String| EdgeError::Value {
                kind: KIND.name(),
                column: column.into(),
                row,
                reason,
            };
            if found.class.value(row) as usize >= classes {
                return Err(wrong("class", format!("is {}, expected one below {classes}", found.class.value(row))));
            }
            let corners = fixed_values::<Float64Type>(&found.corners, row).filter(|corners| corners.len() == 8);
            let finite = corners.is_some_and(|corners| corners.iter().all(|value| value.is_finite()));
            if !finite || !found.score.value(row).is_finite() {
                return Err(wrong("corners", "or score: expected finite numbers, eight for four corners".into()));
            }
        }
        Ok(found)
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = ObjectRow> + '_ {
        (0..self.chip.len()).map(|row| {
            let values = fixed_values::<Float64Type>(&self.corners, row).unwrap_or(&[0.0; 8]);
            ObjectRow {
                chip: self.chip.value(row),
                period: self.period.value(row).to_owned(),
                class: self.class.value(row),
                score: self.score.value(row),
                corners: std::array::from_fn(|corner| [values[2 * corner], values[2 * corner + 1]]),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_nonsense_is_refused() {
        let row = |class, score| ObjectRow {
            chip: 4,
            period: "2021".into(),
            class,
            score,
            corners: [[1.0, 2.0], [3.0, 2.0], [3.0, 5.0], [1.0, 5.0]],
        };
        let made = |rows: &[ObjectRow]| {
            let mut builder = ObjectBuilder::default();
            rows.iter().for_each(|row| builder.push(row.clone()));
            builder.finish().unwrap()
        };
        let rows = [row(0, 0.5), row(1, 0.25)];
        assert_eq!(ObjectBatch::try_new(&made(&rows), 2).unwrap().rows().collect::<Vec<_>>(), rows);
        assert_eq!(ObjectBatch::try_new(&made(&[]), 2).unwrap().rows().count(), 0);
        let told = |rows: &[ObjectRow]| ObjectBatch::try_new(&made(rows), 1).unwrap_err().to_string();
        assert!(told(&rows).contains("expected one below 1"));
        assert!(told(&[row(0, f64::NAN)]).contains("finite"));
        assert!(ObjectBatch::try_new(&made(&rows).project(&[0, 1]).unwrap(), 2).is_err());
    }
}
