//! Edge `source`: one band of one asset, the border between catalogs and pixels.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::check::conform;
use crate::column::{batch, datetime, datetime_type, datetimes, number, real, text};
use crate::error::Result;
use crate::kind::Kind;

const KIND: Kind = Kind::Source;

/// One band of one asset.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceRow {
    /// Id of the item.
    pub item: String,
    /// Key of the asset.
    pub asset: String,
    /// Where the asset lies.
    pub href: String,
    /// Number of the band in the file, from 1.
    pub band_index: u32,
    /// Name of the band.
    pub band: String,
    /// `data` or `mask`.
    pub role: String,
    /// Modality: `hr`, `s2` or `s1`.
    pub modality: String,
    /// Datetime of the item, milliseconds since 1970 in UTC.
    pub datetime: i64,
    /// The grid that the item claims, as JSON of a `GeoBox`.
    pub geobox: Option<String>,
    /// The type that the item claims.
    pub dtype: Option<String>,
    /// The value that stands for no data.
    pub nodata: Option<f64>,
    /// How numbers become physical values, as JSON.
    pub radiometry: Option<String>,
}

/// Columns of a `source` edge.
pub fn source_schema() -> SchemaRef {
    KIND.schema(vec![
        Field::new("item", DataType::Utf8, false),
        Field::new("asset", DataType::Utf8, false),
        Field::new("href", DataType::Utf8, false),
        Field::new("band_index", DataType::UInt32, false),
        Field::new("band", DataType::Utf8, false),
        Field::new("role", DataType::Utf8, false),
        Field::new("modality", DataType::Utf8, false),
        Field::new("datetime", datetime_type(), false),
        Field::new("geobox", DataType::Utf8, true),
        Field::new("dtype", DataType::Utf8, true),
        Field::new("nodata", DataType::Float64, true),
        Field::new("radiometry", DataType::Utf8, true),
    ])
}

/// Sources on their way into a batch.
#[derive(Debug, Default)]
pub struct SourceBuilder {
    rows: Vec<SourceRow>,
}

impl SourceBuilder {
    /// Adds a source.
    pub fn push(&mut self, row: SourceRow) {
        self.rows.push(row);
    }

    /// The batch.
    ///
    /// # Errors
    /// More text than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        let rows = &self.rows;
        let text = |pick: fn(&SourceRow) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(pick).collect::<StringArray>())
        };
        let columns: Vec<ArrayRef> = vec![
            text(|row| Some(&row.item)),
            text(|row| Some(&row.asset)),
            text(|row| Some(&row.href)),
            Arc::new(rows.iter().map(|row| Some(row.band_index)).collect::<UInt32Array>()),
            text(|row| Some(&row.band)),
            text(|row| Some(&row.role)),
            text(|row| Some(&row.modality)),
            datetimes(rows.iter().map(|row| Some(row.datetime)).collect()),
            text(|row| row.geobox.as_deref()),
            text(|row| row.dtype.as_deref()),
            Arc::new(rows.iter().map(|row| row.nodata).collect::<Float64Array>()),
            text(|row| row.radiometry.as_deref()),
        ];
        batch(KIND, source_schema(), columns)
    }
}

/// A validated batch of sources.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    texts: [StringArray; 9],
    band_index: UInt32Array,
    datetime: TimestampMillisecondArray,
    nodata: Float64Array,
}

impl SourceBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &source_schema())?;
        let words = |name| text(KIND, records, name);
        Ok(Self {
            texts: [
                words("item")?,
                words("asset")?,
                words("href")?,
                words("band")?,
                words("role")?,
                words("modality")?,
                words("geobox")?,
                words("dtype")?,
                words("radiometry")?,
            ],
            band_index: number(KIND, records, "band_index")?,
            datetime: datetime(KIND, records, "datetime")?,
            nodata: real(KIND, records, "nodata")?,
        })
    }

    /// All sources in order.
    pub fn rows(&self) -> impl Iterator<Item = SourceRow> + '_ {
        (0..self.band_index.len()).map(|row| {
            let text =
                |column: usize| Some(&self.texts[column]).filter(|t| t.is_valid(row)).map(|t| t.value(row).to_owned());
            let word = |column: usize| text(column).unwrap_or_default();
            SourceRow {
                item: word(0),
                asset: word(1),
                href: word(2),
                band_index: self.band_index.value(row),
                band: word(3),
                role: word(4),
                modality: word(5),
                datetime: self.datetime.value(row),
                geobox: text(6),
                dtype: text(7),
                nodata: self.nodata.is_valid(row).then(|| self.nodata.value(row)),
                radiometry: text(8),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let row = SourceRow {
            item: "a".into(),
            band: "B02".into(),
            band_index: 2,
            nodata: Some(0.0),
            ..SourceRow::default()
        };
        let mut builder = SourceBuilder::default();
        builder.push(row.clone());
        let records = builder.finish().unwrap();
        assert_eq!(SourceBatch::try_new(&records).unwrap().rows().collect::<Vec<_>>(), [row]);
    }
}
