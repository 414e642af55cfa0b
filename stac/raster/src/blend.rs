//! Overlapping chips in, finished rows out.

use skysense_grid::{ChipGrid, Window};

use crate::{RasterError, Result};

/// Finished rows of a blended raster.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// First row.
    pub y: usize,
    /// Number of rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[channel, height, width]`; 0 where invalid.
    pub values: Vec<f32>,
    /// `[height, width]`.
    pub valid: Vec<u8>,
}

/// Blends chips that come row by row and holds one row of chips.
///
/// A chip counts fully in its middle and falls off linearly over the overlap; weights are divided by their
/// sum, so constant chips give a constant raster. The result depends on the chips alone: not on how they
/// were bundled. Chips may be left out; pixels without a valid chip are invalid.
#[derive(Debug)]
pub struct Blender {
    grid: ChipGrid,
    channels: usize,
    /// Weight of a row or column of a chip.
    taper: Vec<f32>,
    /// Row of chips that is being filled.
    row: usize,
    /// Number of the least chip that may come next.
    next: usize,
    /// `[channel, size, width]`, from the first row of pixels of the row of chips.
    sums: Vec<f32>,
    /// `[size, width]`.
    weights: Vec<f32>,
}

impl Blender {
    /// A blender for chips of `channels` values per pixel.
    pub fn new(grid: ChipGrid, channels: usize) -> Self {
        let (size, overlap) = (grid.size(), grid.overlap());
        let ramp = |edge: usize| if edge < overlap { (edge + 1) as f32 / (overlap + 1) as f32 } else { 1.0 };
        let taper = (0..size).map(|at| ramp(at).min(ramp(size - 1 - at))).collect();
        let pixels = size * grid.geobox().width;
        Self { channels, taper, row: 0, next: 0, sums: vec![0.0; channels * pixels], weights: vec![0.0; pixels], grid }
    }

    /// Bytes that a blender holds, and one row of chips that it hands out.
    pub fn bytes(grid: &ChipGrid, channels: usize) -> usize {
        grid.size() * grid.geobox().width * (2 * channels + 2) * size_of::<f32>()
    }

    /// Adds the chip of this window: `values` is `[channel, height, width]`, `valid` is `[height, width]` with
    /// 0 for invalid. Returns the rows that are finished, once the first chip of a later row of chips comes.
    ///
    /// # Errors
    /// A window that is no chip of the grid, a chip that comes again or out of order, or another shape.
    pub fn push(&mut self, window: &Window, values: &[f32], valid: &[u8]) -> Result<Option<Rows>> {
        let size = self.grid.size();
        let fault = |chip: usize, problem: String| Err(RasterError::Blend { chip, problem });
        let Some(chip) = self.find(window) else {
            return fault(self.next, format!("window {window:?} is no chip of the grid"));
        };
        let row = chip / self.grid.columns();
        if chip < self.next {
            return fault(
                chip,
                format!(
                    "it came after chip {}: chips must come in row-major order, each once",
                    self.next.saturating_sub(1)
                ),
            );
        }
        if valid.len() != size * size || values.len() != self.channels * size * size {
            let problem = format!(
                "{} values and {} validities, expected {} channels x {size} x {size}",
                values.len(),
                valid.len(),
                self.channels
            );
            return fault(chip, problem);
        }
        let finished = if row > self.row { Some(self.advance(row)) } else { None };
        self.add(window, values, valid);
        self.next = chip + 1;
        Ok(finished)
    }

    /// The rows that are left.
    pub fn finish(mut self) -> Rows {
        let end = self.grid.geobox().height;
        self.take(end - self.top(self.row))
    }

    /// Number of the chip with this window.
    fn find(&self, window: &Window) -> Option<usize> {
        let along = |start: i64, side: usize, count: usize| {
            let stride = (self.grid.size() - self.grid.overlap()) as i64;
            let last = side.saturating_sub(self.grid.size()) as i64;
            if start == last {
                Some(count - 1)
            } else {
                (start >= 0 && start % stride == 0).then_some((start / stride) as usize)
            }
        };
        let geobox = self.grid.geobox();
        let column = along(window.x, geobox.width, self.grid.columns())?;
        let row = along(window.y, geobox.height, self.grid.rows())?;
        let index = row * self.grid.columns() + column;
        self.grid.get(index).filter(|chip| chip.window == *window).map(|chip| chip.index)
    }

    /// First row of pixels of a row of chips.
    fn top(&self, row: usize) -> usize {
        self.grid.get(row * self.grid.columns()).map_or(0, |chip| chip.window.y.max(0) as usize)
    }

    fn add(&mut self, window: &Window, values: &[f32], valid: &[u8]) {
        let (size, width, height) = (self.grid.size(), self.grid.geobox().width, self.grid.geobox().height);
        let left = window.x as usize;
        // A chip that reaches beyond a grid smaller than itself is cut.
        let columns = size.min(width - left);
        let rows = size.min(height - window.y as usize);
        for row in 0..rows {
            for column in 0..columns {
                let from = row * size + column;
                if valid[from] == 0 {
                    continue;
                }
                let weight = self.taper[row] * self.taper[column];
                let to = row * width + left + column;
                self.weights[to] += weight;
                for channel in 0..self.channels {
                    self.sums[channel * size * width + to] += weight * values[channel * size * size + from];
                }
            }
        }
    }

    /// Hands out the rows above a later row of chips and makes room for it.
    fn advance(&mut self, row: usize) -> Rows {
        let count = self.top(row) - self.top(self.row);
        let rows = self.take(count);
        let (size, width) = (self.grid.size(), self.grid.geobox().width);
        let kept = size.saturating_sub(count) * width;
        let shift = |plane: &mut [f32]| {
            let from = plane.len() - kept;
            plane.copy_within(from.., 0);
            plane[kept..].fill(0.0);
        };
        self.sums.chunks_exact_mut(size * width).for_each(shift);
        shift(&mut self.weights);
        self.row = row;
        rows
    }

