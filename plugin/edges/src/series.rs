//! The series of a modality, read in place.

use arrow::array::{Array, AsArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMillisecondType;

use crate::column::column;
use crate::error::{EdgeError, Result};
use crate::kind::Kind;
use crate::modality::ChipModality;
use crate::pixels::PixelsRef;
use crate::series_builder::SeriesRow;
use crate::tensor::VariableColumn;

/// One modality of one row, in the Arrow buffers.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// `[time, band, height, width]`.
    pub shape: [usize; 4],
    /// Pixels, row-major in `shape`.
    pub pixels: PixelsRef<'a>,
    /// 1 where the pixel holds data, `[time, height, width]`.
    pub valid: &'a [u8],
    /// Datetime of each date, milliseconds since 1970 in UTC.
    pub datetimes: &'a [i64],
    items: StringArray,
    ends: Vec<usize>,
}

impl Series<'_> {
    /// Ids of the items that a date was made of.
    pub fn items(&self, date: usize) -> impl Iterator<Item = &str> + '_ {
        let start = if date == 0 { 0 } else { self.ends[date - 1] };
        (start..self.ends[date]).map(|place| self.items.value(place))
    }

    /// A copy of its own.
    pub fn to_row(&self) -> SeriesRow {
        let items = |date| self.items(date).map(str::to_owned).collect();
        SeriesRow {
            shape: self.shape,
            pixels: self.pixels.to_owned(),
            valid: self.valid.to_vec(),
            datetimes: self.datetimes.to_vec(),
            items: (0..self.shape[0]).map(items).collect(),
        }
    }
}

/// One modality of all rows.
#[derive(Debug, Clone)]
pub(crate) struct SeriesColumn {
    pub(crate) name: String,
    pixels: VariableColumn,
    valid: VariableColumn,
    datetimes: ListArray,
    items: ListArray,
}

impl SeriesColumn {
    /// Validates the columns against each other.
    ///
    /// # Errors
    /// Columns that are missing, of another type, or that contradict each other.
    pub(crate) fn try_new(kind: Kind, records: &RecordBatch, modality: &ChipModality) -> Result<Self> {
        let name = &modality.name;
        let tensor = |column_name: &str, axes: usize| -> Result<VariableColumn> {
            let field = records
                .schema_ref()
                .field_with_name(column_name)
                .map_err(|source| EdgeError::Arrow { kind: kind.name(), source })?;
            VariableColumn::try_new(kind, field, column(kind, records, column_name)?, axes)
        };
        let lists = |column_name: &str| -> Result<ListArray> {
            let array = column(kind, records, column_name)?;
            array.as_list_opt::<i32>().cloned().ok_or_else(|| EdgeError::Column {
                kind: kind.name(),
                column: column_name.into(),
                reason: format!("has the type {}", array.data_type()),
            })
        };
        let columns = Self {
            name: name.clone(),
            pixels: tensor(name, 4)?,
            valid: tensor(&format!("{name}_valid"), 3)?,
            datetimes: lists(&format!("{name}_datetime"))?,
            items: lists(&format!("{name}_items"))?,
        };
        for row in 0..records.num_rows() {
            let wrong = |reason: String| EdgeError::Value { kind: kind.name(), column: name.clone(), row, reason };
            let present = [
                columns.pixels.is_present(row),
                columns.valid.is_present(row),
                columns.datetimes.is_valid(row),
                columns.items.is_valid(row),
            ];
            if present.iter().any(|&p| p != present[0]) {
                return Err(wrong(format!(
                    "{name}, {name}_valid, {name}_datetime and {name}_items must be null together"
                )));
            }
            if !present[0] {
                continue;
            }
            let (shape, valid) = (columns.pixels.shape(row), columns.valid.shape(row));
            let dates = [columns.datetimes.value_length(row) as usize, columns.items.value_length(row) as usize];
            if valid != [shape[0], shape[2], shape[3]] || dates != [shape[0]; 2] || shape.contains(&0) {
                return Err(wrong(format!(
                    "pixels {shape:?}, validity {valid:?} and {dates:?} dates do not belong together"
                )));
            }
            if modality.bands.is_some_and(|bands| bands != shape[1])
                || modality.side.is_some_and(|side| [side; 2] != shape[2..])
            {
                return Err(wrong(format!(
                    "shape {shape:?} breaks the promise of the schema: {:?} bands, side {:?}",
                    modality.bands, modality.side
                )));
            }
            if columns.series(row).is_none() {
                return Err(wrong("dates or item ids hold nulls".into()));
            }
        }
        Ok(columns)
    }

    /// The series of a row, or `None` where it lacks the modality.
    pub(crate) fn series(&self, row: usize) -> Option<Series<'_>> {
        let pixels = self.pixels.values(row)?;
        let PixelsRef::U8(valid) = self.valid.values(row)? else { return None };
        let range = |lists: &ListArray| (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        let (start, end) = range(&self.datetimes);
        let times =
            self.datetimes.values().as_primitive_opt::<TimestampMillisecondType>().filter(|t| t.null_count() == 0)?;
        let datetimes = times.values().get(start..end)?;
        let (start, end) = range(&self.items);
        let dates = self.items.values().as_list_opt::<i32>().filter(|d| d.null_count() == 0)?;
        let offsets = dates.value_offsets().get(start..=end)?;
        let ids = dates.values().as_string_opt::<i32>().filter(|ids| ids.null_count() == 0)?;
        let first = *offsets.first()? as usize;
        let items = ids.slice(first, *offsets.last()? as usize - first);
        let ends = offsets[1..].iter().map(|&offset| offset as usize - first).collect();
        let shape = self.pixels.shape(row).try_into().ok()?;
        Some(Series { shape, pixels, valid, datetimes, items, ends })
    }
}
