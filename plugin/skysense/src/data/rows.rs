//! Rows of a `chip` or `sample` edge as samples.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use serde_json::Value;
use skysense_abi::NodeError;
use skysense_edges::{ChipBatch, ChipFacts, MODALITIES, PlaceRow, SampleBatch, SampleRow};
use skysense_grid::GeoBox;

use super::facts::CHIP;
use crate::errors;
use crate::settings::planned;

/// Reads rows of either kind.
pub(crate) enum RowReader {
    /// Chips of one grid.
    Chips(Box<ChipFacts>),
    /// Samples, each with its grid.
    Samples,
}

impl RowReader {
    /// For an edge of this kind with these facts.
    ///
    /// # Errors
    /// Facts that cannot be read.
    pub(crate) fn new(kind: &str, facts: &Value) -> Result<Self, NodeError> {
        if kind == CHIP { Ok(Self::Chips(Box::new(planned(facts.clone())?))) } else { Ok(Self::Samples) }
    }

    /// The samples of a batch.
    ///
    /// # Errors
    /// A batch that is not what its kind says, and a chip whose place is not known.
    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<Vec<SampleRow>, NodeError> {
        let Self::Chips(facts) = self else {
            let samples = SampleBatch::try_new(batch).map_err(|error| errors::edge(&error))?;
            return (0..samples.len()).map(|row| samples.row(row).map_err(|error| errors::edge(&error))).collect();
        };
        let chips = ChipBatch::try_new(batch).map_err(|error| errors::edge(&error))?;
        let mut rows = Vec::with_capacity(chips.len());
        for row in 0..chips.len() {
            let series =
                MODALITIES.into_iter().filter_map(|name| Some((name.to_owned(), chips.series(name, row)?.to_row())));
            let series: BTreeMap<_, _> = series.collect();
            // A chip that no item shows has nothing to learn from.
            if series.is_empty() {
                continue;
            }
            let window = chips.window(row).map_err(|error| errors::edge(&error))?;
            let grid = facts.geobox.window(&window).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
            rows.push(SampleRow { place: place(grid)?, period: chips.period(row).to_owned(), series });
        }
        Ok(rows)
    }
}

/// A place named by the upper left corner of its grid.
fn place(grid: GeoBox) -> Result<PlaceRow, NodeError> {
    let (longitude, latitude) = skysense_raster::centre_lon_lat(&grid).map_err(|error| errors::raster(&error))?;
    let (x, y) = (grid.transform.c, grid.transform.f);
    let system = grid.crs.epsg_code().map_or_else(|| short(grid.crs.as_str()), |code| code.to_string());
    Ok(PlaceRow { place: format!("{system}-{x}-{y}"), centre: [longitude, latitude], grid })
}

/// A reference system without a code, in a few letters.
fn short(definition: &str) -> String {
    skysense_contract::sha256_bytes(definition.as_bytes()).chars().take(8).collect()
}
