//! Full validation of a batch against a declared schema.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{EdgeError, Result};
use crate::kind::{KIND_KEY, Kind};
use crate::tensor::extension;

/// Refuses a column of 2³¹ values or more.
pub(crate) fn limit(kind: Kind, column: &str, values: usize) -> Result<()> {
    if i32::try_from(values).is_ok() {
        return Ok(());
    }
    Err(EdgeError::TooLarge { kind: kind.name(), column: column.into(), values })
}

/// Refuses a schema of another kind.
pub(crate) fn kind_of(expected: Kind, schema: &Schema) -> Result<()> {
    match Kind::of(schema) {
        Some(found) if found == expected => Ok(()),
        _ => {
            let found =
                schema.metadata().get(KIND_KEY).map_or("a batch without a kind".to_owned(), |name| format!("{name:?}"));
            Err(EdgeError::Kind { expected: expected.name(), found })
        }
    }
}

/// Checks kind, columns, types, extension types, nulls and Arrow's own invariants.
///
/// Columns beyond the declared ones are let through: a plugin may carry more.
pub(crate) fn conform(batch: &RecordBatch, expected: &Schema) -> Result<Kind> {
    let Some(kind) = Kind::of(expected) else {
        return Err(EdgeError::Kind { expected: "one of the declared", found: "a schema without a kind".into() });
    };
    kind_of(kind, batch.schema_ref())?;
    for column in batch.columns() {
        column.to_data().validate_full().map_err(|source| EdgeError::Arrow { kind: kind.name(), source })?;
    }
    for field in expected.fields() {
        let wrong = |reason: String| EdgeError::Column { kind: kind.name(), column: field.name().clone(), reason };
        let places: Vec<usize> =
            (0..batch.num_columns()).filter(|&i| batch.schema_ref().field(i).name() == field.name()).collect();
        let &[place] = places.as_slice() else {
            let names: Vec<&str> = batch.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
            return Err(wrong(format!("is there {} times, expected once; the batch has {names:?}", places.len())));
        };
        let found = batch.schema_ref().field(place);
        if !same_type(field.data_type(), found.data_type()) {
            return Err(wrong(format!("expected the type {}, got {}", field.data_type(), found.data_type())));
        }
        if extension(field) != extension(found) {
            return Err(wrong(format!(
                "expected the extension type {:?}, got {:?}",
                extension(field),
                extension(found)
            )));
        }
        let column = batch.column(place);
        if !field.is_nullable() && column.null_count() > 0 {
            return Err(wrong(format!("has {} nulls, expected none", column.null_count())));
        }
        limit(kind, field.name(), column.len())?;
    }
    Ok(kind)
}

/// Equal apart from the names of list children, their nullability, and spellings of UTC.
fn same_type(expected: &DataType, found: &DataType) -> bool {
    let child = |a: &Field, b: &Field| same_type(a.data_type(), b.data_type());
    match (expected, found) {
        (DataType::Timestamp(a, Some(_)), DataType::Timestamp(b, Some(zone))) => {
            a == b && ["UTC", "+00:00", "Etc/UTC", "Z"].contains(&zone.as_ref())
        }
        (DataType::List(a), DataType::List(b)) => child(a, b),
        (DataType::FixedSizeList(a, n), DataType::FixedSizeList(b, m)) => n == m && child(a, b),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.name() == y.name() && child(x, y))
        }
        (a, b) => a == b,
    }
}
