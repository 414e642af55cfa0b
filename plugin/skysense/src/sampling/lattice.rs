//! Squares that tile each UTM zone, so that two places are the same or share no pixel of their zone.

use skysense_edges::PlaceRow;
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{RasterError, centre_lon_lat, transform_point};

/// Latitudes that UTM zones cover.
pub(crate) const LATITUDES: [f64; 2] = [-80.0, 84.0];

/// Squares of `size` pixels of `resolution` metres, counted from the zero point of each zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lattice {
    pub(crate) size: usize,
    pub(crate) resolution: f64,
}

/// A square of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) crs: Crs,
    pub(crate) row: i64,
    pub(crate) column: i64,
}

impl Lattice {
    /// Metres along a side of a square.
    pub(crate) fn side(&self) -> f64 {
        self.size as f64 * self.resolution
    }

    /// The square of a point in degrees; `None` beyond the zones, and where the square's middle lies in the next zone,
    /// which has a square of its own there.
    ///
    /// # Errors
    /// A point that cannot be projected.
    pub(crate) fn cell(&self, [longitude, latitude]: [f64; 2]) -> Result<Option<Cell>, RasterError> {
        if !(LATITUDES[0]..=LATITUDES[1]).contains(&latitude) {
            return Ok(None);
        }
        let crs = Crs::utm(longitude, latitude);
        let (x, y) = transform_point(&Crs::lon_lat(), (longitude, latitude), &crs)?;
        let number = |value: f64| (value / self.side()).floor() as i64;
        let cell = Cell { row: number(y), column: number(x), crs };
        Ok(self.place(&cell)?.map(|_| cell))
    }

    /// The place of a square, or `None` where its middle lies in another zone.
    ///
    /// # Errors
    /// A square that cannot be projected.
    pub(crate) fn place(&self, cell: &Cell) -> Result<Option<PlaceRow>, RasterError> {
        let side = self.side();
        let origin = Affine::north_up(cell.column as f64 * side, (cell.row + 1) as f64 * side, self.resolution);
        let grid = GeoBox::new(cell.crs.clone(), origin, self.size, self.size)?;
        let (longitude, latitude) = centre_lon_lat(&grid)?;
        if Crs::utm(longitude, latitude) != cell.crs {
            return Ok(None);
        }
        let zone = cell.crs.epsg_code().unwrap_or(0);
        let place = format!("{zone}-{:.0}-{:.0}", origin.c, origin.f);
        Ok(Some(PlaceRow { place, centre: [longitude, latitude], grid }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_a_square_share_its_place() {
        let lattice = Lattice { size: 16, resolution: 10.0 };
        let cell = lattice.cell([14.5, 46.05]).unwrap().unwrap();
        let place = lattice.place(&cell).unwrap().unwrap();
        assert_eq!(place.grid.crs, Crs::epsg(32633));
        assert!(place.grid.transform.c.rem_euclid(160.0) == 0.0 && place.grid.transform.f.rem_euclid(160.0) == 0.0);
        assert_eq!(lattice.cell(place.centre).unwrap().unwrap(), cell);
        assert_eq!(place.place, format!("32633-{}-{}", place.grid.transform.c, place.grid.transform.f));
    }

    #[test]
    fn each_side_of_a_zone_border_and_of_the_antimeridian_has_its_own_squares() {
        let lattice = Lattice { size: 64, resolution: 10.0 };
        for (west, east, zones) in [(11.98, 12.02, [32632, 32633]), (179.98, -179.98, [32660, 32601])] {
            for (longitude, zone) in [west, east].into_iter().zip(zones) {
                let cell = lattice.cell([longitude, 45.0]).unwrap().unwrap();
                assert_eq!(cell.crs, Crs::epsg(zone));
                let centre = lattice.place(&cell).unwrap().unwrap().centre;
                assert!((centre[0] - longitude).abs() < 0.01, "{centre:?}");
            }
        }
        assert_eq!(lattice.cell([10.0, 89.0]).unwrap(), None);
    }
}
