//! Tiles of Web Mercator, whose rows reach to 85.05° north and south; the outer ones are taken to reach to the poles.

use std::f64::consts::PI;

use super::{column, rim};

pub(super) fn cell(longitude: f64, latitude: f64, zoom: u8) -> usize {
    let side = 1_usize << zoom;
    // Short of the poles, whose height is infinite, and beyond every tile.
    let height = latitude.clamp(-89.9, 89.9).to_radians().tan().asinh();
    let row = (((1.0 - height / PI) / 2.0 * side as f64) as usize).min(side - 1);
    row * side + column(longitude, side)
}

pub(super) fn bounds(cell: usize, zoom: u8) -> [f64; 4] {
    let side = 1_usize << zoom;
    let latitude = |row: usize| match row {
        0 => 90.0,
        row if row == side => -90.0,
        row => (PI * (1.0 - 2.0 * row as f64 / side as f64)).sinh().atan().to_degrees(),
    };
    let (row, at) = (cell / side, cell % side);
    [rim(at, side), latitude(row + 1), rim(at + 1, side), latitude(row)]
}
