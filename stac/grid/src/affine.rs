//! The affine map from pixel to world coordinates.

use serde::{Deserialize, Serialize};

use crate::{GridError, Result};

/// Maps pixel corners `(column, row)` to world coordinates `(x, y)`.
///
/// The six numbers stand in the order of `proj:transform` of the STAC projection extension:
/// `x = a·column + b·row + c`, `y = d·column + e·row + f`. GDAL's order is another:
/// see [`Affine::to_gdal`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 6]", into = "[f64; 6]")]
pub struct Affine {
    /// Width of a pixel.
    pub a: f64,
    /// Row rotation.
    pub b: f64,
    /// x of the outer corner of the first pixel.
    pub c: f64,
    /// Column rotation.
    pub d: f64,
    /// Height of a pixel, negative where rows run south.
    pub e: f64,
    /// y of the outer corner of the first pixel.
    pub f: f64,
}

impl From<[f64; 6]> for Affine {
    fn from([a, b, c, d, e, f]: [f64; 6]) -> Self {
        Self { a, b, c, d, e, f }
    }
}

impl From<Affine> for [f64; 6] {
    fn from(t: Affine) -> Self {
        [t.a, t.b, t.c, t.d, t.e, t.f]
    }
}

impl Affine {
    /// A north-up grid whose first pixel's outer corner is `(west, north)`.
    pub fn north_up(west: f64, north: f64, resolution: f64) -> Self {
        Self::from([resolution, 0.0, west, 0.0, -resolution, north])
    }

    /// From GDAL's order `[c, a, b, f, d, e]`.
    pub fn from_gdal([c, a, b, f, d, e]: [f64; 6]) -> Self {
        Self { a, b, c, d, e, f }
    }

    /// In GDAL's order `[c, a, b, f, d, e]`.
    pub fn to_gdal(self) -> [f64; 6] {
        [self.c, self.a, self.b, self.f, self.d, self.e]
    }

    /// World coordinates of a pixel position; `(0, 0)` is the outer corner of the first pixel.
    pub fn apply(self, column: f64, row: f64) -> (f64, f64) {
        (self.a * column + self.b * row + self.c, self.d * column + self.e * row + self.f)
    }

    /// The same grid with its origin moved to pixel `(column, row)`.
    pub fn translated(self, column: f64, row: f64) -> Self {
        let (c, f) = self.apply(column, row);
        Self { c, f, ..self }
    }

    /// The same origin with pixels `factor` times as large.
    pub fn scaled(self, factor: f64) -> Self {
        Self { a: self.a * factor, b: self.b * factor, d: self.d * factor, e: self.e * factor, ..self }
    }

    /// The map from world to pixel coordinates.
    ///
    /// # Errors
    /// [`GridError::Degenerate`] where a pixel has no area or a number is not finite.
    pub fn inverse(self) -> Result<Self> {
        let determinant = self.a * self.e - self.b * self.d;
        if determinant == 0.0 || !determinant.is_finite() {
            return Err(GridError::Degenerate(self.into()));
        }
        let (a, b) = (self.e / determinant, -self.b / determinant);
        let (d, e) = (-self.d / determinant, self.a / determinant);
        Ok(Self { a, b, c: -(a * self.c + b * self.f), d, e, f: -(d * self.c + e * self.f) })
    }

    /// Pixel width and height in units of the coordinate reference system, both positive.
    pub fn resolution(self) -> (f64, f64) {
        (self.a.hypot(self.d), self.b.hypot(self.e))
    }

    /// Whether rows run south and columns east, without rotation.
    pub fn is_north_up(self) -> bool {
        self.b == 0.0 && self.d == 0.0 && self.a > 0.0 && self.e < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_returns_to_the_pixel() {
        let transform = Affine::from([10.0, 1.0, 500_000.0, 2.0, -10.0, 5_000_000.0]);
        let (x, y) = transform.apply(3.0, 7.0);
        let (column, row) = transform.inverse().unwrap().apply(x, y);
        assert!((column - 3.0).abs() < 1e-9 && (row - 7.0).abs() < 1e-9);
    }

    #[test]
    fn gdal_order_is_its_own_inverse() {
        let transform = Affine::from([10.0, 0.0, 5.0, 0.0, -20.0, 6.0]);
        assert_eq!(transform.to_gdal(), [5.0, 10.0, 0.0, 6.0, 0.0, -20.0]);
        assert_eq!(Affine::from_gdal(transform.to_gdal()), transform);
    }

    #[test]
    fn a_pixel_without_area_is_refused() {
        assert!(Affine::from([0.0, 0.0, 1.0, 0.0, -1.0, 1.0]).inverse().is_err());
    }
}
