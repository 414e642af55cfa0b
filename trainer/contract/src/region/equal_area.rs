//! Cells of equal area: equal steps of the sine of latitude, and of longitude.

use super::{column, rim};

/// Rows and columns of so many cells: the two factors nearest to each other, more columns than rows.
fn layout(cells: usize) -> (usize, usize) {
    let rows = (1..=cells).take_while(|rows| rows * rows <= cells).filter(|rows| cells.is_multiple_of(*rows)).last();
    let rows = rows.unwrap_or(1);
    (rows, cells.max(1) / rows)
}

pub(super) fn cell(longitude: f64, latitude: f64, cells: usize) -> usize {
    let (rows, columns) = layout(cells);
    let height = (latitude.clamp(-90.0, 90.0).to_radians().sin() + 1.0) / 2.0;
    let row = ((height * rows as f64) as usize).min(rows - 1);
    row * columns + column(longitude, columns)
}

pub(super) fn bounds(cell: usize, cells: usize) -> [f64; 4] {
    let (rows, columns) = layout(cells);
    let latitude = |row: usize| (2.0 * row as f64 / rows as f64 - 1.0).asin().to_degrees();
    let (row, at) = (cell / columns, cell % columns);
    [rim(at, columns), latitude(row), rim(at + 1, columns), latitude(row + 1)]
}
