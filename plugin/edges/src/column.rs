//! Typed access to the plain columns of a batch that was checked.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt32Array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampMillisecondType,
    UInt32Type,
};

use crate::error::{EdgeError, Result};
use crate::kind::Kind;

/// The Arrow type of a datetime: milliseconds in UTC.
pub(crate) fn datetime_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The Arrow type of a fixed number of values per row.
pub(crate) fn fixed_type(value: DataType, size: usize) -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new_list_field(value, false)), size as i32)
}

/// The column of this name.
pub(crate) fn column<'a>(kind: Kind, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| EdgeError::Column {
        kind: kind.name(),
        column: name.into(),
        reason: "is missing".into(),
    })
}

fn mistyped(kind: Kind, name: &str, array: &ArrayRef) -> EdgeError {
    EdgeError::Column { kind: kind.name(), column: name.into(), reason: format!("has the type {}", array.data_type()) }
}

fn primitive<T: ArrowPrimitiveType>(
    kind: Kind,
    batch: &RecordBatch,
    name: &str,
) -> Result<arrow::array::PrimitiveArray<T>> {
    let array = column(kind, batch, name)?;
    array.as_primitive_opt::<T>().cloned().ok_or_else(|| mistyped(kind, name, array))
}

pub(crate) fn text(kind: Kind, batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let array = column(kind, batch, name)?;
    array.as_string_opt::<i32>().cloned().ok_or_else(|| mistyped(kind, name, array))
}

pub(crate) fn number(kind: Kind, batch: &RecordBatch, name: &str) -> Result<UInt32Array> {
    primitive::<UInt32Type>(kind, batch, name)
}

pub(crate) fn datetime(kind: Kind, batch: &RecordBatch, name: &str) -> Result<TimestampMillisecondArray> {
    primitive::<TimestampMillisecondType>(kind, batch, name)
}

pub(crate) fn real(kind: Kind, batch: &RecordBatch, name: &str) -> Result<Float64Array> {
    primitive::<Float64Type>(kind, batch, name)
}

pub(crate) fn count(kind: Kind, batch: &RecordBatch, name: &str) -> Result<Int64Array> {
    primitive::<Int64Type>(kind, batch, name)
}

pub(crate) fn fixed(kind: Kind, batch: &RecordBatch, name: &str) -> Result<FixedSizeListArray> {
    let array = column(kind, batch, name)?;
    array.as_fixed_size_list_opt().cloned().ok_or_else(|| mistyped(kind, name, array))
}

/// The values of row `row` in a column of fixed lists.
pub(crate) fn fixed_values<T: ArrowPrimitiveType>(array: &FixedSizeListArray, row: usize) -> Option<&[T::Native]> {
    if array.is_null(row) {
        return None;
    }
    let (start, size) = (array.value_offset(row) as usize, array.value_length() as usize);
    array.values().as_primitive_opt::<T>()?.values().get(start..start + size)
}

/// Four whole numbers a row as an Arrow column: `x, y, width, height`.
pub(crate) fn windows(kind: Kind, rows: Vec<[i64; 4]>) -> Result<ArrayRef> {
    let values = Arc::new(Int64Array::from(rows.concat()));
    let array = FixedSizeListArray::try_new(Arc::new(Field::new_list_field(DataType::Int64, false)), 4, values, None);
    Ok(Arc::new(array.map_err(|source| EdgeError::Arrow { kind: kind.name(), source })?))
}

/// The window of a row.
pub(crate) fn window(kind: Kind, array: &FixedSizeListArray, row: usize) -> Result<skysense_grid::Window> {
    let wrong = |reason: String| EdgeError::Value { kind: kind.name(), column: "window".into(), row, reason };
    let Some(&[x, y, width, height]) = fixed_values::<Int64Type>(array, row) else {
        return Err(wrong("expected four int64 values: x, y, width, height".into()));
    };
    let side = |value: i64| i32::try_from(value).ok().filter(|&v| v > 0).map(|v| v as usize);
    match (side(width), side(height)) {
        (Some(width), Some(height))
            if x.checked_add(width as i64).is_some() && y.checked_add(height as i64).is_some() =>
        {
            Ok(skysense_grid::Window { x, y, width, height })
        }
        _ => Err(wrong(format!("the window {x}, {y}, {width} x {height} has no pixels or too many"))),
    }
}

/// A batch from a schema and its columns.
pub(crate) fn batch(kind: Kind, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema, columns).map_err(|source| EdgeError::Arrow { kind: kind.name(), source })
}

/// Datetimes as an Arrow column.
pub(crate) fn datetimes(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
}
