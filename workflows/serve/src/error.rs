//! Why the service could not do something.

use std::path::{Path, PathBuf};

use skysense_engine::{EngineError, Faults};

/// What this crate gives.
pub type Result<T, E = ServeError> = std::result::Result<T, E>;

/// Why the service could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The engine could not do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file could not be used.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was to be done with it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A catalog could not be searched, or an item not be understood.
    #[error(transparent)]
    Catalog(#[from] skysense_catalog::CatalogError),
    /// The address to listen on is not to be had, or not to be given away.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// Another process serves this state.
    #[error("another process serves {}", path.display())]
    Locked {
        /// The state file.
        path: PathBuf,
    },
    /// The state was written by a newer skysense.
    #[error("the state {} is of version {found}, and this skysense knows {known}", path.display())]
    Newer {
        /// The state file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest one known here.
        known: i64,
    },
    /// What was asked for does not exist.
    #[error("there is no {what} `{name}`")]
    Missing {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Request(String),
    /// The database refused.
    #[error("the state cannot be {what}")]
    State {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
    /// Workflows are wrong.
    #[error("{0}")]
    Workflows(Box<Faults>),
}

impl ServeError {
    /// An error about a file.
    pub(crate) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }

    /// An error about a name.
    pub(crate) fn missing(what: &'static str, name: impl Into<String>) -> Self {
        Self::Missing { what, name: name.into() }
    }

    /// A failed reading of the state.
    pub(crate) fn read(source: rusqlite::Error) -> Self {
        Self::State { what: "read", source }
    }

    /// A failed writing of the state.
    pub(crate) fn write(source: rusqlite::Error) -> Self {
        Self::State { what: "written", source }
    }
}
