//! Tensor columns: the canonical extension types, read without a copy.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Int32Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields};

use crate::check::limit;
use crate::error::{EdgeError, Result};
use crate::kind::Kind;
use crate::pixels::{Dtype, Pixels, PixelsRef};

const NAME: &str = "ARROW:extension:name";
const METADATA: &str = "ARROW:extension:metadata";
/// Extension name of tensors whose shape differs from row to row.
pub(crate) const VARIABLE: &str = "arrow.variable_shape_tensor";
/// Extension name of tensors of one shape.
pub(crate) const FIXED: &str = "arrow.fixed_shape_tensor";

/// A field of tensors; an axis without a size differs from row to row.
pub(crate) fn variable_field(name: &str, dtype: Dtype, axes: &[(&str, Option<usize>)]) -> Field {
    let names: Vec<&str> = axes.iter().map(|(name, _)| *name).collect();
    let sizes: Vec<Option<usize>> = axes.iter().map(|(_, size)| *size).collect();
    let metadata = serde_json::json!({"dim_names": names, "uniform_shape": sizes}).to_string();
    let data_type = DataType::Struct(variable_fields(dtype, axes.len()));
    Field::new(name, data_type, true)
        .with_metadata([(NAME.into(), VARIABLE.into()), (METADATA.into(), metadata)].into())
}

fn variable_fields(dtype: Dtype, axes: usize) -> Fields {
    let data = Field::new("data", DataType::List(Arc::new(Field::new_list_field(dtype.arrow(), false))), false);
    let shape = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Int32, false)), axes as i32);
    vec![data, Field::new("shape", shape, false)].into()
}

/// A field of tensors of one shape, never null.
pub(crate) fn fixed_field(name: &str, dtype: Dtype, axes: &[(&str, usize)]) -> Field {
    let names: Vec<&str> = axes.iter().map(|(name, _)| *name).collect();
    let shape: Vec<usize> = axes.iter().map(|(_, size)| *size).collect();
    let metadata = serde_json::json!({"shape": shape, "dim_names": names}).to_string();
    let size = shape.iter().product::<usize>() as i32;
    let data_type = DataType::FixedSizeList(Arc::new(Field::new_list_field(dtype.arrow(), false)), size);
    Field::new(name, data_type, false).with_metadata([(NAME.into(), FIXED.into()), (METADATA.into(), metadata)].into())
}

/// The extension name that a field declares.
pub(crate) fn extension(field: &Field) -> Option<&str> {
    field.metadata().get(NAME).map(String::as_str)
}

/// The shape that a fixed tensor's field declares.
pub(crate) fn fixed_shape(kind: Kind, field: &Field) -> Result<Vec<usize>> {
    let wrong = |reason: String| EdgeError::Column { kind: kind.name(), column: field.name().clone(), reason };
    if extension(field) != Some(FIXED) {
        return Err(wrong(format!("expected the extension type {FIXED}, got {:?}", extension(field))));
    }
    let text = field.metadata().get(METADATA).map(String::as_str).unwrap_or_default();
    let shape: Option<Vec<usize>> = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .filter(|metadata| metadata.get("permutation").is_none_or(serde_json::Value::is_null))
        .and_then(|metadata| serde_json::from_value(metadata.get("shape")?.clone()).ok());
    let shape =
        shape.ok_or_else(|| wrong(format!("the tensor metadata {text:?} has no shape, or permutes its axes")))?;
    let size = shape.iter().try_fold(1_usize, |all, &side| all.checked_mul(side));
    match field.data_type() {
        DataType::FixedSizeList(child, length)
            if size == usize::try_from(*length).ok() && Dtype::from_arrow(child.data_type()).is_some() =>
        {
            Ok(shape)
        }
        other => Err(wrong(format!("a tensor of shape {shape:?} does not fit the type {other}"))),
    }
}

/// The tensor of one row in a fixed-shape column.
pub(crate) fn fixed_row(array: &FixedSizeListArray, row: usize) -> Option<PixelsRef<'_>> {
    let size = array.value_length() as usize;
    let start = array.value_offset(row) as usize;
    PixelsRef::of_array(array.values().as_ref(), start, start + size)
}

/// A column of fixed-shape tensors from all rows' values one after the other.
pub(crate) fn fixed_array(kind: Kind, field: &Field, pixels: Pixels) -> Result<ArrayRef> {
    limit(kind, field.name(), pixels.len())?;
    let DataType::FixedSizeList(child, size) = field.data_type() else {
        return Err(EdgeError::Column {
            kind: kind.name(),
            column: field.name().clone(),
            reason: "is no fixed-shape tensor".into(),
        });
    };
    let array = FixedSizeListArray::try_new(Arc::clone(child), *size, pixels.into_array(), None)
        .map_err(|source| EdgeError::Arrow { kind: kind.name(), source })?;
    Ok(Arc::new(array))
}

/// Tensors of differing shape on their way into a column.
#[derive(Debug)]
pub(crate) struct VariableBuilder {
    dtype: Dtype,
    axes: usize,
    pixels: Pixels,
    ends: Vec<usize>,
    shapes: Vec<i32>,
    present: Vec<bool>,
}

impl VariableBuilder {
    pub(crate) fn new(dtype: Dtype, axes: usize) -> Self {
        Self { dtype, axes, pixels: Pixels::empty(dtype), ends: Vec::new(), shapes: Vec::new(), present: Vec::new() }
    }

