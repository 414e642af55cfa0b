//! Edge `chip`: aligned pixels of all modalities at one place and in one period.

use arrow::array::{FixedSizeListArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use skysense_grid::Window;

use crate::check::{conform, kind_of};
use crate::column::{fixed, fixed_type, number, text, window};
use crate::error::Result;
use crate::kind::Kind;
use crate::modality::ChipModality;
use crate::series::{Series, SeriesColumn};

const KIND: Kind = Kind::Chip;

/// The columns of a `chip` edge: those of every chip, and four for each modality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipSchema {
    /// Modalities in the order of the columns: `hr`, `s2`, `s1`.
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
        fields.extend(self.modalities.iter().flat_map(ChipModality::fields));
        KIND.schema(fields)
    }

    /// Reads the modalities back from an Arrow schema.
    ///
    /// # Errors
    /// A schema of another kind or without a modality, or pixels of a type that is no pixel type.
    pub fn from_arrow(schema: &arrow::datatypes::Schema) -> Result<Self> {
        kind_of(KIND, schema)?;
        Ok(Self { modalities: ChipModality::all(KIND, schema)? })
    }
}

/// Number and period of each row of a `chip` edge, whatever its modalities: chips that are named, and need not be carried.
///
/// # Errors
/// A batch of another kind, or without these columns.
pub fn named_chips(records: &RecordBatch) -> Result<Vec<(u32, String)>> {
    conform(records, &ChipSchema { modalities: Vec::new() }.arrow())?;
    let (chips, periods) = (number(KIND, records, "chip")?, text(KIND, records, "period")?);
    Ok((0..chips.len()).map(|row| (chips.value(row), periods.value(row).to_owned())).collect())
}

/// A validated batch of chips.
#[derive(Debug, Clone)]
pub struct ChipBatch {
    schema: ChipSchema,
    chips: UInt32Array,
    periods: StringArray,
    windows: FixedSizeListArray,
    columns: Vec<SeriesColumn>,
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
            columns.push(SeriesColumn::try_new(KIND, records, modality)?);
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
