//! Flips and quarter turns: the eight ways to lay a square on itself.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::dataset::{Prepared, Truth};

/// One of the eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Rows become columns, before the flips.
    transpose: bool,
    /// Left and right change places.
    across: bool,
    /// Top and bottom change places.
    down: bool,
}

impl Turn {
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let draw = rng.random_range(0..8_u8);
        Self { transpose: draw & 1 != 0, across: draw & 2 != 0, down: draw & 4 != 0 }
    }

    /// Turns all planes of a sample.
    pub(crate) fn apply(self, mut sample: Prepared) -> Prepared {
        for series in sample.series.values_mut() {
            series.pixels = self.planes(&series.pixels, series.side);
        }
        for series in sample.before.values_mut() {
            series.pixels = self.planes(&series.pixels, series.side);
        }
        if let Truth::Values(values) = &mut sample.truth {
            *values = self.planes(values, sample.size);
        }
        sample.targets = self.planes(&sample.targets, sample.size);
        sample
    }

    /// Where a point of a square of this side comes to lie, as column and row.
    pub(crate) fn point(self, [x, y]: [f32; 2], side: f32) -> [f32; 2] {
        let (x, y) = if self.transpose { (y, x) } else { (x, y) };
        [if self.across { side - x } else { x }, if self.down { side - y } else { y }]
    }

    /// Turns each plane of a stack of squares.
    pub(crate) fn planes<T: Copy>(self, values: &[T], side: usize) -> Vec<T> {
        let mut turned = Vec::with_capacity(values.len());
        for plane in values.chunks_exact(side * side) {
            for y in 0..side {
                for x in 0..side {
                    let (x, y) = (if self.across { side - 1 - x } else { x }, if self.down { side - 1 - y } else { y });
                    turned.push(if self.transpose { plane[x * side + y] } else { plane[y * side + x] });
                }
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_turns_are_different_and_keep_every_pixel() {
        let plane = [1, 2, 3, 4];
        let mut seen = Vec::new();
        for draw in 0..8 {
            let turn = Turn { transpose: draw & 1 != 0, across: draw & 2 != 0, down: draw & 4 != 0 };
            let mut turned = turn.planes(&plane, 2);
            assert!(!seen.contains(&turned), "{turned:?} twice");
            seen.push(turned.clone());
            turned.sort_unstable();
            assert_eq!(turned, plane);
        }
        let across = Turn { transpose: false, across: true, down: false };
        assert_eq!(across.planes(&[1, 2, 3, 4, 5, 6, 7, 8], 2), [2, 1, 4, 3, 6, 5, 8, 7]);
    }
}
