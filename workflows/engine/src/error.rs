//! What keeps the engine from starting or finding a run.

use std::path::{Path, PathBuf};

use crate::spec::Fault;

/// An error of the engine itself. Errors of nodes are in the [`RunReport`](crate::RunReport).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file of a run's folder.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a run's folder that is not what it should be.
    #[error("{path} is damaged: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no such run.
    #[error("no run `{id}` in {folder}; `skysense runs list` shows the runs that are there")]
    NoRun {
        /// The id that was asked for.
        id: String,
        /// Where runs are kept.
        folder: PathBuf,
    },
    /// The run is going on in another process.
    #[error("run `{id}` is going on in another process")]
    Busy {
        /// The run.
        id: String,
    },
    /// The run came to its end.
    #[error("run `{id}` is finished: there is nothing to resume")]
    Finished {
        /// The run.
        id: String,
    },
    /// A secret that a run needs again is not set.
    #[error("secret `{name}` is not set: the run needs it again")]
    Secret {
        /// The secret.
        name: String,
    },
    /// A plugin that the plan was made with is not there.
    #[error("no plugin brings the node `{uses}` that this plan needs; `skysense doctor` lists plugins")]
    NoNode {
        /// The node's type.
        uses: String,
    },
    /// The memory budget does not suffice.
    #[error("{0}")]
    Memory(Box<Fault>),
}

impl EngineError {
    pub(crate) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }
}
