//! The series of all modalities on their way into a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow::datatypes::{DataType, Field};

use crate::column::datetime_type;
use crate::error::{EdgeError, Result};
use crate::kind::Kind;
use crate::modality::{ChipModality, list};
use crate::pixels::{Dtype, Pixels, PixelsRef};
use crate::tensor::VariableBuilder;

/// One modality of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRow {
    /// `[time, band, height, width]`.
    pub shape: [usize; 4],
    /// Pixels, row-major in `shape`.
    pub pixels: Pixels,
    /// 1 where the pixel holds data, `[time, height, width]`.
    pub valid: Vec<u8>,
    /// Datetime of each date, milliseconds since 1970 in UTC.
    pub datetimes: Vec<i64>,
    /// For each date the ids of the items that it was made of.
    pub items: Vec<Vec<String>>,
}

/// Collects the series of rows, a modality after the other.
#[derive(Debug)]
pub(crate) struct SeriesBuilders {
    kind: Kind,
    rows: usize,
    all: Vec<(ChipModality, Builders)>,
}

#[derive(Debug)]
struct Builders {
    pixels: VariableBuilder,
    valid: VariableBuilder,
    datetimes: ListBuilder<TimestampMillisecondBuilder>,
    items: ListBuilder<ListBuilder<StringBuilder>>,
}

impl SeriesBuilders {
    /// No rows yet.
    pub(crate) fn new(kind: Kind, modalities: &[ChipModality]) -> Self {
        Self { kind, rows: 0, all: modalities.iter().map(|m| (m.clone(), Builders::new(m.dtype))).collect() }
    }

    /// Values in the fullest column so far.
    pub(crate) fn values(&self) -> usize {
        self.all.iter().map(|(_, builders)| builders.pixels.values()).max().unwrap_or(0)
    }

    /// Adds a row; a modality that is not in it is null.
    ///
    /// # Errors
    /// A modality that the schema lacks, or parts that do not belong together; then nothing was added.
    pub(crate) fn push(&mut self, row: &BTreeMap<String, SeriesRow>) -> Result<()> {
        for (name, series) in row {
            self.check(name, series)?;
        }
        for (modality, builders) in &mut self.all {
            match row.get(&modality.name) {
                Some(series) => builders.push(series),
                None => builders.push_null(),
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The columns, four for each modality.
    ///
    /// # Errors
    /// More values than one batch holds.
    pub(crate) fn finish(self) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(4 * self.all.len());
        for (modality, mut builders) in self.all {
            columns.push(builders.pixels.finish(self.kind, &modality.name)?);
            columns.push(builders.valid.finish(self.kind, &format!("{}_valid", modality.name))?);
            columns.push(Arc::new(builders.datetimes.finish()));
            columns.push(Arc::new(builders.items.finish()));
        }
        Ok(columns)
    }

    fn check(&self, name: &str, series: &SeriesRow) -> Result<()> {
        let wrong =
            |reason: String| EdgeError::Value { kind: self.kind.name(), column: name.into(), row: self.rows, reason };
        let Some((modality, _)) = self.all.iter().find(|(modality, _)| modality.name == *name) else {
            return Err(wrong("the schema has no such modality".into()));
        };
        let [dates, bands, height, width] = series.shape;
        let sizes = [series.pixels.len(), series.valid.len(), series.datetimes.len(), series.items.len()];
        if sizes != [dates * bands * height * width, dates * height * width, dates, dates] || series.shape.contains(&0)
        {
            return Err(wrong(format!(
                "shape {:?} does not fit {sizes:?} pixels, validity, datetimes and items",
                series.shape
            )));
        }
        let promised =
            modality.bands.is_none_or(|b| b == bands) && modality.side.is_none_or(|s| [s, s] == [height, width]);
        if series.pixels.dtype() != modality.dtype || !promised {
            return Err(wrong(format!(
                "{:?} {:?} does not fit the schema {modality:?}",
                series.pixels.dtype(),
                series.shape
            )));
        }
        Ok(())
    }
}

impl Builders {
    fn new(dtype: Dtype) -> Self {
        let item = |data_type: DataType| Arc::new(Field::new_list_field(data_type, false));
        let ids = ListBuilder::new(StringBuilder::new()).with_field(item(DataType::Utf8));
        Self {
            pixels: VariableBuilder::new(dtype, 4),
            valid: VariableBuilder::new(Dtype::U8, 3),
            datetimes: ListBuilder::new(TimestampMillisecondBuilder::new().with_timezone("UTC"))
                .with_field(item(datetime_type())),
            items: ListBuilder::new(ids).with_field(item(list(DataType::Utf8))),
        }
    }

    /// Adds a series whose sizes were checked.
    fn push(&mut self, series: &SeriesRow) {
        let [dates, _, height, width] = series.shape;
        let _fits = self.pixels.push(series.pixels.as_ref(), &series.shape);
        let _fits = self.valid.push(PixelsRef::U8(&series.valid), &[dates, height, width]);
        self.datetimes.values().append_slice(&series.datetimes);
        self.datetimes.append(true);
        for ids in &series.items {
            for id in ids {
                self.items.values().values().append_value(id);
            }
            self.items.values().append(true);
        }
        self.items.append(true);
    }

    fn push_null(&mut self) {
        self.pixels.push_null();
        self.valid.push_null();
        self.datetimes.append(false);
        self.items.append(false);
    }
}
