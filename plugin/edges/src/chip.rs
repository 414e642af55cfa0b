//! Edge `chip`: aligned pixels of all modalities at one place and in one period.

use arrow::array::{Array, AsArray, FixedSizeListArray, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, SchemaRef, TimestampMillisecondType};
use skysense_grid::Window;
use std::sync::Arc;

use crate::check::{conform, kind_of};
use crate::column::{column, datetime_type, fixed, fixed_type, number, text, window};
use crate::error::{EdgeError, Result};
use crate::kind::Kind;
use crate::pixels::{Dtype, PixelsRef};
use crate::tensor::{VariableColumn, variable_field};

const KIND: Kind = Kind::Chip;

/// The modalities in the order in which the fusion takes them.
pub const MODALITIES: [&str; 3] = ["hr", "s2", "s1"];

/// One modality's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipModality {
    /// `hr`, `s2` or `s1`.
    pub name: String,
    /// Type of its pixels.
    pub dtype: Dtype,
    /// Number of bands, where every row has the same.
    pub bands: Option<usize>,
    /// Pixels along a side, where every row has the same.
    pub side: Option<usize>,
}

/// The columns of a `chip` edge: those of every chip, and four for each modality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipSchema {
    /// Modalities in the order of [`MODALITIES`].
    pub modalities: Vec<ChipModality>,
}

impl ChipSchema {
    /// The Arrow schema.
    pub fn arrow(&self) -> SchemaRef {
        let mut fields = vec![
            Field::new("chip", DataType::UInt32, false),
            Field::new("period", DataType::Utf8, false),
            Field::new("window", fixed_type(DataType::Int64, 4), false),
        ];
        for m in &self.modalities {
            let name = &m.name;
            fields.push(variable_field(
                name,
                m.dtype,
                &[("time", None), ("band", m.bands), ("height", m.side), ("width", m.side)],
            ));
            fields.push(variable_field(
                &format!("{name}_valid"),
                Dtype::U8,
                &[("time", None), ("height", m.side), ("width", m.side)],
            ));
            fields.push(Field::new(format!("{name}_datetime"), list(datetime_type()), true));
            fields.push(Field::new(format!("{name}_items"), list(list(DataType::Utf8)), true));
        }
        KIND.schema(fields)
    }

    /// Reads the modalities back from an Arrow schema.
    ///
    /// # Errors
    /// A schema of another kind or without a modality, or pixels of a type that is no pixel type.
    pub fn from_arrow(schema: &arrow::datatypes::Schema) -> Result<Self> {
        kind_of(KIND, schema)?;
        let mut modalities = Vec::new();
        for name in MODALITIES {
            let Ok(field) = schema.field_with_name(name) else { continue };
            let dtype = match field.data_type() {
                DataType::Struct(parts) => parts.find("data").and_then(|(_, data)| match data.data_type() {
                    DataType::List(value) => Dtype::from_arrow(value.data_type()),
                    _ => None,
                }),
                _ => None,
            };
            let Some(dtype) = dtype else {
                let reason = format!("expected a tensor of u8, u16, i16 or f32, got {}", field.data_type());
                return Err(EdgeError::Column { kind: KIND.name(), column: name.into(), reason });
            };
            let uniform = crate::chip::uniform_shape(field);
            modalities.push(ChipModality { name: name.into(), dtype, bands: uniform[1], side: uniform[3] });
        }
        if modalities.is_empty() {
            let reason = format!("no modality: a chip has at least one of {MODALITIES:?}");
            return Err(EdgeError::Column { kind: KIND.name(), column: MODALITIES.join("|"), reason });
        }
        Ok(Self { modalities })
    }
}

/// Sizes of axes that the field's metadata promises for every row.
fn uniform_shape(field: &Field) -> [Option<usize>; 4] {
    let metadata = field.metadata().get("ARROW:extension:metadata").map(String::as_str).unwrap_or_default();
    let parsed = serde_json::from_str::<serde_json::Value>(metadata).ok();
    let shape = parsed.and_then(|m| serde_json::from_value::<Vec<Option<usize>>>(m.get("uniform_shape")?.clone()).ok());
    shape.and_then(|shape| shape.try_into().ok()).unwrap_or([None; 4])
}

pub(crate) fn list(value: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(value, false)))
}

/// One modality of one chip, in the Arrow buffers.
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
}

#[derive(Debug, Clone)]
struct Columns {
    name: String,
    pixels: VariableColumn,
    valid: VariableColumn,
    datetimes: ListArray,
    items: ListArray,
}

/// A validated batch of chips.
#[derive(Debug, Clone)]
pub struct ChipBatch {
    schema: ChipSchema,
    chips: UInt32Array,
    periods: StringArray,
    windows: FixedSizeListArray,
    columns: Vec<Columns>,
}

impl ChipBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, a shape that does not fit its values, a modality
    /// whose columns contradict each other, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        let schema = ChipSchema::from_arrow(records.schema_ref())?;
        conform(records, &schema.arrow())?;
        let mut columns = Vec::with_capacity(schema.modalities.len());
        for modality in &schema.modalities {
            columns.push(Columns::try_new(records, modality)?);
        }
        let batch = Self {
            schema,
            chips: number(KIND, records, "chip")?,
            periods: text(KIND, records, "period")?,
            windows: fixed(KIND, records, "window")?,
            columns,
        };
        for row in 0..batch.len() {
            let _checked = window(KIND, &batch.windows, row)?;
        }
        Ok(batch)
    }

    /// The modalities of the batch.
    pub fn schema(&self) -> &ChipSchema {
        &self.schema
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.chips.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.chips.is_empty()
    }

    /// Number of the chip in row-major order.
    pub fn chip(&self, row: usize) -> u32 {
        self.chips.value(row)
    }

    /// Name of the period.
    pub fn period(&self, row: usize) -> &str {
        self.periods.value(row)
    }

    /// Pixels of the target grid that the chip covers.
    ///
    /// # Errors
    /// None after validation; kept so that no value is made up.
    pub fn window(&self, row: usize) -> Result<Window> {
        window(KIND, &self.windows, row)
    }

    /// A modality of a row, or `None` where the chip lacks it.
    pub fn series(&self, modality: &str, row: usize) -> Option<Series<'_>> {
        self.columns.iter().find(|columns| columns.name == modality)?.series(row)
    }
}

impl Columns {
    fn try_new(records: &RecordBatch, modality: &ChipModality) -> Result<Self> {
        let name = &modality.name;
        let tensor = |column_name: &str, axes: usize| -> Result<VariableColumn> {
            let field = records
                .schema_ref()
                .field_with_name(column_name)
                .map_err(|source| EdgeError::Arrow { kind: KIND.name(), source })?;
            VariableColumn::try_new(KIND, field, column(KIND, records, column_name)?, axes)
        };
        let lists = |column_name: &str| -> Result<ListArray> {
            let array = column(KIND, records, column_name)?;
            array.as_list_opt::<i32>().cloned().ok_or_else(|| EdgeError::Column {
                kind: KIND.name(),
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
            let wrong = |reason: String| EdgeError::Value { kind: KIND.name(), column: name.clone(), row, reason };
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

    fn series(&self, row: usize) -> Option<Series<'_>> {
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
