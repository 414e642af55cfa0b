//! What can be wrong with a grid.

/// A grid that cannot be built from the values given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// A pixel with no extent: the transform has no inverse.
    #[error("transform {0:?} has no inverse: a pixel must have an area")]
    Degenerate([f64; 6]),
    /// A value that is not finite.
    #[error("{name} is {value}, expected a finite number")]
    NotFinite {
        /// Which value.
        name: &'static str,
        /// What it was.
        value: f64,
    },
    /// A chip size or overlap that cannot tile anything.
    #[error(
        "chip size {size} px with overlap {overlap} px: the size must be positive and the overlap smaller than half of it"
    )]
    Chips {
        /// Chip size in pixels.
        size: usize,
        /// Overlap in pixels.
        overlap: usize,
    },
    /// A grid without pixels, or with too many to count.
    #[error("a grid of {width} x {height} px: both sides must be between 1 and 2147483647")]
    Shape {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
}

/// The result of a grid computation.
pub type Result<T> = std::result::Result<T, GridError>;
