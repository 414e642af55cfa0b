//! Overlapping chips in, finished rows out.

use std::ops::Range;

use skysense_grid::{Chip, ChipGrid, Window};

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
    /// Weight of a row or column of a chip.
    taper: Vec<f32>,
    /// Row of chips that is being filled.
    row: usize,
    /// Number of the least chip that may come next.
    next: usize,
    /// From the first row of pixels of the row of chips, as high as a chip.
    sums: Sums,
}

impl Blender {
    /// A blender for chips of `channels` values per pixel.
    pub fn new(grid: ChipGrid, channels: usize) -> Self {
        let window = Window { x: 0, y: 0, width: grid.geobox().width, height: grid.size() };
        Self { taper: taper(&grid), row: 0, next: 0, sums: Sums::new(window, 0..channels), grid }
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
        let Some(chip) = self.find(window) else {
            let problem = format!("window {window:?} is no chip of the grid");
            return Err(RasterError::Blend { chip: self.next, problem });
        };
        let row = chip / self.grid.columns();
        check(chip, self.next, (self.grid.size(), self.sums.channels.len()), values, valid)?;
        let finished = if row > self.row { Some(self.advance(row)) } else { None };
        self.sums.add(&self.taper, window, values, valid);
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
            let stride = self.grid.stride() as i64;
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

    /// Hands out the rows above a later row of chips and makes room for it.
    fn advance(&mut self, row: usize) -> Rows {
        let count = self.top(row) - self.top(self.row);
        let rows = self.take(count);
        self.sums.shift(count);
        self.row = row;
        rows
    }

    /// The first `height` rows that are held, and invalid ones below where whole rows of chips were left out.
    fn take(&mut self, height: usize) -> Rows {
        self.sums.rows(height)
    }
}

/// Blends the chips that touch one window of a grid: its pixels are those that a [`Blender`] gives there, bit for bit.
#[derive(Debug)]
pub struct Patch {
    size: usize,
    taper: Vec<f32>,
    next: usize,
    /// Channels of a chip, of which some are blended.
    of: usize,
    sums: Sums,
}

impl Patch {
    /// A window within the grid, for some of the `of` channels of its chips.
    pub fn new(grid: &ChipGrid, window: Window, channels: Range<usize>, of: usize) -> Self {
        Self { size: grid.size(), taper: taper(grid), next: 0, of, sums: Sums::new(window, channels) }
    }

    /// Adds a chip; chips come in row-major order, and hold all channels.
    ///
    /// # Errors
    /// A chip that comes again or out of order, or another shape.
    pub fn push(&mut self, chip: &Chip, values: &[f32], valid: &[u8]) -> Result<()> {
        check(chip.index, self.next, (self.size, self.of), values, valid)?;
        let area = self.size * self.size;
        let channels = self.sums.channels.start * area..self.sums.channels.end * area;
        self.sums.add(&self.taper, &chip.window, &values[channels], valid);
        self.next = chip.index + 1;
        Ok(())
    }

    /// The window: `y` of the rows is its first row, and their width is its own.
    pub fn finish(self) -> Rows {
        self.sums.rows(self.sums.window.height)
    }
}

/// Weight of a row or column of a chip.
fn taper(grid: &ChipGrid) -> Vec<f32> {
    let (size, overlap) = (grid.size(), grid.overlap());
    let ramp = |edge: usize| if edge < overlap { (edge + 1) as f32 / (overlap + 1) as f32 } else { 1.0 };
    (0..size).map(|at| ramp(at).min(ramp(size - 1 - at))).collect()
}

/// Refuses a chip out of order, or of another shape than `size` and `channels`.
fn check(chip: usize, next: usize, (size, channels): (usize, usize), values: &[f32], valid: &[u8]) -> Result<()> {
    let fault = |problem: String| Err(RasterError::Blend { chip, problem });
    if chip < next {
        return fault(format!(
            "it came after chip {}: chips must come in row-major order, each once",
            next.saturating_sub(1)
        ));
    }
    if valid.len() != size * size || values.len() != channels * size * size {
        return fault(format!(
            "{} values and {} validities, expected {channels} channels x {size} x {size}",
            values.len(),
            valid.len()
        ));
    }
    Ok(())
}

/// Weighted sums over a window. Whatever window a pixel is part of, the same is added to it in the same order.
#[derive(Debug)]
struct Sums {
    window: Window,
    channels: Range<usize>,
    /// `[channel, height, width]`.
    values: Vec<f32>,
    /// `[height, width]`.
    weights: Vec<f32>,
}

impl Sums {
    fn new(window: Window, channels: Range<usize>) -> Self {
        let area = window.area();
        Self { values: vec![0.0; channels.len() * area], weights: vec![0.0; area], window, channels }
    }

