//! Several processes that train as one: the group of a node, and what rank 0 tells the others.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{Host, NodeError};
use skysense_contract::Package;
use skysense_edges::ModelBuilder;
use skysense_train::{Alone, Group, GroupError, Place, Tcp};

use super::package::{finished, place};
use crate::errors;

/// The processes that do a node as one; one alone where the run has one.
pub(crate) enum Together {
    Alone,
    Group(Arc<Tcp>),
}

/// A package as its edge tells of it. Only rank 0 need reach it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Made {
    path: String,
    contract: String,
}

impl Made {
    /// # Errors
    /// A contract that cannot be told.
    pub(super) fn of(package: &Package) -> Result<Self, NodeError> {
        let contract = serde_json::to_string(package.contract())
            .map_err(|error| NodeError::from_error("model.invalid", &error))?;
        let path = std::path::absolute(package.folder()).unwrap_or_else(|_| package.folder().to_path_buf());
        Ok(Self { path: path.display().to_string(), contract })
    }

    /// The row of the edge; the host of whoever wrote the package is told that it is an output.
    ///
    /// # Errors
    /// Rows that cannot be made.
    pub(super) fn row(self, writer: Option<&Host>) -> Result<RecordBatch, NodeError> {
        if let Some(host) = writer {
            host.report("output", &json!({"href": self.path, "role": "model"}));
        }
        ModelBuilder { path: self.path, contract: self.contract }.finish().map_err(|error| errors::edge(&error))
    }
}

impl Together {
    /// Meets the other processes of the run, if it has others.
    ///
    /// # Errors
    /// An environment that does not say where, ranks that do not come or do not fit, and cancellation.
    fn join(host: &Host) -> Result<Self, NodeError> {
        let about = host.about();
        if about.processes <= 1 {
            return Ok(Self::Alone);
        }
        let place = Place::of_process().map_err(|error| NodeError::from_error("runtime.rank", &error))?;
        let place =
            place.filter(|place| (place.rank, place.size) == (about.rank, about.processes)).ok_or_else(|| {
                let message =
                    format!("this is rank {} of {}, and its environment says otherwise", about.rank, about.processes);
                NodeError::new("runtime.rank", message).hint("start all ranks by one launcher")
            })?;
        let facts = [("workflow with hash", about.workflow_sha256)];
        let group = Tcp::join(&place, &about.node, &facts, &|| host.cancelled()).map_err(|error| lost(&error))?;
        Ok(Self::Group(Arc::new(group)))
    }

    /// The group to train in.
    pub(crate) fn group(&self) -> Arc<dyn Group> {
        match self {
            Self::Alone => Arc::new(Alone),
            Self::Group(group) => group.clone(),
        }
    }

    /// Whether this process is the one that writes.
    pub(crate) fn writes(&self) -> bool {
        self.group().rank() == 0
    }

    /// What rank 0 tells the others.
    ///
    /// # Errors
    /// The group has ended.
    fn tell<T: Serialize + for<'de> Deserialize<'de>>(&self, mine: T) -> Result<T, NodeError> {
        let Self::Group(group) = self else { return Ok(mine) };
        let fault = |error: serde_json::Error| NodeError::from_error("internal.rank", &error);
        let bytes = serde_json::to_vec(&mine).map_err(fault)?;
        let told = group.broadcast(&bytes).map_err(|error| lost(&error))?;
        serde_json::from_slice(&told).map_err(fault)
    }

    /// Ends as `result` did: the others learn why this one failed.
    ///
    /// # Errors
    /// That of the result, or that another rank did not come to the end.
    fn end<T>(self, result: Result<T, NodeError>) -> Result<T, NodeError> {
        if let Self::Group(group) = &self {
            match &result {
                Ok(_) => group.leave().map_err(|error| lost(&error))?,
                Err(error) => group.abort(&error.message, error.is_cancelled()),
            }
        }
        result
    }
}

/// Makes a package in a node that all processes of a run do as one: all train, and rank 0 writes. What this run finished
/// before it was broken off is told as it is. `train` gets what it trains in and the folder of the package, and gives what
/// writes it.
///
/// # Errors
/// Those of training and of writing; the others learn of them.
pub(crate) fn train_together<W>(
    out: Option<&str>,
    host: &Host,
    train: impl FnOnce(&Together, PathBuf) -> Result<W, NodeError>,
) -> Result<RecordBatch, NodeError>
where
    W: FnOnce() -> Result<Package, NodeError>,
{
    let together = Together::join(host)?;
    let (made, writes) = (made(out, host, &together, train), together.writes());
    together.end(made)?.row(writes.then_some(host))
}

fn made<W>(
    out: Option<&str>,
    host: &Host,
    together: &Together,
    train: impl FnOnce(&Together, PathBuf) -> Result<W, NodeError>,
) -> Result<Made, NodeError>
where
    W: FnOnce() -> Result<Package, NodeError>,
{
    let target = place(out, host)?;
    let before = finished(&target, host).filter(|_| together.writes()).map(|package| Made::of(&package)).transpose()?;
    if let Some(made) = together.tell(before)? {
        return Ok(made);
    }
    let write = train(together, target)?;
    let made = if together.writes() { Some(Made::of(&write()?)?) } else { None };
    together.tell(made)?.ok_or_else(|| NodeError::new("internal.rank", "rank 0 told of no package"))
}

/// The error of a group that has ended.
pub(crate) fn lost(error: &GroupError) -> NodeError {
    if error.cancelled {
        return NodeError::cancelled();
    }
    NodeError::new("runtime.rank", error.message.clone()).hint(error.hint.clone())
}
