//! Which region of the Earth a place lies in, and whose prototypes it gets.
//!
//! The paper has 4096 regions of about 4294 km² each and does not say how they are drawn; both divisions here are our
//! choice. So many regions cover neither the globe nor the land, so it seems to have had prototypes of regions with data
//! alone: [`GeoContext::cells`] names such, and without it every cell of the division is a region.

mod equal_area;
mod web_mercator;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most cells of a division into equal areas.
const MOST_CELLS: usize = 1 << 20;
/// Highest zoom of tiles: cells of about 1 km.
const MOST_ZOOM: u8 = 15;

/// How the Earth is divided into cells; written as `equal_area:4096` or `web_mercator:9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Division {
    /// So many cells of equal area: rows of equal steps of the sine of latitude, columns of equal longitude from 180°
    /// west, numbered row by row from the south. The poles belong to the first and last row.
    EqualArea(usize),
    /// Tiles of Web Mercator (EPSG:3857) of a zoom, 2ᶻ × 2ᶻ of them, numbered row by row from the north as in XYZ. The
    /// caps beyond 85.05° belong to the first and last row.
    WebMercator(u8),
}

/// Prototypes by region, as a package has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoContext {
    /// How the Earth is divided.
    pub division: Division,
    /// The cells that have prototypes, ascending, in the order of the table; all of the division where none are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<usize>,
    /// Prototypes of a region.
    pub prototypes: usize,
    /// Width of the prototypes where it is their own: then features are projected to it, and what prototypes say is
    /// projected back. Without it prototypes are as wide as the fused features, and nothing is projected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
}

impl Division {
    /// Number of cells.
    pub fn cells(self) -> usize {
        match self {
            Self::EqualArea(cells) => cells,
            Self::WebMercator(zoom) => 1_usize.checked_shl(2 * u32::from(zoom)).unwrap_or(usize::MAX),
        }
    }

    /// The cell of a longitude and latitude in degrees, below [`Division::cells`]. 180° east is 180° west.
    pub fn cell(self, longitude: f64, latitude: f64) -> usize {
        match self {
            Self::EqualArea(cells) => equal_area::cell(longitude, latitude, cells),
            Self::WebMercator(zoom) => web_mercator::cell(longitude, latitude, zoom),
        }
    }

    /// `[west, south, east, north]` of a cell in degrees, or `None` past the last. All cells together are the globe.
    pub fn bounds(self, cell: usize) -> Option<[f64; 4]> {
        let inside = cell < self.cells();
        inside.then(|| match self {
            Self::EqualArea(cells) => equal_area::bounds(cell, cells),
            Self::WebMercator(zoom) => web_mercator::bounds(cell, zoom),
        })
    }

    /// Whether there is such a division.
    ///
    /// # Errors
    /// What is wrong with its number.
    pub(crate) fn check(self) -> Result<(), String> {
        match self {
            Self::EqualArea(cells) if !(1..=MOST_CELLS).contains(&cells) => {
                Err(format!("has {cells} cells, expected 1 to {MOST_CELLS}"))
            }
            Self::WebMercator(zoom) if zoom > MOST_ZOOM => Err(format!("is of zoom {zoom}, expected 0 to {MOST_ZOOM}")),
            _ => Ok(()),
        }
    }
}

impl GeoContext {
    /// Number of regions, which is the number of rows of the table.
    pub fn regions(&self) -> usize {
        if self.cells.is_empty() { self.division.cells() } else { self.cells.len() }
    }

    /// The region whose prototypes a place gets, an index into the table: that of its cell. A place in a cell without
    /// prototypes, which training never saw, gets those of the cell whose middle is nearest on the sphere, of two as near
    /// the first; our choice.
    pub fn region(&self, longitude: f64, latitude: f64) -> usize {
        let cell = self.division.cell(longitude, latitude);
        if self.cells.is_empty() {
            return cell;
        }
        self.cells.binary_search(&cell).unwrap_or_else(|_| self.nearest(longitude, latitude))
    }

    /// Whether a place lies in a cell that has prototypes.
    pub fn knows(&self, longitude: f64, latitude: f64) -> bool {
        self.cells.is_empty() || self.cells.binary_search(&self.division.cell(longitude, latitude)).is_ok()
    }

    fn nearest(&self, longitude: f64, latitude: f64) -> usize {
        let place = direction(longitude, latitude);
        let nearness = |cell: &usize| {
            let [west, south, east, north] = self.division.bounds(*cell).unwrap_or_default();
            let middle = direction(f64::midpoint(west, east), f64::midpoint(south, north));
            place.iter().zip(middle).map(|(a, b)| a * b).sum::<f64>()
        };
        let mut nearest = (0, f64::NEG_INFINITY);
        for (at, nearness) in self.cells.iter().map(nearness).enumerate() {
            if nearness > nearest.1 {
                nearest = (at, nearness);
            }
        }
        nearest.0
    }
}

/// The unit vector from the Earth's centre.
fn direction(longitude: f64, latitude: f64) -> [f64; 3] {
    let (longitude, latitude) = (longitude.to_radians(), latitude.to_radians());
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

/// The column of a longitude, of so many.
fn column(longitude: f64, columns: usize) -> usize {
    let width = (longitude + 180.0).rem_euclid(360.0) / 360.0;
    ((width * columns as f64) as usize).min(columns - 1)
}

/// The western rim of a column.
fn rim(column: usize, columns: usize) -> f64 {
    360.0 * column as f64 / columns as f64 - 180.0
}

impl fmt::Display for Division {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EqualArea(cells) => write!(f, "equal_area:{cells}"),
            Self::WebMercator(zoom) => write!(f, "web_mercator:{zoom}"),
        }
    }
}

