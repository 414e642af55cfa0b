//! Chips on their way into a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use skysense_grid::Window;

use crate::chip::ChipSchema;
use crate::column::{batch, windows};
use crate::error::Result;
use crate::kind::Kind;
use crate::series_builder::{SeriesBuilders, SeriesRow};

const KIND: Kind = Kind::Chip;

/// One chip.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipRow {
    /// Number in row-major order.
    pub chip: u32,
    /// Name of the period.
    pub period: String,
    /// Pixels of the target grid that it covers.
    pub window: Window,
    /// Its modalities; one that is not here is null.
    pub series: BTreeMap<String, SeriesRow>,
}

/// Collects chips and gives them as one batch.
#[derive(Debug)]
pub struct ChipBuilder {
    schema: ChipSchema,
    chips: Vec<u32>,
    periods: Vec<String>,
    windows: Vec<[i64; 4]>,
    builders: SeriesBuilders,
}

impl ChipBuilder {
    /// An empty batch of this schema.
    pub fn new(schema: ChipSchema) -> Self {
        let builders = SeriesBuilders::new(KIND, &schema.modalities);
        Self { schema, chips: Vec::new(), periods: Vec::new(), windows: Vec::new(), builders }
    }

    /// Number of rows so far.
    pub fn len(&self) -> usize {
        self.chips.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.chips.is_empty()
    }

    /// Values in the fullest column so far.
    pub fn values(&self) -> usize {
        self.builders.values()
    }

    /// Adds a chip.
    ///
    /// # Errors
    /// A modality that the schema lacks, or parts that do not belong together; the batch stays as it was.
    pub fn push(&mut self, row: ChipRow) -> Result<()> {
        self.builders.push(&row.series)?;
        self.chips.push(row.chip);
        self.periods.push(row.period);
        self.windows.push([row.window.x, row.window.y, row.window.width as i64, row.window.height as i64]);
        Ok(())
    }

    /// The batch.
    ///
    /// # Errors
    /// More values than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.chips)),
            Arc::new(StringArray::from(self.periods)),
            windows(KIND, self.windows)?,
        ];
        columns.extend(self.builders.finish()?);
        batch(KIND, self.schema.arrow(), columns)
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::extension::VariableShapeTensor;

    use super::*;
    use crate::chip::ChipBatch;
    use crate::modality::ChipModality;
    use crate::pixels::{Dtype, Pixels, PixelsRef};

    fn schema() -> ChipSchema {
        let modality =
            |name: &str, dtype, bands| ChipModality { name: name.into(), dtype, bands: Some(bands), side: Some(2) };
        ChipSchema { modalities: vec![modality("s2", Dtype::I16, 2), modality("s1", Dtype::F32, 1)] }
    }

    fn series(dates: usize, first: i16) -> SeriesRow {
        SeriesRow {
            shape: [dates, 2, 2, 2],
            pixels: Pixels::I16((first..).take(dates * 8).collect()),
            valid: vec![1; dates * 4],
            datetimes: (0..dates as i64).collect(),
            items: (0..dates).map(|d| (0..=d).map(|i| format!("item-{d}-{i}")).collect()).collect(),
        }
    }

    fn records() -> RecordBatch {
        let mut builder = ChipBuilder::new(schema());
        for (chip, dates) in [(0_u32, 3), (1, 1), (2, 0)] {
            let series = (dates > 0).then(|| ("s2".to_owned(), series(dates, 100 * chip as i16)));
            let window = Window { x: chip as i64, y: -1, width: 2, height: 2 };
            builder
                .push(ChipRow { chip, period: "2021-04".into(), window, series: series.into_iter().collect() })
                .unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn pixels_are_read_in_place() {
        let records = records();
        let chips = ChipBatch::try_new(&records.slice(1, 2)).unwrap();
        assert_eq!((chips.len(), chips.chip(0), chips.period(0)), (2, 1, "2021-04"));
        assert_eq!(chips.window(0).unwrap(), Window { x: 1, y: -1, width: 2, height: 2 });
        let s2 = chips.series("s2", 0).unwrap();
        assert_eq!(s2.shape, [1, 2, 2, 2]);
        assert_eq!(s2.pixels, PixelsRef::I16(&[100, 101, 102, 103, 104, 105, 106, 107]));
        assert_eq!(s2.items(0).collect::<Vec<_>>(), ["item-0-0"]);
        assert!(chips.series("s1", 0).is_none() && chips.series("s2", 1).is_none());
        let buffer = records.column_by_name("s2").unwrap().to_data();
        let start = buffer.child_data()[0].child_data()[0].buffers()[0].as_ptr();
        let PixelsRef::I16(slice) = s2.pixels else { panic!("expected i16") };
        assert_eq!(slice.as_ptr().cast::<u8>(), start.wrapping_add(2 * 24), "the slice lies in the Arrow buffer");
    }

    #[test]
    fn chips_can_be_named_without_pixels() {
        let mut builder = ChipBuilder::new(ChipSchema { modalities: Vec::new() });
        let row = |chip, period: &str| ChipRow {
            chip,
            period: period.into(),
            window: Window::full(2, 2),
            series: BTreeMap::new(),
        };
        builder.push(row(7, "2021-04")).unwrap();
        builder.push(row(0, "all")).unwrap();
        let named = [(7, "2021-04".to_owned()), (0, "all".to_owned())];
        assert_eq!(crate::named_chips(&builder.finish().unwrap()).unwrap(), named);
        assert_eq!(crate::named_chips(&records()).unwrap().len(), 3, "and chips with pixels name themselves");
        let maps = crate::MapBuilder::features(1, 2).finish().unwrap();
        assert!(crate::named_chips(&maps).is_err());
    }

    #[test]
    fn several_items_make_one_date() {
        let records = records();
        let chips = ChipBatch::try_new(&records).unwrap();
        let s2 = chips.series("s2", 0).unwrap();
        assert_eq!(s2.items(2).collect::<Vec<_>>(), ["item-2-0", "item-2-1", "item-2-2"]);
        assert_eq!(s2.datetimes, [0, 1, 2]);
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused_and_leaves_no_trace() {
        let mut builder = ChipBuilder::new(schema());
        let mut bad = series(1, 0);
        bad.valid.pop();
        let row = |series| ChipRow { chip: 0, period: String::new(), window: Window::full(2, 2), series };
        assert!(builder.push(row(BTreeMap::from([("s2".into(), bad)]))).is_err());
        assert!(builder.push(row(BTreeMap::from([("hr".into(), series(1, 0))]))).is_err());
        assert!(builder.push(row(BTreeMap::from([("s1".into(), series(1, 0))]))).is_err());
        assert_eq!(builder.finish().unwrap().num_rows(), 0);
    }

    #[test]
    fn the_schema_is_canonical_and_reads_back() {
        let arrow = schema().arrow();
        let field = arrow.field_with_name("s2").unwrap();
        assert_eq!(field.extension_type_name(), Some("arrow.variable_shape_tensor"));
        let tensor = field.try_extension_type::<VariableShapeTensor>().unwrap();
        assert_eq!(tensor.uniform_shapes(), Some(&[None, Some(2), Some(2), Some(2)][..]));
        assert_eq!(ChipSchema::from_arrow(&arrow).unwrap(), schema());
    }
}
