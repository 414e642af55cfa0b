//! What can go wrong with shards.

use std::io;
use std::path::PathBuf;

use skysense_edges::EdgeError;

/// An error of shards, worded for the person who writes or reads them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Another process writes into the folder.
    #[error("{folder} is being written by another process; wait for it, or name another folder")]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that is not what was written.
    #[error("{file}{}: {fault}; bring the file back from where it was copied, or write the set again", .sample.as_ref().map(|sample| format!(", sample {sample}")).unwrap_or_default())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The sample in it, where one alone is damaged.
        sample: Option<String>,
        /// What was found and what was expected.
        fault: String,
    },
    /// Pixels that are there already, under another name.
    #[error("sample {sample} holds the same pixels as {twin}; set `duplicates: drop` to leave such samples out")]
    Duplicate {
        /// The later one.
        sample: String,
        /// The earlier one.
        twin: String,
    },
    /// Samples are there already.
    #[error("{folder} holds {samples} samples already; set `exists: append` to add to them, or `exists: replace`")]
    Exists {
        /// The folder.
        folder: PathBuf,
        /// How many.
        samples: usize,
    },
    /// Files of somebody else.
    #[error("{folder} holds {found} and no training shards; name a new or empty folder")]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// A file in it.
        found: String,
    },
    /// Samples that do not fit those that are there.
    #[error("the samples do not fit those in {folder}: {}; write them to another folder", .faults.join("; "))]
    Misfit {
        /// The folder.
        folder: PathBuf,
        /// Every difference, with what was found and what was expected.
        faults: Vec<String>,
    },
    /// A folder without shards.
    #[error("{folder} holds no finished training shards: {fault}")]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// What lacks, and what to do.
        fault: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A sample that fits no shard.
    #[error("sample {sample}: {source}")]
    Sample {
        /// Its name.
        sample: String,
        /// What is wrong with it.
        source: EdgeError,
    },
    /// A writing that was broken off.
    #[error(
        "the writing of {folder} was broken off; go on with `skysense runs resume`, or set `exists: append` to keep what is whole, or `exists: replace`"
    )]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The result of what is done with shards.
pub type Result<T> = std::result::Result<T, ShardError>;
