//! Edge `model`: a model package; one row.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::check::conform;
use crate::column::{batch, text};
use crate::error::{EdgeError, Result};
use crate::kind::Kind;

const KIND: Kind = Kind::Model;

/// Columns of a `model` edge.
pub fn model_schema() -> SchemaRef {
    KIND.schema(vec![Field::new("path", DataType::Utf8, false), Field::new("contract", DataType::Utf8, false)])
}

/// A model package on its way into a batch.
#[derive(Debug)]
pub struct ModelBuilder {
    /// Folder of the package.
    pub path: String,
    /// Its contract as JSON.
    pub contract: String,
}

impl ModelBuilder {
    /// The batch of one row.
    ///
    /// # Errors
    /// None for texts of ordinary length.
    pub fn finish(self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec![self.path])), Arc::new(StringArray::from(vec![self.contract]))];
        batch(KIND, model_schema(), columns)
    }
}

/// A validated batch of one model package.
#[derive(Debug, Clone)]
pub struct ModelBatch {
    path: StringArray,
    contract: StringArray,
}

impl ModelBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, more or fewer than one row, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &model_schema())?;
        if records.num_rows() != 1 {
            let reason = format!("has {} rows, expected one", records.num_rows());
            return Err(EdgeError::Column { kind: KIND.name(), column: "path".into(), reason });
        }
        Ok(Self { path: text(KIND, records, "path")?, contract: text(KIND, records, "contract")? })
    }

    /// Folder of the package.
    pub fn path(&self) -> &str {
        self.path.value(0)
    }

    /// Its contract as JSON.
    pub fn contract(&self) -> &str {
        self.contract.value(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_and_no_other_number() {
        let records = ModelBuilder { path: "m".into(), contract: "{}".into() }.finish().unwrap();
        let model = ModelBatch::try_new(&records).unwrap();
        assert_eq!((model.path(), model.contract()), ("m", "{}"));
        assert!(ModelBatch::try_new(&records.slice(0, 0)).is_err());
    }
}
