//! The truth of a band of rows of a map.

use std::collections::VecDeque;

use skysense_abi::NodeError;
use skysense_grid::Window;

/// Values of whole rows, each read once: the chips of a row, and the rows that they finish, ask for the same ones.
#[derive(Debug)]
pub(super) struct Band {
    width: usize,
    /// The row that the first value is of.
    first: i64,
    /// `[row, column]`, not a number where nothing is known.
    values: VecDeque<f32>,
}

impl Band {
    pub(super) fn new(width: usize) -> Self {
        Self { width: width.max(1), first: 0, values: VecDeque::new() }
    }

    fn end(&self) -> i64 {
        self.first + (self.values.len() / self.width) as i64
    }

    /// Sees to it that the rows up to `to` are known, from `from` on; `read` gives those that are not.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn reach(
        &mut self,
        from: i64,
        to: i64,
        read: impl FnOnce(Window) -> Result<Vec<f32>, NodeError>,
    ) -> Result<(), NodeError> {
        // A map of another period begins at the top again.
        if from < self.first || from > self.end() {
            self.first = from;
            self.values.clear();
        }
        let y = self.end();
        if to > y {
            self.values.extend(read(Window { x: 0, y, width: self.width, height: (to - y) as usize })?);
        }
        Ok(())
    }

    /// The value of a pixel; not a number outside of what is known.
    pub(super) fn at(&self, x: i64, y: i64) -> f32 {
        let place = usize::try_from(y - self.first).ok().zip(usize::try_from(x).ok().filter(|x| *x < self.width));
        place.and_then(|(row, column)| self.values.get(row * self.width + column)).copied().unwrap_or(f32::NAN)
    }

    /// Lets go of the rows before `end`.
    pub(super) fn forget(&mut self, end: i64) {
        let rows = usize::try_from(end - self.first).unwrap_or(0);
        let values = (rows * self.width).min(self.values.len());
        self.values.drain(..values);
        self.first += (values / self.width) as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_a_period_is_read_once() {
        let mut reads = Vec::new();
        let mut band = Band::new(4);
        let mut reach = |band: &mut Band, from, to| {
            let read = |window: Window| {
                reads.push((window.y, window.height));
                Ok((0..window.area()).map(|at| (window.y as usize * 4 + at) as f32).collect())
            };
            band.reach(from, to, read).unwrap();
        };
        // Two chips of a row, the next row with an overlap, the rows that are finished.
        for (from, to) in [(0, 3), (0, 3), (2, 5)] {
            reach(&mut band, from, to);
        }
        assert_eq!((band.at(3, 0), band.at(0, 4)), (3.0, 16.0));
        band.forget(2);
        assert!(band.at(0, 1).is_nan() && band.at(4, 3).is_nan() && band.at(-1, 3).is_nan() && band.at(0, 5).is_nan());
        reach(&mut band, 2, 5);
        assert_eq!(band.at(1, 2), 9.0);
        // Another period begins at the top.
        reach(&mut band, 0, 3);
        assert_eq!(band.at(1, 0), 1.0);
        assert_eq!(reads, [(0, 3), (3, 2), (0, 3)]);
    }
}
