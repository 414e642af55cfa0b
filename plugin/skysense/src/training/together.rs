//! Several processes that train as one: the group of a node, and what rank 0 tells the others.

use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError};
use skysense_contract::Package;
use skysense_edges::ModelBuilder;
use skysense_train::{Alone, Group, GroupError, Place, Tcp};

use crate::errors;

/// The processes that do a node as one; one alone where the run has one.
pub(crate) enum Together {
    Alone,
    Group(Arc<Tcp>),
}

/// A package as its edge tells of it. Only rank 0 need reach it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Made {
    path: String,
    contract: String,
}

impl Made {
    /// # Errors
    /// A contract that cannot be told.
    pub(crate) fn of(package: &Package) -> Result<Self, NodeError> {
        let contract = serde_json::to_string(package.contract())
            .map_err(|error| NodeError::from_error("model.invalid", &error))?;
        let path = std::path::absolute(package.folder()).unwrap_or_else(|_| package.folder().to_path_buf());
        Ok(Self { path: path.display().to_string(), contract })
    }

    /// The row of the edge.
    ///
    /// # Errors
    /// Rows that cannot be made.
    pub(crate) fn row(self) -> Result<RecordBatch, NodeError> {
        ModelBuilder { path: self.path, contract: self.contract }.finish().map_err(|error| errors::edge(&error))
    }
}

impl Together {
    /// Meets the other processes of the run, if it has others.
    ///
    /// # Errors
    /// An environment that does not say where, ranks that do not come or do not fit, and cancellation.
    pub(crate) fn join(host: &Host) -> Result<Self, NodeError> {
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
    pub(crate) fn tell<T: Serialize + for<'de> Deserialize<'de>>(&self, mine: T) -> Result<T, NodeError> {
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
    pub(crate) fn end<T>(self, result: Result<T, NodeError>) -> Result<T, NodeError> {
        if let Self::Group(group) = &self {
            match &result {
                Ok(_) => group.leave().map_err(|error| lost(&error))?,
                Err(error) => group.abort(&error.message, error.is_cancelled()),
            }
        }
        result
    }
}

/// The error of a group that has ended.
pub(crate) fn lost(error: &GroupError) -> NodeError {
    if error.cancelled {
        return NodeError::cancelled();
    }
    NodeError::new("runtime.rank", error.message.clone()).hint(error.hint.clone())
}
