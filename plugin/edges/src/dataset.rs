//! Edge `dataset`: a folder of training shards; one row.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::check::conform;
use crate::column::{batch, text};
use crate::error::{EdgeError, Result};
use crate::kind::Kind;

const KIND: Kind = Kind::Dataset;

/// Columns of a `dataset` edge.
pub fn dataset_schema() -> SchemaRef {
    KIND.schema(vec![Field::new("path", DataType::Utf8, false), Field::new("manifest", DataType::Utf8, false)])
}

/// A folder of shards on its way into a batch.
#[derive(Debug)]
pub struct DatasetBuilder {
    /// The folder.
    pub path: String,
    /// Its manifest as JSON.
    pub manifest: String,
}

impl DatasetBuilder {
    /// The batch of one row.
    ///
    /// # Errors
    /// None for texts of ordinary length.
    pub fn finish(self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec![self.path])), Arc::new(StringArray::from(vec![self.manifest]))];
        batch(KIND, dataset_schema(), columns)
    }
}

/// A validated batch of one folder of shards.
#[derive(Debug, Clone)]
pub struct DatasetBatch {
    path: StringArray,
    manifest: StringArray,
}

impl DatasetBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, more or fewer than one row, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &dataset_schema())?;
        if records.num_rows() != 1 {
            let reason = format!("has {} rows, expected one", records.num_rows());
            return Err(EdgeError::Column { kind: KIND.name(), column: "path".into(), reason });
        }
        Ok(Self { path: text(KIND, records, "path")?, manifest: text(KIND, records, "manifest")? })
    }

    /// The folder.
    pub fn path(&self) -> &str {
        self.path.value(0)
    }

    /// Its manifest as JSON.
    pub fn manifest(&self) -> &str {
        self.manifest.value(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_and_no_other_number() {
        let records = DatasetBuilder { path: "d".into(), manifest: "{}".into() }.finish().unwrap();
        let dataset = DatasetBatch::try_new(&records).unwrap();
        assert_eq!((dataset.path(), dataset.manifest()), ("d", "{}"));
        assert!(DatasetBatch::try_new(&records.slice(0, 0)).is_err());
    }
}