    /// Adds a row; the caller has checked type and size.
    pub(crate) fn push(&mut self, pixels: PixelsRef<'_>, shape: &[usize]) -> bool {
        let fits =
            shape.len() == self.axes && shape.iter().product::<usize>() == pixels.len() && self.pixels.extend(pixels);
        if fits {
            self.shapes.extend(shape.iter().map(|&side| side as i32));
            self.ends.push(self.pixels.len());
            self.present.push(true);
        }
        fits
    }

    /// Adds a row without a tensor.
    pub(crate) fn push_null(&mut self) {
        self.shapes.extend(std::iter::repeat_n(0, self.axes));
        self.ends.push(self.pixels.len());
        self.present.push(false);
    }

    /// Values so far.
    pub(crate) fn values(&self) -> usize {
        self.pixels.len()
    }

    pub(crate) fn finish(self, kind: Kind, column: &str) -> Result<ArrayRef> {
        limit(kind, column, self.pixels.len())?;
        let wrap = |source| EdgeError::Arrow { kind: kind.name(), source };
        let starts = std::iter::once(0).chain(self.ends.iter().map(|&end| end as i32));
        let offsets = OffsetBuffer::new(starts.collect::<ScalarBuffer<i32>>());
        let item = Arc::new(Field::new_list_field(self.dtype.arrow(), false));
        let data = ListArray::try_new(item, offsets, self.pixels.into_array(), None).map_err(wrap)?;
        let item = Arc::new(Field::new_list_field(DataType::Int32, false));
        let shapes = Arc::new(Int32Array::from(self.shapes));
        let shape = FixedSizeListArray::try_new(item, self.axes as i32, shapes, None).map_err(wrap)?;
        let nulls = NullBuffer::from(self.present);
        let fields = variable_fields(self.dtype, self.axes);
        let array = StructArray::try_new(fields, vec![Arc::new(data), Arc::new(shape)], Some(nulls)).map_err(wrap)?;
        Ok(Arc::new(array))
    }
}

/// A validated column of tensors of differing shape.
#[derive(Debug, Clone)]
pub(crate) struct VariableColumn {
    nulls: Option<NullBuffer>,
    data: ListArray,
    shapes: Vec<i32>,
    axes: usize,
}

impl VariableColumn {
    /// Checks type and every row's shape against its values.
    pub(crate) fn try_new(kind: Kind, field: &Field, array: &ArrayRef, axes: usize) -> Result<Self> {
        let wrong = |reason: String| EdgeError::Column { kind: kind.name(), column: field.name().clone(), reason };
        if extension(field) != Some(VARIABLE) {
            return Err(wrong(format!("expected the extension type {VARIABLE}, got {:?}", extension(field))));
        }
        let text = field.metadata().get(METADATA).map(String::as_str).unwrap_or_default();
        let permuted = serde_json::from_str::<serde_json::Value>(text)
            .is_ok_and(|m| m.get("permutation").is_some_and(|p| !p.is_null()));
        if permuted {
            return Err(wrong("a tensor with permuted axes is not read: store it row-major".into()));
        }
        let parts = array.as_any().downcast_ref::<StructArray>().filter(|parts| parts.num_columns() == 2);
        let data = parts.and_then(|parts| parts.column_by_name("data")?.as_any().downcast_ref::<ListArray>().cloned());
        let shape = parts
            .and_then(|parts| parts.column_by_name("shape")?.as_any().downcast_ref::<FixedSizeListArray>().cloned());
        let (Some(data), Some(shape)) = (data, shape) else {
            return Err(wrong(format!("expected a struct of data and shape, got {}", array.data_type())));
        };
        let Some(sides) =
            shape.values().as_any().downcast_ref::<Int32Array>().filter(|_| shape.value_length() as usize == axes)
        else {
            return Err(wrong(format!("expected {axes} sizes of type int32 per tensor, got {}", shape.data_type())));
        };
        if Dtype::from_arrow(data.values().data_type()).is_none()
            || data.values().null_count() > 0
            || sides.null_count() > 0
        {
            return Err(wrong(format!("pixels are u8, u16, i16 or f32 without nulls, got {}", data.data_type())));
        }
        limit(kind, field.name(), data.values().len())?;
        let first = shape.value_offset(0) as usize;
        let shapes = sides.values().get(first..first + axes * array.len()).map(<[i32]>::to_vec);
        let shapes = shapes.ok_or_else(|| wrong("has fewer shapes than rows".into()))?;
        let column = Self { nulls: array.nulls().cloned(), data, shapes, axes };
        for row in (0..array.len()).filter(|&row| column.is_present(row)) {
            let sides = &column.shapes[row * axes..(row + 1) * axes];
            let size = sides.iter().try_fold(1_usize, |all, &side| all.checked_mul(usize::try_from(side).ok()?));
            let length = column.data.value_length(row) as usize;
            if size != Some(length) || column.data.is_null(row) {
                let reason = format!("shape {sides:?} does not fit its {length} values");
                return Err(EdgeError::Value { kind: kind.name(), column: field.name().clone(), row, reason });
            }
        }
        Ok(column)
    }

    pub(crate) fn is_present(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    pub(crate) fn shape(&self, row: usize) -> Vec<usize> {
        self.shapes[row * self.axes..(row + 1) * self.axes].iter().map(|&side| side as usize).collect()
    }

    /// The row's values in place, or `None` for a null.
    pub(crate) fn values(&self, row: usize) -> Option<PixelsRef<'_>> {
        if !self.is_present(row) {
            return None;
        }
        let offsets = self.data.value_offsets();
        PixelsRef::of_array(self.data.values().as_ref(), offsets[row] as usize, offsets[row + 1] as usize)
    }
}
