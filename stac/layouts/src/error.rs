//! What keeps a folder from being adopted.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A folder that is not as the layout says, and what else can go wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// No layout has this name.
    #[error("there is no layout {name:?}; known are {}", .known.join(", "))]
    Unknown {
        /// As given.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A file or folder is not as the layout says.
    #[error("{}: expected {expected}, found {found}", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What the layout says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The catalog's folder holds something.
    #[error("{} exists and is not empty: name another folder for the catalog", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A raster cannot be read or written.
    #[error(transparent)]
    Raster(#[from] skysense_raster::RasterError),
    /// A grid that cannot be.
    #[error(transparent)]
    Grid(#[from] skysense_grid::GridError),
    /// The caller ended it.
    #[error("adopting was cancelled after {items} items; nothing is left of the catalog")]
    Cancelled {
        /// Items that were there.
        items: usize,
    },
}

/// The result of adopting.
pub(crate) type Result<T> = std::result::Result<T, LayoutError>;

/// The error of content.
pub(crate) fn content(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> LayoutError {
    LayoutError::Content { path: path.to_owned(), expected: expected.into(), found: found.into() }
}

/// The error of a file.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LayoutError + '_ {
    move |source| LayoutError::Io { path: path.to_owned(), source }
}
