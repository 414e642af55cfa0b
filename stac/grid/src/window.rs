//! Half-open pixel rectangles.

use serde::{Deserialize, Serialize};

/// The pixels `x..x + width`, `y..y + height` of a grid; may lie partly or wholly outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First column.
    pub x: i64,
    /// First row.
    pub y: i64,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Window {
    /// The whole of a grid.
    pub fn full(width: usize, height: usize) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// The column after the last.
    pub fn right(&self) -> i64 {
        self.x + self.width as i64
    }

    /// The row after the last.
    pub fn bottom(&self) -> i64 {
        self.y + self.height as i64
    }

    /// The pixels that both hold, or `None` where they share none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (right > x && bottom > y).then(|| Self { x, y, width: (right - x) as usize, height: (bottom - y) as usize })
    }

    /// The same pixels seen from a grid whose origin is `(x, y)` of this one.
    pub fn relative_to(&self, x: i64, y: i64) -> Self {
        Self { x: self.x - x, y: self.y - y, ..*self }
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        self.width * self.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_windows_share_nothing() {
        let left = Window { x: 0, y: 0, width: 4, height: 4 };
        let right = Window { x: 4, y: 0, width: 4, height: 4 };
        assert_eq!(left.intersection(&right), None);
        let over = Window { x: -2, y: 3, width: 4, height: 4 };
        assert_eq!(left.intersection(&over), Some(Window { x: 0, y: 3, width: 2, height: 1 }));
    }
}
