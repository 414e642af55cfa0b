//! A modality's columns: which there are, and of what type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use crate::column::datetime_type;
use crate::error::{EdgeError, Result};
use crate::kind::Kind;
use crate::pixels::Dtype;
use crate::tensor::variable_field;

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

impl ChipModality {
    /// The four columns: pixels, validity, datetimes and the items behind each date.
    pub(crate) fn fields(&self) -> [Field; 4] {
        let name = &self.name;
        [
            variable_field(
                name,
                self.dtype,
                &[("time", None), ("band", self.bands), ("height", self.side), ("width", self.side)],
            ),
            variable_field(
                &format!("{name}_valid"),
                Dtype::U8,
                &[("time", None), ("height", self.side), ("width", self.side)],
            ),
            Field::new(format!("{name}_datetime"), list(datetime_type()), true),
            Field::new(format!("{name}_items"), list(list(DataType::Utf8)), true),
        ]
    }

    /// The modalities that a schema holds, in the order of [`MODALITIES`].
    ///
    /// # Errors
    /// A schema without a modality, or pixels of a type that is no pixel type.
    pub(crate) fn all(kind: Kind, schema: &Schema) -> Result<Vec<Self>> {
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
                return Err(EdgeError::Column { kind: kind.name(), column: name.into(), reason });
            };
            let uniform = uniform_shape(field);
            modalities.push(Self { name: name.into(), dtype, bands: uniform[1], side: uniform[3] });
        }
        if modalities.is_empty() {
            let reason = format!("no modality: a {kind} has at least one of {MODALITIES:?}");
            return Err(EdgeError::Column { kind: kind.name(), column: MODALITIES.join("|"), reason });
        }
        Ok(modalities)
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
