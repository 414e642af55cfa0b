//! What keeps the engine from starting or finding a run.

use std::io;
use std::path::{Path, PathBuf};

use skysense_abi::NodeError;

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
        source: io::Error,
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
    #[error("no run `{id}` in {folder}")]
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
    #[error("no plugin brings the node `{uses}` that this plan needs")]
    NoNode {
        /// The node's type.
        uses: String,
    },
    /// Several processes, and nothing that they could do as one.
    #[error("{processes} processes were started for this run, and none of its nodes is done by several")]
    Alone {
        /// How many there are.
        processes: usize,
    },
    /// The memory budget does not suffice.
    #[error("{0}")]
    Memory(Box<Fault>),
}

impl EngineError {
    pub(crate) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::File { what, source, .. } => hint_of_io(what, source),
            Self::Broken { .. } => "the folder of this run cannot be used any more: run the workflow again",
            Self::NoRun { .. } => "`skysense runs list` shows the runs that are there, `--runs-dir` looks elsewhere",
            Self::Busy { .. } => "wait for that process, or end it",
            Self::Finished { .. } => "`skysense runs show` says what it did",
            Self::Secret { .. } => {
                "set SKYSENSE_SECRET_<name>, or put a file of that name into the folder SKYSENSE_SECRETS"
            }
            Self::NoNode { .. } => "`skysense doctor` lists plugins, and says why one was not used",
            Self::Alone { .. } => {
                "start it once, or with `--processes 1`: `skysense nodes` says which nodes several processes do as one"
            }
            Self::Memory(_) => return None,
        })
    }
}

impl From<EngineError> for NodeError {
    /// As the error of the node that met it.
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::File { what, path, source } => folder_error(what, path, source),
            other => Self { hint: other.hint().map(Into::into), ..Self::from_error("run", other) },
        }
    }
}

/// What to do about a file of a run's folder that cannot be read or written.
fn hint_of_io(what: &str, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or keep runs elsewhere with `--runs-dir`"
        }
        // What could not be made was not there to be lost: no folder can stand at that place.
        io::ErrorKind::NotFound if what != "create" => "was the folder of the run removed while the run went on?",
        _ => "`--runs-dir` names a folder for runs that you may read and write",
    }
}

/// The error of a node whose part of the run's folder cannot be written or read.
pub(crate) fn folder_error(what: &str, path: &Path, error: &io::Error) -> NodeError {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk.full",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "disk.permission",
        _ => "disk.run-folder",
    };
    NodeError::new(code, format!("cannot {what} {}", path.display())).because(error).hint(hint_of_io(what, error))
}
