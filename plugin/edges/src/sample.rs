//! Edge `sample`: aligned pixels of all modalities at one place, on a grid of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::check::{conform, kind_of};
use crate::column::{batch, text};
use crate::error::Result;
use crate::kind::Kind;
use crate::location::{PlaceColumns, PlaceRow, Places, place_fields};
use crate::modality::ChipModality;
use crate::series::{Series, SeriesColumn};
use crate::series_builder::{SeriesBuilders, SeriesRow};

const KIND: Kind = Kind::Sample;

/// The columns of a `sample` edge: place, grid and period, and four for each modality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSchema {
    /// Modalities in the order of [`MODALITIES`](crate::MODALITIES).
    pub modalities: Vec<ChipModality>,
}

impl SampleSchema {
    /// The Arrow schema.
    pub fn arrow(&self) -> SchemaRef {
        let mut fields = place_fields();
        fields.push(Field::new("period", DataType::Utf8, false));
        fields.extend(self.modalities.iter().flat_map(ChipModality::fields));
        KIND.schema(fields)
    }

    /// Reads the modalities back from an Arrow schema.
    ///
    /// # Errors
    /// A schema of another kind or without a modality, or pixels of a type that is no pixel type.
    pub fn from_arrow(schema: &Schema) -> Result<Self> {
        kind_of(KIND, schema)?;
        Ok(Self { modalities: ChipModality::all(KIND, schema)? })
    }
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRow {
    /// Where it lies; its name is unique together with the period.
    pub place: PlaceRow,
    /// Name of the period, or the day that the dates were paired with.
    pub period: String,
    /// Its modalities; one that is not here is null.
    pub series: BTreeMap<String, SeriesRow>,
}

impl SampleRow {
    /// Place and period in one word.
    pub fn name(&self) -> String {
        sample_name(&self.place.place, &self.period)
    }
}

/// Place and period in one word.
pub fn sample_name(place: &str, period: &str) -> String {
    format!("{place}@{period}")
}

/// Collects samples and gives them as one batch.
#[derive(Debug)]
pub struct SampleBuilder {
    schema: SampleSchema,
    places: PlaceColumns,
    periods: Vec<String>,
    builders: SeriesBuilders,
}

impl SampleBuilder {
    /// An empty batch of this schema.
    pub fn new(schema: SampleSchema) -> Self {
        let builders = SeriesBuilders::new(KIND, &schema.modalities);
        Self { schema, places: PlaceColumns::default(), periods: Vec::new(), builders }
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// A modality that the schema lacks, or parts that do not belong together; the batch stays as it was.
    pub fn push(&mut self, row: SampleRow) -> Result<()> {
        self.builders.push(&row.series)?;
        self.places.push(row.place);
        self.periods.push(row.period);
        Ok(())
    }

    /// Number of rows so far.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch.
    ///
    /// # Errors
    /// More values than one batch holds.
    pub fn finish(self) -> Result<RecordBatch> {
        let mut columns = self.places.finish(KIND)?;
        let periods: ArrayRef = Arc::new(StringArray::from(self.periods));
        columns.push(periods);
        columns.extend(self.builders.finish()?);
        batch(KIND, self.schema.arrow(), columns)
    }
}

/// A validated batch of samples.
#[derive(Debug, Clone)]
pub struct SampleBatch {
    schema: SampleSchema,
    places: Places,
    periods: StringArray,
    columns: Vec<SeriesColumn>,
}

impl SampleBatch {
    /// Validates a batch.
    ///
    /// # Errors
    /// A column that is missing or of another type, a shape that does not fit its values, a modality
    /// whose columns contradict each other, or broken Arrow data.
    pub fn try_new(records: &RecordBatch) -> Result<Self> {
        let schema = SampleSchema::from_arrow(records.schema_ref())?;
        conform(records, &schema.arrow())?;
        let column = |modality| SeriesColumn::try_new(KIND, records, modality);
        let columns = schema.modalities.iter().map(column).collect::<Result<_>>()?;
        let (places, periods) = (Places::try_new(KIND, records)?, text(KIND, records, "period")?);
        Ok(Self { schema, places, periods, columns })
    }

    /// The modalities of the batch.
    pub fn schema(&self) -> &SampleSchema {
        &self.schema
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a row lies.
    ///
    /// # Errors
    /// None after validation; kept so that no value is made up.
    pub fn place(&self, row: usize) -> Result<PlaceRow> {
        self.places.row(row)
    }

    /// Name of the period.
    pub fn period(&self, row: usize) -> &str {
        self.periods.value(row)
    }

    /// A modality of a row, or `None` where the sample lacks it.
    pub fn series(&self, modality: &str, row: usize) -> Option<Series<'_>> {
        self.columns.iter().find(|column| column.name == modality)?.series(row)
    }

    /// A copy of a row.
    ///
    /// # Errors
    /// None after validation; kept so that no value is made up.
    pub fn row(&self, row: usize) -> Result<SampleRow> {
        let series = self.columns.iter().filter_map(|column| Some((column.name.clone(), column.series(row)?.to_row())));
        Ok(SampleRow { place: self.place(row)?, period: self.period(row).to_owned(), series: series.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::tests::place;
    use crate::pixels::{Dtype, Pixels};

    fn schema() -> SampleSchema {
        let modality = |name: &str, dtype| ChipModality { name: name.into(), dtype, bands: Some(1), side: Some(2) };
        SampleSchema { modalities: vec![modality("s2", Dtype::I16), modality("s1", Dtype::F32)] }
    }

    fn row(name: &str, pixels: [i16; 4]) -> SampleRow {
        let series = SeriesRow {
            shape: [1, 1, 2, 2],
            pixels: Pixels::I16(pixels.to_vec()),
            valid: vec![1, 1, 0, 1],
            datetimes: vec![7],
            items: vec![vec!["item".into()]],
        };
        SampleRow {
            place: place(name, 500_000.0),
            period: "2021".into(),
            series: BTreeMap::from([("s2".into(), series)]),
        }
    }

    #[test]
    fn rows_come_back_and_a_modality_may_lack() {
        let rows = [row("a", [1, 2, 3, 4]), row("b", [5, 6, 7, 8])];
        let mut builder = SampleBuilder::new(schema());
        rows.iter().for_each(|row| builder.push(row.clone()).unwrap());
        let records = builder.finish().unwrap();
        let second = SampleBatch::try_new(&records.slice(1, 1)).unwrap();
        assert_eq!(second.row(0).unwrap(), rows[1]);
        assert_eq!(second.row(0).unwrap().name(), "b@2021");
        assert!(second.series("s1", 0).is_none());
        assert_eq!(SampleSchema::from_arrow(&records.schema()).unwrap(), schema());
    }

    #[test]
    fn another_kind_is_refused_by_name() {
        let message = SampleBatch::try_new(&RecordBatch::new_empty(crate::model_schema())).unwrap_err().to_string();
        assert!(message.contains("\"sample\"") && message.contains("\"model\""), "{message}");
    }
}
