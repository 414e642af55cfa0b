//! What can go wrong with a package.

use std::path::PathBuf;

use crate::{Fault, Misfit};

/// An error of a model package, worded for the person who gave the package or the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The folder or one of its files cannot be read.
    #[error("cannot read {path}: {source}; {}", if path.ends_with(crate::CONTRACT_FILE) { "a model package is a folder that holds model.yaml" } else { "copy the package again" })]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// `model.yaml` is not YAML, lacks a field or has one too many; the message names line and column.
    #[error("{path} is not a model contract: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        message: String,
    },
    /// The contract has another layout than this program.
    #[error(
        "{path} has contract version {found}, this program reads version {expected}; export the model again or use a matching release"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: u32,
        /// What is read.
        expected: u32,
    },
    /// The contract contradicts itself; every fault is named.
    #[error("{path} contradicts itself: {}", list(.faults))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All faults.
        faults: Vec<Fault>,
    },
    /// A file has another size than the contract says, as after an interrupted copy.
    #[error("{path} has {found} bytes, the contract says {expected}; copy the package again")]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes on disk.
        found: u64,
        /// Bytes in the contract.
        expected: u64,
    },
    /// A file was changed after export.
    #[error("{path} has SHA-256 {found}, the contract says {expected}; copy the package again")]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Of the file.
        found: String,
        /// In the contract.
        expected: String,
    },
    /// Data does not fit the model; every misfit is named.
    #[error("the data does not fit model {model}: {}", list(.misfits))]
    Misfit {
        /// Name of the model.
        model: String,
        /// All misfits.
        misfits: Vec<Misfit>,
    },
    /// A package stands where one should be written.
    #[error("{path} exists; name another folder or remove it first")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The package lacks what the caller asks for.
    #[error("model {model} has no {what}")]
    Lacks {
        /// Name of the model.
        model: String,
        /// What is missing, with what to do.
        what: String,
    },
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
