//! Maps of a chip, shared by the edges `feature` and `prediction`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use skysense_grid::Window;

use crate::check::{conform, kind_of};
use crate::column::{batch, column, fixed, fixed_type, number, text, window, windows};
use crate::error::{EdgeError, Result};
use crate::kind::Kind;
use crate::pixels::{Dtype, Pixels, PixelsRef};
use crate::tensor::{fixed_array, fixed_field, fixed_row, fixed_shape};

/// Which columns hold the map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) kind: Kind,
    /// Name of the map's column.
    pub(crate) values: &'static str,
    /// Name of its first axis.
    pub(crate) axis: &'static str,
}

impl Layout {
    pub(crate) fn schema(self, channels: usize, side: usize) -> SchemaRef {
        self.kind.schema(vec![
            Field::new("chip", DataType::UInt32, false),
            Field::new("period", DataType::Utf8, false),
            Field::new("window", fixed_type(DataType::Int64, 4), false),
            fixed_field(self.values, Dtype::F32, &[(self.axis, channels), ("height", side), ("width", side)]),
            fixed_field("valid", Dtype::U8, &[("height", side), ("width", side)]),
        ])
    }

    /// Channels and side that a schema declares.
    pub(crate) fn sizes(self, schema: &Schema) -> Result<(usize, usize)> {
        kind_of(self.kind, schema)?;
        let find = |name: &str| {
            let missing =
                || EdgeError::Column { kind: self.kind.name(), column: name.into(), reason: "is missing".into() };
            schema.field_with_name(name).map_err(|_| missing())
        };
        let shape = fixed_shape(self.kind, find(self.values)?)?;
        let valid = fixed_shape(self.kind, find("valid")?)?;
        match shape.as_slice() {
            &[channels, height, width] if height == width && valid == [height, width] && channels > 0 && height > 0 => {
                Ok((channels, height))
            }
            _ => {
                let reason = format!(
                    "expected [{}, height, width] over squares, got {shape:?} with validity {valid:?}",
                    self.axis
                );
                Err(EdgeError::Column { kind: self.kind.name(), column: self.values.into(), reason })
            }
        }
    }
}

/// One chip's map.
#[derive(Debug, Clone, PartialEq)]
pub struct MapRow {
    /// Number of the chip in row-major order.
    pub chip: u32,
    /// Name of the period.
    pub period: String,
    /// Pixels of the target grid that it covers.
    pub window: Window,
    /// `[channel, height, width]`.
    pub values: Vec<f32>,
    /// 1 where at least one input held data, `[height, width]`.
    pub valid: Vec<u8>,
}

/// Collects maps of chips and gives them as one batch of kind `feature` or `prediction`.
#[derive(Debug)]
pub struct MapBuilder {
    layout: Layout,
    channels: usize,
    side: usize,
    chips: Vec<u32>,
    periods: Vec<String>,
    windows: Vec<[i64; 4]>,
    values: Vec<f32>,
    valid: Vec<u8>,
}

impl MapBuilder {
    /// An empty `feature` batch of `channels` maps of `side` pixels square.
    pub fn features(channels: usize, side: usize) -> Self {
        Self::new(crate::feature::LAYOUT, channels, side)
    }

    /// An empty `prediction` batch of `classes` maps of `side` pixels square.
    pub fn predictions(classes: usize, side: usize) -> Self {
        Self::new(crate::prediction::LAYOUT, classes, side)
    }

    fn new(layout: Layout, channels: usize, side: usize) -> Self {
        Self { layout, channels, side, chips: vec![], periods: vec![], windows: vec![], values: vec![], valid: vec![] }
    }

    /// Adds a chip's map.
    ///
    /// # Errors
    /// A number of values that does not fit the shape.
    pub fn push(&mut self, row: MapRow) -> Result<()> {
        let pixels = self.side * self.side;
        if row.values.len() != self.channels * pixels || row.valid.len() != pixels {
            let reason = format!(
                "{} values and {} validity for {} x {}²",
                row.values.len(),
                row.valid.len(),
                self.channels,
                self.side
            );
            return Err(EdgeError::Value {
                kind: self.layout.kind.name(),
                column: self.layout.values.into(),
                row: self.chips.len(),
                reason,
            });
        }
        self.chips.push(row.chip);
        self.periods.push(row.period);
        self.windows.push([row.window.x, row.window.y, row.window.width as i64, row.window.height as i64]);
        self.values.extend_from_slice(&row.values);
        self.valid.extend_from_slice(&row.valid);
        Ok(())
    }

    /// The batch.
    ///
    /// # Errors
    /// More values than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        let kind = self.layout.kind;
        let schema = self.layout.schema(self.channels, self.side);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.chips)),
            Arc::new(StringArray::from(self.periods)),
            windows(kind, self.windows)?,
            fixed_array(kind, schema.field(3), Pixels::F32(self.values))?,
            fixed_array(kind, schema.field(4), Pixels::U8(self.valid))?,
        ];
        batch(kind, schema, columns)
    }
}

