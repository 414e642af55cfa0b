//! Edge `raster`: a raster that was written, with its STAC item.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::check::conform;
use crate::column::{batch, text};
use crate::error::Result;
use crate::kind::Kind;

const KIND: Kind = Kind::Raster;

/// One written item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RasterRow {
    /// Id of the item.
    pub id: String,
    /// Name of the period that it shows.
    pub period: String,
    /// Where the item's JSON lies.
    pub href: String,
    /// The item as JSON, hrefs of its assets absolute.
    pub item: String,
}

/// Columns of a `raster` edge.
pub fn raster_schema() -> SchemaRef {
    KIND.schema(["id", "period", "href", "item"].map(|name| Field::new(name, DataType::Utf8, false)).to_vec())
}

/// Written items on their way into a batch.
#[derive(Debug, Default)]
pub struct RasterBuilder {
    rows: Vec<RasterRow>,
}

impl RasterBuilder {
    /// Adds an item.
    pub fn push(&mut self, row: RasterRow) {
        self.rows.push(row);
    }

    /// The batch.
    ///
    /// # Errors
    /// More text than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        let text = |pick: fn(&RasterRow) -> &str| -> ArrayRef {
            Arc::new(self.rows.iter().map(|row| Some(pick(row))).collect::<StringArray>())
        };
        crate::check::limit(KIND, "item", self.rows.iter().map(|row| row.item.len()).sum())?;
        let columns = vec![text(|row| &row.id), text(|row| &row.period), text(|row| &row.href), text(|row| &row.item)];
        batch(KIND, raster_schema(), columns)
    }
}

/// A validated batch of written items.
#[derive(Debug, Clone)]
pub struct RasterBatch {
    columns: [StringArray; 4],
}

impl RasterBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &raster_schema())?;
        let words = |name| text(KIND, records, name);
        Ok(Self { columns: [words("id")?, words("period")?, words("href")?, words("item")?] })
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = RasterRow> + '_ {
        (0..self.columns[0].len()).map(|row| {
            let [id, period, href, item] = [0, 1, 2, 3].map(|column: usize| self.columns[column].value(row).to_owned());
            RasterRow { id, period, href, item }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let row = RasterRow { id: "a".into(), period: "2021".into(), href: "a.json".into(), item: "{}".into() };
        let mut builder = RasterBuilder::default();
        builder.push(row.clone());
        let records = builder.finish().unwrap();
        assert_eq!(RasterBatch::try_new(&records).unwrap().rows().collect::<Vec<_>>(), [row]);
    }
}
