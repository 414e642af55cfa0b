//! Edge `item`: STAC items as found, with what is known of them before any pixel.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef};

use crate::check::conform;
use crate::column::{batch, column, datetime, datetime_type, datetimes, fixed, fixed_type, fixed_values, text};
use crate::error::{EdgeError, Result};
use crate::kind::Kind;

const KIND: Kind = Kind::Item;

/// One STAC item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemRow {
    /// Id of the item.
    pub id: String,
    /// Id of its collection.
    pub collection: Option<String>,
    /// Name of the sensor that reads it, where one is known.
    pub sensor: Option<String>,
    /// Modality that the sensor gives: `hr`, `s2` or `s1`.
    pub modality: Option<String>,
    /// Nominal datetime, milliseconds since 1970 in UTC.
    pub datetime: Option<i64>,
    /// Start of the interval, for items that have one.
    pub start: Option<i64>,
    /// End of the interval.
    pub end: Option<i64>,
    /// Footprint in longitude and latitude, WKB.
    pub geometry: Option<Vec<u8>>,
    /// `[west, south, east, north]` in degrees.
    pub bbox: Option<[f64; 4]>,
    /// The item as JSON, its hrefs absolute.
    pub item: String,
    /// Root of the catalog that the item came from; access rules depend on it.
    pub root: Option<String>,
}

/// Columns of an `item` edge.
pub fn item_schema() -> SchemaRef {
    KIND.schema(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("collection", DataType::Utf8, true),
        Field::new("sensor", DataType::Utf8, true),
        Field::new("modality", DataType::Utf8, true),
        Field::new("datetime", datetime_type(), true),
        Field::new("start", datetime_type(), true),
        Field::new("end", datetime_type(), true),
        Field::new("geometry", DataType::Binary, true),
        Field::new("bbox", fixed_type(DataType::Float64, 4), true),
        Field::new("item", DataType::Utf8, false),
        Field::new("root", DataType::Utf8, true),
    ])
}

/// Items on their way into a batch.
#[derive(Debug, Default)]
pub struct ItemBuilder {
    rows: Vec<ItemRow>,
}

impl ItemBuilder {
    /// Adds an item.
    pub fn push(&mut self, row: ItemRow) {
        self.rows.push(row);
    }

    /// The batch.
    ///
    /// # Errors
    /// More text than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        let rows = &self.rows;
        let text = |pick: fn(&ItemRow) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(pick).collect::<StringArray>())
        };
        let time = |pick: fn(&ItemRow) -> Option<i64>| datetimes(rows.iter().map(pick).collect());
        let size: usize = rows.iter().map(|row| row.item.len()).sum();
        crate::check::limit(KIND, "item", size)?;
        let corners: Vec<f64> = rows.iter().flat_map(|row| row.bbox.unwrap_or_default()).collect();
        let child = Arc::new(Field::new_list_field(DataType::Float64, false));
        let present = NullBuffer::from_iter(rows.iter().map(|row| row.bbox.is_some()));
        let bbox = FixedSizeListArray::try_new(child, 4, Arc::new(Float64Array::from(corners)), Some(present))
            .map_err(|source| EdgeError::Arrow { kind: KIND.name(), source })?;
        let columns: Vec<ArrayRef> = vec![
            text(|row| Some(&row.id)),
            text(|row| row.collection.as_deref()),
            text(|row| row.sensor.as_deref()),
            text(|row| row.modality.as_deref()),
            time(|row| row.datetime),
            time(|row| row.start),
            time(|row| row.end),
            Arc::new(rows.iter().map(|row| row.geometry.as_deref()).collect::<BinaryArray>()),
            Arc::new(bbox),
            text(|row| Some(&row.item)),
            text(|row| row.root.as_deref()),
        ];
        batch(KIND, item_schema(), columns)
    }
}

/// A validated batch of items.
#[derive(Debug, Clone)]
pub struct ItemBatch {
    texts: [StringArray; 6],
    datetimes: [TimestampMillisecondArray; 3],
    geometry: BinaryArray,
    bbox: FixedSizeListArray,
}

impl ItemBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &item_schema())?;
        let words = |name| text(KIND, records, name);
        let geometry = column(KIND, records, "geometry")?;
        let Some(geometry) = geometry.as_any().downcast_ref::<BinaryArray>().cloned() else {
            return Err(EdgeError::Column {
                kind: KIND.name(),
                column: "geometry".into(),
                reason: format!("has the type {}", geometry.data_type()),
            });
        };
        Ok(Self {
            texts: [
                words("id")?,
                words("collection")?,
                words("sensor")?,
                words("modality")?,
                words("item")?,
                words("root")?,
            ],
            datetimes: [
                datetime(KIND, records, "datetime")?,
                datetime(KIND, records, "start")?,
                datetime(KIND, records, "end")?,
            ],
            geometry,
            bbox: fixed(KIND, records, "bbox")?,
        })
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.bbox.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All items in order.
    pub fn rows(&self) -> impl Iterator<Item = ItemRow> + '_ {
        (0..self.len()).map(|row| {
            let text =
                |column: usize| Some(&self.texts[column]).filter(|t| t.is_valid(row)).map(|t| t.value(row).to_owned());
            let time = |column: usize| Some(&self.datetimes[column]).filter(|t| t.is_valid(row)).map(|t| t.value(row));
            ItemRow {
                id: text(0).unwrap_or_default(),
                collection: text(1),
                sensor: text(2),
                modality: text(3),
                datetime: time(0),
                start: time(1),
                end: time(2),
                geometry: self.geometry.is_valid(row).then(|| self.geometry.value(row).to_vec()),
                bbox: fixed_values::<Float64Type>(&self.bbox, row).and_then(|corners| corners.try_into().ok()),
                item: text(4).unwrap_or_default(),
                root: text(5),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let full = ItemRow {
            id: "a".into(),
            collection: Some("c".into()),
            datetime: Some(5),
            geometry: Some(vec![1, 2]),
            bbox: Some([1.0, 2.0, 3.0, 4.0]),
            item: "{}".into(),
            ..ItemRow::default()
        };
        let bare = ItemRow { id: "b".into(), item: "{}".into(), ..ItemRow::default() };
        let mut builder = ItemBuilder::default();
        builder.push(full.clone());
        builder.push(bare.clone());
        let records = builder.finish().unwrap();
        let read: Vec<ItemRow> = ItemBatch::try_new(&records).unwrap().rows().collect();
        assert_eq!(read, [full, bare.clone()]);
        let tail: Vec<ItemRow> = ItemBatch::try_new(&records.slice(1, 1)).unwrap().rows().collect();
        assert_eq!(tail, [bare]);
    }

    #[test]
    fn another_kind_is_refused_by_name() {
        let records = RecordBatch::new_empty(crate::model_schema());
        let message = ItemBatch::try_new(&records).unwrap_err().to_string();
        assert!(message.contains("\"item\"") && message.contains("\"model\""), "{message}");
    }
}
