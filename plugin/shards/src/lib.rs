//! Training shards: samples in Arrow IPC files that are read in any order, without a shard being loaded.
//!
//! ```text
//! manifest.json            bands, units, types, sizes, split; every file with its SHA-256
//! train-00000.arrow        samples of the edge `sample`, one record batch each, raw types of the sensors
//! train-00000.index.arrow  where each sample begins, its place, dates, valid shares and SHA-256
//! validation-00001.arrow   a shard holds samples of one part alone
//! ```
//!
//! [`ShardWriter`] writes, [`Shards`] reads, [`verify()`] and [`stats()`] go through all of a set. Any Arrow library
//! reads the files.

mod content;
mod error;
mod filter;
mod folder;
mod header;
mod index;
mod manifest;
mod reader;
mod split;
mod stats;
mod sums;
mod verify;
mod writer;

pub use error::{Result, ShardError};
pub use filter::{Filter, Rejected};
pub use folder::{Exists, Writing, check};
pub use header::Header;
pub use index::{Index, IndexRow, SeenDate, Shard};
pub use manifest::{ListedShard, MANIFEST_FILE, Manifest};
pub use reader::{ShardPart, Shards};
pub use split::{Part, Split};
pub use stats::{BandStatistics, stats};
pub use verify::{Problem, verify};
pub use writer::{Duplicates, Outcome, REGIONS, ShardWriter};
