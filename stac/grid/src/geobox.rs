//! Coordinate reference system, transform and shape as one value.

use serde::{Deserialize, Serialize};

use crate::{Affine, Crs, GridError, Result, Window};

/// A raster grid on the Earth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeoBox {
    /// Coordinate reference system of the world coordinates.
    pub crs: Crs,
    /// Pixel to world coordinates.
    pub transform: Affine,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl GeoBox {
    /// A grid of `width` by `height` pixels.
    ///
    /// # Errors
    /// A shape without pixels or with more than GDAL counts, or a transform without inverse.
    pub fn new(crs: Crs, transform: Affine, width: usize, height: usize) -> Result<Self> {
        let fits = |side: usize| side > 0 && i32::try_from(side).is_ok();
        if !fits(width) || !fits(height) {
            return Err(GridError::Shape { width, height });
        }
        let _invertible = transform.inverse()?;
        Ok(Self { crs, transform, width, height })
    }

    /// The smallest north-up grid that covers `[west, south, east, north]`, with pixel edges on whole
    /// multiples of `resolution` from the anchor `(anchor_x, anchor_y)`.
    ///
    /// # Errors
    /// A bound that is not finite, or a resolution that gives no pixel.
    pub fn covering(crs: Crs, bounds: [f64; 4], resolution: f64, anchor: (f64, f64)) -> Result<Self> {
        for (name, value) in [
            ("west", bounds[0]),
            ("south", bounds[1]),
            ("east", bounds[2]),
            ("north", bounds[3]),
            ("resolution", resolution),
        ] {
            if !value.is_finite() {
                return Err(GridError::NotFinite { name, value });
            }
        }
        // A millionth of a pixel of slack: bounds that were computed in floating point must not gain a row.
        let down = |value: f64, origin: f64| ((value - origin) / resolution + 1e-6).floor() * resolution + origin;
        let up = |value: f64, origin: f64| ((value - origin) / resolution - 1e-6).ceil() * resolution + origin;
        let (west, east) = (down(bounds[0], anchor.0), up(bounds[2], anchor.0));
        let (south, north) = (down(bounds[1], anchor.1), up(bounds[3], anchor.1));
        let count = |length: f64| (length / resolution).round().max(0.0) as usize;
        Self::new(crs, Affine::north_up(west, north, resolution), count(east - west), count(north - south))
    }

    /// `[west, south, east, north]` of the outer pixel edges in the grid's own coordinates.
    pub fn bounds(&self) -> [f64; 4] {
        let corners = self.corners();
        let fold = |pick: fn(&(f64, f64)) -> f64, better: fn(f64, f64) -> f64| {
            corners.iter().map(pick).reduce(better).unwrap_or(f64::NAN)
        };
        [fold(|c| c.0, f64::min), fold(|c| c.1, f64::min), fold(|c| c.0, f64::max), fold(|c| c.1, f64::max)]
    }

    /// The outer corners: first pixel's, last column's, last pixel's, last row's.
    pub fn corners(&self) -> [(f64, f64); 4] {
        let (width, height) = (self.width as f64, self.height as f64);
        [
            self.transform.apply(0.0, 0.0),
            self.transform.apply(width, 0.0),
            self.transform.apply(width, height),
            self.transform.apply(0.0, height),
        ]
    }

    /// The grid of a window; the window may lie outside.
    ///
    /// # Errors
    /// A window without pixels.
    pub fn window(&self, window: &Window) -> Result<Self> {
        Self::new(
            self.crs.clone(),
            self.transform.translated(window.x as f64, window.y as f64),
            window.width,
            window.height,
        )
    }

    /// The same footprint with pixels `factor` times finer.
    ///
    /// # Errors
    /// A shape with more pixels than GDAL counts.
    pub fn finer(&self, factor: usize) -> Result<Self> {
        Self::new(
            self.crs.clone(),
            self.transform.scaled(1.0 / factor as f64),
            self.width * factor,
            self.height * factor,
        )
    }

    /// The whole grid as a window.
    pub fn full(&self) -> Window {
        Window::full(self.width, self.height)
    }

    /// Pixel width and height in units of the coordinate reference system, both positive.
    pub fn resolution(&self) -> (f64, f64) {
        self.transform.resolution()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_snaps_outwards_to_the_anchor() {
        let geobox = GeoBox::covering(Crs::epsg(32633), [3.0, 11.0, 29.0, 41.0], 10.0, (0.0, 0.0)).unwrap();
        assert_eq!(geobox.bounds(), [0.0, 10.0, 30.0, 50.0]);
        assert_eq!((geobox.width, geobox.height), (3, 4));
        let exact = GeoBox::covering(Crs::epsg(32633), [5.0, 5.0, 25.0, 25.0], 10.0, (5.0, 5.0)).unwrap();
        assert_eq!((exact.width, exact.height), (2, 2));
    }

    #[test]
    fn a_finer_grid_keeps_the_footprint() {
        let geobox = GeoBox::new(Crs::epsg(32633), Affine::north_up(0.0, 160.0, 10.0), 16, 16).unwrap();
        let fine = geobox.finer(32).unwrap();
        assert_eq!(fine.bounds(), geobox.bounds());
        assert_eq!(fine.resolution(), (0.3125, 0.3125));
    }

    #[test]
    fn no_pixels_is_an_error() {
        assert!(GeoBox::covering(Crs::epsg(32633), [0.0, 0.0, f64::NAN, 1.0], 10.0, (0.0, 0.0)).is_err());
        assert!(GeoBox::covering(Crs::epsg(32633), [5.0, 5.0, 5.0, 5.0], 10.0, (5.0, 5.0)).is_err());
    }
}
