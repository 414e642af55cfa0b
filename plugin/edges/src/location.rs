//! Edge `location`: a square footprint on the grid of its own UTM zone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef};
use skysense_grid::{Affine, Crs, GeoBox};

use crate::check::conform;
use crate::column::{batch, fixed, fixed_type, fixed_values, number, real, text};
use crate::error::{EdgeError, Result};
use crate::kind::Kind;

/// A place: its name, its grid and its middle.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRow {
    /// Name, the same for the same footprint.
    pub place: String,
    /// Longitude and latitude of its middle, degrees.
    pub centre: [f64; 2],
    /// Its grid at the resolution of S2 and S1, a square.
    pub grid: GeoBox,
}

/// Columns of a `location` edge.
pub fn location_schema() -> SchemaRef {
    Kind::Location.schema(place_fields())
}

/// The columns that say where a row lies, shared with the edge `sample`.
pub(crate) fn place_fields() -> Vec<Field> {
    vec![
        Field::new("place", DataType::Utf8, false),
        Field::new("longitude", DataType::Float64, false),
        Field::new("latitude", DataType::Float64, false),
        Field::new("crs", DataType::Utf8, false),
        Field::new("transform", fixed_type(DataType::Float64, 6), false),
        Field::new("size", DataType::UInt32, false),
    ]
}

/// Places on their way into columns.
#[derive(Debug, Default)]
pub(crate) struct PlaceColumns {
    rows: Vec<PlaceRow>,
}

impl PlaceColumns {
    pub(crate) fn push(&mut self, row: PlaceRow) {
        self.rows.push(row);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn finish(self, kind: Kind) -> Result<Vec<ArrayRef>> {
        let text = |pick: fn(&PlaceRow) -> &str| -> ArrayRef {
            Arc::new(self.rows.iter().map(|row| Some(pick(row))).collect::<StringArray>())
        };
        let real = |pick: fn(&PlaceRow) -> f64| -> ArrayRef {
            Arc::new(self.rows.iter().map(pick).collect::<Vec<f64>>().into_iter().collect::<Float64Array>())
        };
        let transforms = self.rows.iter().flat_map(|row| {
            let t = row.grid.transform;
            [t.a, t.b, t.c, t.d, t.e, t.f]
        });
        let transforms = Arc::new(transforms.collect::<Float64Array>());
        let item = Arc::new(Field::new_list_field(DataType::Float64, false));
        let transforms = FixedSizeListArray::try_new(item, 6, transforms, None)
            .map_err(|source| EdgeError::Arrow { kind: kind.name(), source })?;
        let sizes = self.rows.iter().map(|row| row.grid.width as u32).collect::<UInt32Array>();
        Ok(vec![
            text(|row| &row.place),
            real(|row| row.centre[0]),
            real(|row| row.centre[1]),
            text(|row| row.grid.crs.as_str()),
            Arc::new(transforms),
            Arc::new(sizes),
        ])
    }
}

/// Where the rows of a batch lie, validated.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    names: StringArray,
    longitudes: Float64Array,
    latitudes: Float64Array,
    systems: StringArray,
    transforms: FixedSizeListArray,
    sizes: UInt32Array,
    kind: Kind,
}

impl Places {
    /// Reads the columns of a batch that was checked against its schema.
    pub(crate) fn try_new(kind: Kind, records: &RecordBatch) -> Result<Self> {
        let places = Self {
            names: text(kind, records, "place")?,
            longitudes: real(kind, records, "longitude")?,
            latitudes: real(kind, records, "latitude")?,
            systems: text(kind, records, "crs")?,
            transforms: fixed(kind, records, "transform")?,
            sizes: number(kind, records, "size")?,
            kind,
        };
        (0..places.len()).try_for_each(|row| places.row(row).map(drop))?;
        Ok(places)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn row(&self, row: usize) -> Result<PlaceRow> {
        let wrong = |column: &str, reason: String| EdgeError::Value {
            kind: self.kind.name(),
            column: column.into(),
            row,
            reason,
        };
        let centre = [self.longitudes.value(row), self.latitudes.value(row)];
        if !(centre.iter().all(|value| value.is_finite()) && centre[0].abs() <= 360.0 && centre[1].abs() <= 90.0) {
            return Err(wrong("longitude", format!("{centre:?} is no longitude and latitude in degrees")));
        }
        let Some(&[a, b, c, d, e, f]) = fixed_values::<Float64Type>(&self.transforms, row) else {
            return Err(wrong("transform", "expected six numbers".into()));
        };
        let size = self.sizes.value(row) as usize;
        let grid = GeoBox::new(Crs::new(self.systems.value(row)), Affine { a, b, c, d, e, f }, size, size)
            .map_err(|error| wrong("transform", error.to_string()))?;
        Ok(PlaceRow { place: self.names.value(row).to_owned(), centre, grid })
    }
}

/// Places on their way into a batch.
#[derive(Debug, Default)]
pub struct LocationBuilder {
    places: PlaceColumns,
}

impl LocationBuilder {
    /// Adds a place.
    pub fn push(&mut self, row: PlaceRow) {
        self.places.push(row);
    }

    /// The batch.
    ///
    /// # Errors
    /// None for names of ordinary length.
    pub fn finish(self) -> Result<RecordBatch> {
        batch(Kind::Location, location_schema(), self.places.finish(Kind::Location)?)
    }
}

/// A validated batch of places.
#[derive(Debug, Clone)]
pub struct LocationBatch {
    places: Places,
}

impl LocationBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, a place without a grid, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        conform(records, &location_schema())?;
        Ok(Self { places: Places::try_new(Kind::Location, records)? })
    }

    /// All places in order.
    pub fn rows(&self) -> impl Iterator<Item = Result<PlaceRow>> + '_ {
        (0..self.places.len()).map(|row| self.places.row(row))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn place(name: &str, x: f64) -> PlaceRow {
        let grid = GeoBox::new(Crs::epsg(32633), Affine::north_up(x, 5_000_000.0, 10.0), 2, 2).unwrap();
        PlaceRow { place: name.into(), centre: [14.5, 45.25], grid }
    }

    #[test]
    fn rows_come_back() {
        let rows = [place("a", 500_000.0), place("b", 500_020.0)];
        let mut builder = LocationBuilder::default();
        rows.iter().for_each(|row| builder.push(row.clone()));
        let records = builder.finish().unwrap();
        let read = |records: &RecordBatch| -> Vec<PlaceRow> {
            LocationBatch::try_new(records).unwrap().rows().map(Result::unwrap).collect()
        };
        assert_eq!(read(&records), rows);
        assert_eq!(read(&records.slice(1, 1)), rows[1..]);
    }

    #[test]
    fn a_place_without_a_grid_is_refused() {
        let mut bad = place("a", 0.0);
        bad.grid.transform = Affine { a: 0.0, b: 0.0, c: 0.0, d: 0.0, e: 0.0, f: 0.0 };
        let mut builder = LocationBuilder::default();
        builder.push(bad);
        let message = LocationBatch::try_new(&builder.finish().unwrap()).unwrap_err().to_string();
        assert!(message.contains("transform") && message.contains("row 0"), "{message}");
    }
}