    /// Adds the part of a chip that lies in the window; a chip that reaches beyond is cut.
    fn add(&mut self, taper: &[f32], chip: &Window, values: &[f32], valid: &[u8]) {
        let Some(part) = self.window.intersection(chip) else { return };
        let (size, area) = (chip.width, self.window.area());
        for y in part.y..part.bottom() {
            let row = (y - chip.y) as usize;
            let line = (y - self.window.y) as usize * self.window.width;
            for x in part.x..part.right() {
                let column = (x - chip.x) as usize;
                let from = row * size + column;
                if valid[from] == 0 {
                    continue;
                }
                let weight = taper[row] * taper[column];
                let to = line + (x - self.window.x) as usize;
                self.weights[to] += weight;
                for channel in 0..self.channels.len() {
                    self.values[channel * area + to] += weight * values[channel * size * size + from];
                }
            }
        }
    }

    /// The first `height` rows, and invalid ones below those that are held.
    fn rows(&self, height: usize) -> Rows {
        let (width, area) = (self.window.width, self.window.area());
        let held = height.min(self.window.height) * width;
        let mut values = vec![0.0; self.channels.len() * height * width];
        let mut valid = vec![0; height * width];
        for (valid, weight) in valid.iter_mut().zip(&self.weights[..held]) {
            *valid = u8::from(*weight > 0.0);
        }
        for channel in 0..self.channels.len() {
            let sums = &self.values[channel * area..][..held];
            let out = &mut values[channel * height * width..][..held];
            for ((out, sum), weight) in out.iter_mut().zip(sums).zip(&self.weights) {
                if *weight > 0.0 {
                    *out = sum / weight;
                }
            }
        }
        Rows { y: self.window.y.max(0) as usize, height, width, values, valid }
    }

    /// Moves the window down.
    fn shift(&mut self, rows: usize) {
        let (width, area) = (self.window.width, self.window.area());
        let kept = self.window.height.saturating_sub(rows) * width;
        let shift = |plane: &mut [f32]| {
            let from = plane.len() - kept;
            plane.copy_within(from.., 0);
            plane[kept..].fill(0.0);
        };
        self.values.chunks_exact_mut(area).for_each(shift);
        shift(&mut self.weights);
        self.window.y += rows as i64;
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
    fn a_window_holds_the_pixels_of_the_whole_bit_for_bit() {
        // Values that do not add up to the same in another order, and holes.
        let value = |chip: usize, x: i64, y: i64, channel: usize| {
            ((chip * 31 + channel * 7) as f32).sin() / (1 + x + 3 * y) as f32
        };
        for (width, height, size, overlap) in [(101, 83, 32, 8), (64, 100, 32, 15), (20, 10, 32, 8)] {
            let grid = grid(width, height, size, overlap);
            let channels = 3;
            let cut = |chip: &Chip| {
                let w = chip.window;
                let at = move |p: usize| (w.x + (p % size) as i64, w.y + (p / size) as i64);
                let values: Vec<f32> = (0..channels)
                    .flat_map(|c| (0..size * size).map(move |p| (c, at(p))))
                    .map(|(c, (x, y))| value(chip.index, x, y, c))
                    .collect();
                let valid: Vec<u8> =
                    (0..size * size).map(|p| u8::from((at(p).0 + at(p).1 + chip.index as i64) % 5 != 0)).collect();
                (values, valid)
            };
            let mut whole = (vec![0.0; channels * width * height], vec![0; width * height]);
            let mut blender = Blender::new(grid.clone(), channels);
            let mut all = Vec::new();
            for chip in grid.iter() {
                let (values, valid) = cut(&chip);
                all.extend(blender.push(&chip.window, &values, &valid).unwrap());
            }
            all.push(blender.finish());
            for rows in &all {
                let part = rows.height * width;
                whole.1[rows.y * width..][..part].copy_from_slice(&rows.valid);
                for c in 0..channels {
                    whole.0[(c * height + rows.y) * width..][..part].copy_from_slice(&rows.values[c * part..][..part]);
                }
            }
            for (x, y, w, h) in
                [(0, 0, width, height), (7, 3, 5, 6), (width - 1, height - 1, 1, 1), (3, 0, width - 9, height)]
            {
                let window = Window { x: x as i64, y: y as i64, width: w, height: h };
                for range in [0..channels, 1..2] {
                    let mut patch = Patch::new(&grid, window, range.clone(), channels);
                    for chip in grid.touching(&window) {
                        let (values, valid) = cut(&chip);
                        patch.push(&chip, &values, &valid).unwrap();
                    }
                    let rows = patch.finish();
                    assert_eq!((rows.y, rows.width, rows.height), (y, w, h));
                    for (p, valid) in rows.valid.iter().enumerate() {
                        let at = (y + p / w) * width + x + p % w;
                        assert_eq!(*valid, whole.1[at]);
                        for (place, c) in range.clone().enumerate() {
                            let (found, wanted) = (rows.values[place * w * h + p], whole.0[c * width * height + at]);
                            assert_eq!(found.to_bits(), wanted.to_bits(), "{window:?} channel {c} pixel {p}");
                        }
                    }
                }
            }
        }
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