impl FromStr for Division {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let division = match text.split_once(':') {
            Some(("equal_area", cells)) => cells.parse().ok().map(Self::EqualArea),
            Some(("web_mercator", zoom)) => zoom.parse().ok().map(Self::WebMercator),
            _ => None,
        };
        let division = division.ok_or_else(|| {
            format!("division {text:?}, expected equal_area:CELLS or web_mercator:ZOOM, such as equal_area:4096")
        })?;
        division.check().map_err(|fault| format!("division {text:?} {fault}"))?;
        Ok(division)
    }
}

impl TryFrom<String> for Division {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Division> for String {
    fn from(division: Division) -> Self {
        division.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIVISIONS: [Division; 8] = [
        Division::EqualArea(1),
        Division::EqualArea(7),
        Division::EqualArea(64),
        Division::EqualArea(4096),
        Division::WebMercator(0),
        Division::WebMercator(1),
        Division::WebMercator(6),
        Division::WebMercator(15),
    ];

    fn context(division: Division, cells: Vec<usize>) -> GeoContext {
        GeoContext { division, cells, prototypes: 1, width: None }
    }

    #[test]
    fn bounds_lead_back_to_their_cell() {
        for division in DIVISIONS {
            // Every cell of small divisions, and some of the largest.
            for cell in (0..division.cells()).step_by((division.cells() / 4096).max(1)) {
                let [west, south, east, north] = division.bounds(cell).unwrap();
                assert!(west < east && south < north, "{division} {cell}");
                for share in [0.001, 0.5, 0.999] {
                    let (longitude, latitude) = (west + share * (east - west), south + share * (north - south));
                    assert_eq!(division.cell(longitude, latitude), cell, "{division} at {longitude} {latitude}");
                }
            }
            assert_eq!(division.bounds(division.cells()), None);
        }
    }

    #[test]
    fn poles_antimeridian_and_what_is_no_place_have_a_cell() {
        for division in DIVISIONS {
            for latitude in [-90.0, -85.06, -10.0, 0.0, 40.0, 85.06, 90.0] {
                assert_eq!(division.cell(180.0, latitude), division.cell(-180.0, latitude), "{division}");
                assert_eq!(division.cell(190.0, latitude), division.cell(-170.0, latitude), "{division}");
                let [_, south, _, north] = division.bounds(division.cell(7.0, latitude)).unwrap();
                assert!((south..=north).contains(&latitude), "{division} {latitude}: {south} to {north}");
            }
            for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
                assert!(division.cell(strange, strange) < division.cells());
            }
            let rims: Vec<[f64; 4]> = [0, division.cells() - 1].map(|cell| division.bounds(cell).unwrap()).into();
            assert!(rims.iter().any(|rim| rim[1] == -90.0) && rims.iter().any(|rim| rim[3] == 90.0), "{rims:?}");
        }
    }

    #[test]
    fn cells_of_equal_area_have_it_and_tiles_are_those_of_xyz() {
        let area = |[west, south, east, north]: [f64; 4]| {
            (east - west).to_radians() * (north.to_radians().sin() - south.to_radians().sin())
        };
        let cells = Division::EqualArea(4096);
        for cell in 0..4096 {
            let share = area(cells.bounds(cell).unwrap()) / (4.0 * std::f64::consts::PI);
            assert!((share * 4096.0 - 1.0).abs() < 1e-9, "{cell}: {share}");
        }
        // Vienna is in tile 9/279/177 of the usual scheme.
        assert_eq!(Division::WebMercator(9).cell(16.37, 48.21), 177 * 512 + 279);
        assert_eq!(Division::WebMercator(6).cells(), 4096);
    }

    #[test]
    fn a_place_without_prototypes_gets_those_of_the_nearest_cell() {
        let division = Division::WebMercator(4);
        let (alps, japan) = (division.cell(11.0, 47.0), division.cell(139.0, 36.0));
        let fiji = division.cell(178.0, -18.0);
        let mut cells = vec![alps, japan, fiji];
        cells.sort_unstable();
        let at = |cell| cells.iter().position(|other| *other == cell).unwrap();
        let known = context(division, cells.clone());
        assert_eq!(known.regions(), 3);
        assert_eq!(known.region(11.0, 47.0), at(alps));
        assert!(known.knows(139.0, 36.0) && !known.knows(-3.0, 40.0));
        assert_eq!(known.region(-3.0, 40.0), at(alps), "Spain");
        assert_eq!(known.region(127.0, 37.0), at(japan), "Korea");
        assert_eq!(known.region(-175.0, -21.0), at(fiji), "Tonga, over the antimeridian");
        let all = context(division, Vec::new());
        assert_eq!((all.regions(), all.region(11.0, 47.0)), (256, alps));
        assert!(all.knows(-175.0, -21.0));
    }

    #[test]
    fn divisions_are_read_as_they_are_written() {
        for division in DIVISIONS {
            assert_eq!(division.to_string().parse::<Division>().unwrap(), division);
        }
        for wrong in ["", "4096", "equal_area", "equal_area:0", "equal_area:-1", "web_mercator:16", "healpix:4"] {
            let error = wrong.parse::<Division>().unwrap_err();
            assert!(error.contains(&format!("{wrong:?}")) && error.contains("expected"), "{error}");
        }
    }
}