/// A validated batch of kind `feature` or `prediction`.
#[derive(Debug, Clone)]
pub struct MapBatch {
    kind: Kind,
    channels: usize,
    side: usize,
    chips: UInt32Array,
    periods: StringArray,
    windows: FixedSizeListArray,
    values: FixedSizeListArray,
    valid: FixedSizeListArray,
}

impl MapBatch {
    /// Validates a batch of kind `feature`.
    ///
    /// # Errors
    /// A column that is missing or of another type or shape, or broken Arrow data.
    pub fn features(records: &RecordBatch) -> Result<Self> {
        Self::read(crate::feature::LAYOUT, records)
    }

    /// Validates a batch of kind `prediction`.
    ///
    /// # Errors
    /// As [`MapBatch::features`].
    pub fn predictions(records: &RecordBatch) -> Result<Self> {
        Self::read(crate::prediction::LAYOUT, records)
    }

    /// Channels and side that a schema of kind `feature` or `prediction` declares.
    ///
    /// # Errors
    /// A schema of another kind, or tensors of another shape.
    pub fn sizes(schema: &Schema) -> Result<(usize, usize)> {
        let layouts = [crate::feature::LAYOUT, crate::prediction::LAYOUT];
        let named = layouts.into_iter().find(|layout| Kind::of(schema) == Some(layout.kind));
        named.unwrap_or(crate::feature::LAYOUT).sizes(schema)
    }

    fn read(layout: Layout, records: &RecordBatch) -> Result<Self> {
        let (channels, side) = layout.sizes(records.schema_ref())?;
        let kind = conform(records, &layout.schema(channels, side))?;
        let map = Self {
            kind,
            channels,
            side,
            chips: number(kind, records, "chip")?,
            periods: text(kind, records, "period")?,
            windows: fixed(kind, records, "window")?,
            values: fixed(kind, records, layout.values)?,
            valid: fixed(kind, records, "valid")?,
        };
        for row in 0..map.len() {
            let _checked = map.window(row)?;
        }
        let nulls = column(kind, records, layout.values)?.logical_null_count()
            + map.values.values().null_count()
            + map.valid.values().null_count();
        if nulls > 0 {
            return Err(EdgeError::Column {
                kind: kind.name(),
                column: layout.values.into(),
                reason: format!("has {nulls} nulls, expected none"),
            });
        }
        Ok(map)
    }

    /// Channels of features, classes of predictions.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Pixels along a side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.chips.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        window(self.kind, &self.windows, row)
    }

    /// `[channel, height, width]`, in the Arrow buffer.
    pub fn values(&self, row: usize) -> &[f32] {
        match fixed_row(&self.values, row) {
            Some(PixelsRef::F32(values)) => values,
            _ => &[],
        }
    }

    /// 1 where at least one input held data, `[height, width]`.
    pub fn valid(&self, row: usize) -> &[u8] {
        match fixed_row(&self.valid, row) {
            Some(PixelsRef::U8(values)) => values,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut builder: MapBuilder) -> RecordBatch {
        for chip in 0..2 {
            let values = (0..8).map(|v| v as f32 + 10.0 * chip as f32).collect();
            let row =
                MapRow { chip, period: "all".into(), window: Window::full(2, 2), values, valid: vec![1, 0, 1, 1] };
            builder.push(row).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn rows_come_back() {
        let (features, predictions) = (filled(MapBuilder::features(2, 2)), filled(MapBuilder::predictions(2, 2)));
        assert_eq!(features.schema(), crate::feature_schema(2, 2));
        assert_eq!(predictions.schema(), crate::prediction_schema(2, 2));
        assert_eq!(MapBatch::sizes(&predictions.schema()).unwrap(), (2, 2));
        let second = [
            MapBatch::features(&features.slice(1, 1)).unwrap(),
            MapBatch::predictions(&predictions.slice(1, 1)).unwrap(),
        ];
        for maps in second {
            assert_eq!((maps.channels(), maps.side(), maps.len(), maps.chip(0)), (2, 2, 1, 1));
            assert_eq!(maps.values(0)[..2], [10.0, 11.0]);
            assert_eq!(maps.valid(0), [1, 0, 1, 1]);
        }
    }

    #[test]
    fn the_other_kind_is_refused_by_name() {
        let features = filled(MapBuilder::features(2, 2));
        let message = MapBatch::predictions(&features).unwrap_err().to_string();
        assert!(message.contains("prediction") && message.contains("feature"), "{message}");
    }

    #[test]
    fn a_map_of_another_size_is_refused_and_leaves_no_trace() {
        let mut builder = MapBuilder::features(2, 2);
        let row = MapRow {
            chip: 0,
            period: "all".into(),
            window: Window::full(2, 2),
            values: vec![0.0; 7],
            valid: vec![1; 4],
        };
        assert!(builder.push(row).unwrap_err().to_string().contains("7 values"));
        assert_eq!(builder.finish().unwrap().num_rows(), 0);
    }
}