    /// The first `height` rows that are held, and invalid ones below where whole rows of chips were left out.
    fn take(&mut self, height: usize) -> Rows {
        let (size, width) = (self.grid.size(), self.grid.geobox().width);
        let held = height.min(size) * width;
        let mut values = vec![0.0; self.channels * height * width];
        let mut valid = vec![0; height * width];
        for (valid, weight) in valid.iter_mut().zip(&self.weights[..held]) {
            *valid = u8::from(*weight > 0.0);
        }
        for channel in 0..self.channels {
            let sums = &self.sums[channel * size * width..][..held];
            let out = &mut values[channel * height * width..][..held];
            for ((out, sum), weight) in out.iter_mut().zip(sums).zip(&self.weights) {
                if *weight > 0.0 {
                    *out = sum / weight;
                }
            }
        }
        Rows { y: self.top(self.row), height, width, values, valid }
    }
}

#[cfg(test)]
mod tests {
    use skysense_grid::{Affine, Crs, GeoBox};

    use super::*;

    fn grid(width: usize, height: usize, size: usize, overlap: usize) -> ChipGrid {
        let geobox = GeoBox::new(Crs::epsg(32633), Affine::north_up(0.0, 0.0, 10.0), width, height).unwrap();
        ChipGrid::new(geobox, size, overlap).unwrap()
    }

    /// Blends chips cut from `pixel` and puts the rows together; `keep` says which chips come.
    fn blended(
        grid: &ChipGrid,
        pixel: impl Fn(usize, i64, i64) -> f32,
        keep: impl Fn(usize) -> bool,
    ) -> (Vec<f32>, Vec<u8>) {
        let (width, height) = (grid.geobox().width, grid.geobox().height);
        let (mut values, mut valid) = (vec![f32::NAN; width * height], vec![9; width * height]);
        let mut blender = Blender::new(grid.clone(), 1);
        let mut all = Vec::new();
        for chip in grid.iter().filter(|chip| keep(chip.index)) {
            let w = chip.window;
            let pixels: Vec<f32> = (w.y..w.bottom())
                .flat_map(|y| (w.x..w.right()).map(move |x| (x, y)))
                .map(|(x, y)| pixel(chip.index, x, y))
                .collect();
            all.extend(blender.push(&w, &pixels, &vec![1; w.area()]).unwrap());
        }
        all.push(blender.finish());
        let mut next = 0;
        for rows in all {
            assert_eq!(rows.y, next);
            next += rows.height;
            values[rows.y * width..][..rows.height * width].copy_from_slice(&rows.values);
            valid[rows.y * width..][..rows.height * width].copy_from_slice(&rows.valid);
        }
        assert_eq!(next, height);
        (values, valid)
    }

    #[test]
    fn constants_and_ramps_have_no_seam() {
        for (width, height, size, overlap) in [(100, 70, 32, 8), (101, 33, 32, 0), (20, 10, 32, 8), (64, 64, 32, 15)] {
            let grid = grid(width, height, size, overlap);
            let (constant, valid) = blended(&grid, |_, _, _| 7.5, |_| true);
            assert!(valid.iter().all(|&v| v == 1));
            assert!(constant.iter().all(|&v| (v - 7.5).abs() < 1e-5), "{width} x {height}");
            let (ramp, _) = blended(&grid, |_, x, y| (x + 3 * y) as f32, |_| true);
            for (at, value) in ramp.iter().enumerate() {
                let wanted = (at % width + 3 * (at / width)) as f32;
                assert!((value - wanted).abs() < 1e-3, "{at}: {value} {wanted}");
            }
        }
    }

    #[test]
    fn two_chips_fade_into_each_other() {
        let grid = grid(28, 16, 16, 4);
        let (values, _) = blended(&grid, |chip, _, _| chip as f32, |_| true);
        let row = &values[8 * 28..9 * 28];
        assert_eq!(&row[11..17], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    }

    #[test]
    fn missing_chips_leave_invalid_pixels() {
        let grid = grid(100, 130, 32, 8);
        let columns = grid.columns();
        let (values, valid) = blended(&grid, |_, _, _| 2.0, |chip| chip / columns != 1 && chip / columns != 2);
        for y in 0..130 {
            let covered = grid
                .iter()
                .filter(|chip| ![1, 2].contains(&chip.row))
                .any(|chip| (chip.window.y..chip.window.bottom()).contains(&(y as i64)));
            assert!(valid[y * 100..][..100].iter().all(|&v| (v == 1) == covered), "row {y}");
            assert!(values[y * 100..][..100].iter().all(|&v| (v - if covered { 2.0 } else { 0.0 }).abs() < 1e-6));
        }
    }

    #[test]
    fn wrong_chips_are_refused() {
        let grid = grid(100, 70, 32, 8);
        let mut blender = Blender::new(grid.clone(), 1);
        let (first, second) = (grid.get(0).unwrap().window, grid.get(1).unwrap().window);
        assert!(blender.push(&second, &[0.0; 1024], &[1; 1024]).is_ok());
        assert!(blender.push(&second, &[0.0; 1024], &[1; 1024]).is_err(), "twice");
        assert!(blender.push(&first, &[0.0; 1024], &[1; 1024]).is_err(), "out of order");
        let odd = Window { x: 5, ..second };
        assert!(blender.push(&odd, &[0.0; 1024], &[1; 1024]).is_err(), "no chip");
        assert!(blender.push(&grid.get(2).unwrap().window, &[0.0; 3], &[1; 1024]).is_err(), "shape");
    }
}
