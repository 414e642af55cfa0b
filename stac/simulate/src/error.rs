//! What can go wrong while a scene is made.

use std::path::PathBuf;

/// A scene that cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// A value of the description is out of its range.
    #[error("scene: {field} is {value}, expected {expected}")]
    Spec {
        /// Which value.
        field: &'static str,
        /// What it was.
        value: String,
        /// What would do.
        expected: String,
    },
    /// The folder to write to holds something already.
    #[error("{0} exists and is not empty: name another folder, or set `replace` if it holds a simulated scene")]
    Exists(PathBuf),
    /// A file or folder could not be written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A raster could not be written.
    #[error(transparent)]
    Raster(#[from] skysense_raster::RasterError),
    /// A grid could not be laid out.
    #[error(transparent)]
    Grid(#[from] skysense_grid::GridError),
}

/// The result of making a scene.
pub type Result<T> = std::result::Result<T, SimulateError>;
