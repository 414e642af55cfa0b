//! Chips as places of pretraining.

use skysense_abi::{Host, NodeError, RunInput};
use skysense_edges::ChipFacts;
use skysense_grid::Window;
use skysense_train::pretrain::Place;

use super::{Holdout, unlabelled};
use crate::errors;

/// Chips that do not touch the holdout and have pixels, each with its name and the place of its centre.
///
/// # Errors
/// Chips that cannot be read, and cancellation.
pub(crate) fn held_places(
    chips: RunInput,
    facts: &ChipFacts,
    holdout: Option<&Holdout>,
    host: &Host,
) -> Result<Vec<Place>, NodeError> {
    let mut places = Vec::new();
    for sample in unlabelled(chips, facts, holdout, host)? {
        let [x, y] = sample.origin;
        let side = facts.chip_size;
        let window = facts.geobox.window(&Window { x, y, width: side, height: side });
        let window = window.map_err(|error| NodeError::from_error("grid.invalid", &error))?;
        let (longitude, latitude) = skysense_raster::centre_lon_lat(&window).map_err(|error| errors::raster(&error))?;
        let name = format!("chip at column {x}, row {y}");
        places.push(Place { name, series: sample.series, centre: [longitude, latitude] });
    }
    Ok(places)
}
