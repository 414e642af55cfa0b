//! The manifest of a finished set: what its samples are, and every file with its checksum.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::index::{Shard, write_whole};
use crate::sums::{hex, sum};
use crate::{Header, Part, Result, ShardError};

/// Name of the manifest; a set is finished once it is there.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Version of the layout.
const VERSION: u32 = 1;

/// The manifest of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout.
    pub skysense_shards: u32,
    /// What all samples have in common.
    pub header: Header,
    /// Every shard in order.
    pub shards: Vec<ListedShard>,
    /// Hashes of the workflows that wrote it, the latest last.
    pub workflows: Vec<String>,
}

/// A shard with the checksum of its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedShard {
    /// The shard.
    #[serde(flatten)]
    pub shard: Shard,
    /// SHA-256 of its index, lower-case hexadecimal.
    pub index_sha256: String,
}

impl Manifest {
    /// A manifest of these shards.
    pub(crate) fn new(header: Header, shards: Vec<ListedShard>, workflows: Vec<String>) -> Self {
        Self { skysense_shards: VERSION, header, shards, workflows }
    }

    /// Shards of a part in order.
    pub fn of_part(&self, part: Part) -> impl Iterator<Item = &ListedShard> {
        self.shards.iter().filter(move |listed| listed.shard.part == part)
    }

    /// Samples of a part.
    pub fn samples(&self, part: Part) -> usize {
        self.of_part(part).map(|listed| listed.shard.samples).sum()
    }

    /// Bytes of all shards.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|listed| listed.shard.size).sum()
    }

    /// What the samples of a part come to, in their order.
    pub fn checksum(&self, part: Part) -> String {
        let sums = self.of_part(part).map(|listed| format!("{}\n", listed.shard.sha256));
        hex(&sum(sums.collect::<String>().as_bytes()))
    }

    /// Reads the manifest of a folder; `None` where there is none.
    ///
    /// # Errors
    /// A manifest that cannot be read, or of another version.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ShardError::Read { path, source }),
        };
        let damaged = |fault: String| ShardError::Damaged { file: path.clone(), sample: None, fault };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let version = value.get("skysense_shards").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            let found = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            return Err(damaged(format!("its version `skysense_shards` is {found}, expected {VERSION}")));
        }
        serde_json::from_value(value).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Writes the manifest: from here on the set is finished.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(MANIFEST_FILE), self)
    }
}

/// Writes JSON that is whole or not there.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let fault = |source| ShardError::Write { path: path.to_owned(), source };
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| fault(std::io::Error::other(error)))?;
    text.push(b'\n');
    write_whole(path, &text).map_err(fault)
}
