//! The part of the grid that is kept from training, so that a score on it is honest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::Fault;
use skysense_edges::ChipFacts;
use skysense_grid::{Chip, ChipGrid, GeoBox, Window};

/// A strip along one side of the grid that no training chip touches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Holdout {
    /// Share of the grid, 0 to 0.9; 0 keeps nothing back.
    #[schemars(range(min = 0, max = 0.9))]
    pub(crate) share: f64,
    /// Side of the grid that the strip lies on.
    pub(crate) side: Side,
}

/// A side of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The left side.
    West,
    /// The right side.
    #[default]
    East,
    /// The upper side.
    North,
    /// The lower side.
    South,
}

impl Default for Holdout {
    fn default() -> Self {
        Self { share: 0.25, side: Side::East }
    }
}

impl Holdout {
    /// The strip, or `None` where nothing is kept back.
    pub(crate) fn window(&self, grid: &GeoBox) -> Option<Window> {
        let part = |side: usize| ((side as f64 * self.share).round() as usize).min(side);
        let (columns, rows) = (part(grid.width), part(grid.height));
        let full = grid.full();
        let window = match self.side {
            Side::West => Window { width: columns, ..full },
            Side::East => Window { x: (grid.width - columns) as i64, width: columns, ..full },
            Side::North => Window { height: rows, ..full },
            Side::South => Window { y: (grid.height - rows) as i64, height: rows, ..full },
        };
        (window.area() > 0).then_some(window)
    }

    /// Whether a chip lies in the strip as a whole, but for what of it lies outside of the grid.
    pub(crate) fn holds(&self, grid: &GeoBox, chip: &Window) -> bool {
        let on_grid = grid.full().intersection(chip);
        self.window(grid).zip(on_grid).is_some_and(|(strip, chip)| strip.intersection(&chip) == Some(chip))
    }

    /// Whether a chip may be learned from: it shares no pixel with the strip.
    pub(crate) fn trains(&self, grid: &GeoBox, chip: &Window) -> bool {
        self.window(grid).is_none_or(|strip| strip.intersection(chip).is_none())
    }
}

/// What is wrong with a strip that is judged and has no pixel; `field` is the setting.
pub(crate) fn without_pixel(field: &str, strip: Option<Holdout>, grid: &GeoBox) -> Option<Fault> {
    let strip = strip?;
    let message = || format!("the strip of {} of the grid has no pixel, expected a share above 0", strip.share);
    let fault = || Fault::new(field, "settings.invalid", message()).hint("name a larger share, or leave the strip out");
    strip.window(grid).is_none().then(fault)
}

/// Chips of all periods that may be learned from.
pub(crate) fn training_chips(chips: &ChipFacts, holdout: Option<&Holdout>) -> usize {
    let trains = |chip: &Chip| holdout.is_none_or(|holdout| holdout.trains(&chips.geobox, &chip.window));
    let grid = ChipGrid::new(chips.geobox.clone(), chips.chip_size, chips.overlap);
    grid.map_or(0, |grid| grid.iter().filter(trains).count()) * chips.periods.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skysense_grid::{Affine, Crs};

    #[test]
    fn no_training_chip_touches_the_strip() {
        let grid = GeoBox::new(Crs::epsg(32633), Affine::north_up(0.0, 0.0, 10.0), 100, 40).unwrap();
        let east = Holdout::default();
        assert_eq!(east.window(&grid), Some(Window { x: 75, y: 0, width: 25, height: 40 }));
        assert!(east.trains(&grid, &Window { x: 59, y: 0, width: 16, height: 16 }));
        assert!(!east.trains(&grid, &Window { x: 60, y: 0, width: 16, height: 16 }));
        // And what looks at the strip alone takes no chip that shares a pixel with the rest.
        assert!(east.holds(&grid, &Window { x: 75, y: 30, width: 16, height: 16 }));
        assert!(!east.holds(&grid, &Window { x: 74, y: 0, width: 16, height: 16 }));
        assert!(!east.holds(&grid, &Window { x: 110, y: 0, width: 16, height: 16 }));
        let none = Holdout { share: 0.0, side: Side::North };
        assert!(none.window(&grid).is_none() && none.trains(&grid, &grid.full()));
        let south = Holdout { share: 0.5, side: Side::South };
        assert_eq!(south.window(&grid), Some(Window { x: 0, y: 20, width: 100, height: 20 }));
    }

    #[test]
    fn chips_of_the_strip_are_not_counted() {
        let facts: ChipFacts = serde_json::from_value(serde_json::json!({
            "geobox": {"crs": "EPSG:32633", "transform": [10.0, 0.0, 0.0, 0.0, -10.0, 0.0], "width": 64, "height": 64},
            "chip_size": 16, "overlap": 4, "modalities": {}, "items": [], "decisions": [],
            "periods": [{"name": "all", "start": "2021-01-01T00:00:00Z", "end": "2022-01-01T00:00:00Z"}],
        }))
        .unwrap();
        // Five chips a row begin at 0, 12, 24, 36 and 48; the strip of 19 px begins at 45.
        let strip = Holdout { share: 0.3, side: Side::East };
        assert_eq!((training_chips(&facts, None), training_chips(&facts, Some(&strip))), (25, 15));
    }
}
