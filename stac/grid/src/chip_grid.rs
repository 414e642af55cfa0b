//! Cutting a grid into overlapping model inputs.

use serde::{Deserialize, Serialize};

use crate::{GeoBox, GridError, Result, Window};

/// Square chips over a grid in row-major order.
///
/// Neighbours share `overlap` pixels. The last column and row are moved inwards so that they end with
/// the grid; only a grid smaller than one chip is reached over, and its chip is padded and masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChipGrid {
    geobox: GeoBox,
    size: usize,
    overlap: usize,
}

/// One chip: its place in the row-major order, and its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Number in row-major order.
    pub index: usize,
    /// Row of chips.
    pub row: usize,
    /// Column of chips.
    pub column: usize,
    /// Pixels of the grid.
    pub window: Window,
}

impl ChipGrid {
    /// Chips of `size` pixels a side that share `overlap` pixels with their neighbours.
    ///
    /// # Errors
    /// A size of zero, or an overlap of half the size or more.
    pub fn new(geobox: GeoBox, size: usize, overlap: usize) -> Result<Self> {
        if size == 0 || 2 * overlap >= size.max(1) && overlap > 0 {
            return Err(GridError::Chips { size, overlap });
        }
        Ok(Self { geobox, size, overlap })
    }

    /// The grid that is cut.
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// Chip size in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Pixels shared with a neighbour.
    pub fn overlap(&self) -> usize {
        self.overlap
    }

    /// Columns of chips.
    pub fn columns(&self) -> usize {
        self.count(self.geobox.width)
    }

    /// Rows of chips.
    pub fn rows(&self) -> usize {
        self.count(self.geobox.height)
    }

    /// Number of chips.
    pub fn len(&self) -> usize {
        self.columns() * self.rows()
    }

    /// Never: a grid has at least one pixel, so at least one chip.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chip of this number, or `None` past the last.
    pub fn get(&self, index: usize) -> Option<Chip> {
        let (row, column) = (index / self.columns(), index % self.columns());
        (row < self.rows()).then(|| Chip {
            index,
            row,
            column,
            window: Window {
                x: self.start(column, self.geobox.width),
                y: self.start(row, self.geobox.height),
                width: self.size,
                height: self.size,
            },
        })
    }

    /// All chips, row by row.
    pub fn iter(&self) -> impl Iterator<Item = Chip> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The chips that share a pixel with a window, row by row.
    pub fn touching(&self, window: &Window) -> impl Iterator<Item = Chip> + '_ {
        let size = self.size as i64;
        let along = |count: usize, side: usize, first: i64, end: i64| -> Vec<usize> {
            (0..count).filter(|&at| self.start(at, side) < end && first < self.start(at, side) + size).collect()
        };
        let rows = along(self.rows(), self.geobox.height, window.y, window.bottom());
        let columns = along(self.columns(), self.geobox.width, window.x, window.right());
        rows.into_iter().flat_map(move |row| {
            let chips: Vec<Chip> =
                columns.iter().filter_map(|column| self.get(row * self.columns() + column)).collect();
            chips
        })
    }

    /// Pixels from one chip to the next.
    pub fn stride(&self) -> usize {
        self.size - self.overlap
    }

    fn count(&self, side: usize) -> usize {
        if side <= self.size { 1 } else { (side - self.size).div_ceil(self.stride()) + 1 }
    }

    fn start(&self, position: usize, side: usize) -> i64 {
        (position * self.stride()).min(side.saturating_sub(self.size)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Affine, Crs};

    fn grid(width: usize, height: usize, size: usize, overlap: usize) -> ChipGrid {
        let geobox = GeoBox::new(Crs::epsg(32633), Affine::north_up(0.0, 0.0, 10.0), width, height).unwrap();
        ChipGrid::new(geobox, size, overlap).unwrap()
    }

    #[test]
    fn every_pixel_is_covered_and_none_beyond() {
        for (width, height) in [(64, 64), (65, 100), (101, 100), (300, 70)] {
            let chips = grid(width, height, 64, 16);
            let mut seen = vec![false; width * height];
            for chip in chips.iter() {
                assert_eq!(chip.window.intersection(&Window::full(width, height)), Some(chip.window));
                for y in chip.window.y..chip.window.bottom() {
                    for x in chip.window.x..chip.window.right() {
                        seen[y as usize * width + x as usize] = true;
                    }
                }
            }
            assert!(seen.iter().all(|&s| s), "{width} x {height}");
        }
    }

    #[test]
    fn a_window_is_touched_by_the_chips_that_share_a_pixel_with_it() {
        let chips = grid(101, 100, 32, 8);
        for (x, y, width, height) in [(0, 0, 1, 1), (23, 24, 1, 9), (31, 0, 40, 3), (90, 95, 11, 5), (0, 0, 101, 100)] {
            let window = Window { x, y, width, height };
            let shares = |chip: &Chip| chip.window.intersection(&window).is_some();
            let wanted: Vec<Chip> = chips.iter().filter(shares).collect();
            assert_eq!(chips.touching(&window).collect::<Vec<_>>(), wanted, "{window:?}");
            assert!(!wanted.is_empty());
        }
        assert_eq!(chips.touching(&Window { x: 101, y: 0, width: 5, height: 5 }).count(), 0);
    }

    #[test]
    fn a_small_area_is_one_padded_chip() {
        let chips = grid(6, 6, 16, 4);
        assert_eq!(chips.len(), 1);
        assert_eq!(chips.get(0).unwrap().window, Window::full(16, 16));
        assert_eq!(chips.get(1), None);
    }

    #[test]
    fn too_much_overlap_is_refused() {
        let geobox = grid(64, 64, 64, 0).geobox().clone();
        assert!(ChipGrid::new(geobox.clone(), 32, 16).is_err());
        assert!(ChipGrid::new(geobox, 0, 0).is_err());
    }
}
