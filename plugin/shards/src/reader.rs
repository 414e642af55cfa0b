//! Samples of a finished set, any of them at any time.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::MutableBuffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, MetadataVersion};
use skysense_edges::SampleBatch;

use crate::index::{Index, IndexRow};
use crate::manifest::{ListedShard, Manifest};
use crate::sums::{hex, sum};
use crate::{Part, Result, ShardError};

/// Open shards with their indexes that are held; more are opened again when they are needed.
const OPEN: usize = 128;

/// A finished set.
#[derive(Debug, Clone)]
pub struct Shards {
    folder: PathBuf,
    manifest: Arc<Manifest>,
}

impl Shards {
    /// Opens a set by its manifest; no shard is touched.
    ///
    /// # Errors
    /// A folder without a manifest, or with one that cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let missing = |fault: &str| ShardError::Missing { folder: folder.to_owned(), fault: fault.into() };
        if !folder.is_dir() {
            return Err(missing("there is no such folder"));
        }
        match Manifest::read(folder)? {
            Some(manifest) => Ok(Self { folder: folder.to_owned(), manifest: Arc::new(manifest) }),
            None => {
                Err(missing("manifest.json lacks; if its writing was broken off, go on with `skysense runs resume`"))
            }
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads the index of a shard, its checksum held against the manifest.
    ///
    /// # Errors
    /// An index that cannot be read, or that is damaged.
    pub fn index(&self, listed: &ListedShard) -> Result<Index> {
        let index = Index::read(&self.folder, &listed.shard.file, Some(&listed.index_sha256))?;
        if index.shard != listed.shard {
            let file = self.folder.join(Index::file_of(&listed.shard.file));
            let fault = format!("it is of {}, expected {}", index.shard.file, listed.shard.file);
            return Err(ShardError::Damaged { file, sample: None, fault });
        }
        Ok(index)
    }

    /// The samples of a part.
    pub fn part(&self, part: Part) -> ShardPart {
        let mut count = 0;
        let shards = self.manifest.of_part(part).map(|listed| {
            count += listed.shard.samples;
            (count, listed.clone())
        });
        ShardPart {
            shards: shards.collect(),
            count,
            arrow: self.manifest.header.schema().arrow(),
            open: Mutex::new(VecDeque::new()),
            bytes: AtomicU64::new(0),
            set: self.clone(),
        }
    }
}

/// Samples of one part, read by any number of threads in any order.
///
/// Memory does not grow with the set: the list of shards is held, and the indexes of a few of them.
#[derive(Debug)]
pub struct ShardPart {
    set: Shards,
    /// Shards, each with the number of samples up to its end.
    shards: Vec<(usize, ListedShard)>,
    count: usize,
    arrow: SchemaRef,
    /// Shards that were used lately, the latest last.
    open: Mutex<VecDeque<(usize, Arc<OpenShard>)>>,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct OpenShard {
    file: File,
    path: PathBuf,
    rows: Vec<IndexRow>,
}

impl ShardPart {
    /// The set.
    pub fn set(&self) -> &Shards {
        &self.set
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of shards and indexes that were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What the index says about a sample.
    ///
    /// # Errors
    /// A number past the last; an index that cannot be read, or that is damaged.
    pub fn about(&self, number: usize) -> Result<IndexRow> {
        let (open, row) = self.locate(number)?;
        Ok(open.rows[row].clone())
    }

    /// Reads a sample: its bytes alone, held against their checksum. The batch has one row.
    ///
    /// # Errors
    /// A number past the last; a file that cannot be read, or that is damaged, with the name of the sample.
    pub fn read(&self, number: usize) -> Result<SampleBatch> {
        let (open, row) = self.locate(number)?;
        let row = &open.rows[row];
        let damaged = |fault: String| ShardError::Damaged {
            file: open.path.clone(),
            sample: Some(skysense_edges::sample_name(&row.name[0], &row.name[1])),
            fault,
        };
        let (offset, length) = row.block;
        // The index has a checksum of its own, so its numbers are those that were written.
        let mut buffer = MutableBuffer::from_len_zeroed(usize::try_from(length).unwrap_or(usize::MAX));
        open.file.read_exact_at(&mut buffer, offset).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let size = open.file.metadata().map_or(0, |about| about.len());
                damaged(format!("the file ends at byte {size}, expected the sample at {offset} to {}", offset + length))
            }
            _ => ShardError::Read { path: open.path.clone(), source },
        })?;
        let _before = self.bytes.fetch_add(length, Ordering::Relaxed);
        let found = sum(&buffer);
        if found != row.sha256 {
            return Err(damaged(format!("its SHA-256 is {}, expected {}", hex(&found), hex(&row.sha256))));
        }
        decode(buffer, offset, &self.arrow).map_err(damaged)
    }

    /// The shard of a sample, and its row there.
    fn locate(&self, number: usize) -> Result<(Arc<OpenShard>, usize)> {
        let place = self.shards.partition_point(|(end, _)| *end <= number);
        let Some((_, listed)) = self.shards.get(place) else {
            let fault = format!("there is no sample {number} among {}", self.count);
            return Err(ShardError::Missing { folder: self.set.folder.clone(), fault });
        };
        let before = place.checked_sub(1).map_or(0, |last| self.shards[last].0);
        Ok((self.shard(place, listed)?, number - before))
    }

    fn shard(&self, place: usize, listed: &ListedShard) -> Result<Arc<OpenShard>> {
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().position(|(number, _)| *number == place)
            && let Some(found) = held.remove(at)
        {
            let shard = Arc::clone(&found.1);
            held.push_back(found);
            return Ok(shard);
        }
        // Others wait for a file that is not there yet no longer than they would to open it themselves.
        drop(held);
        let path = self.set.folder.join(&listed.shard.file);
        let file = File::open(&path).map_err(|source| ShardError::Read { path: path.clone(), source })?;
        let index = self.set.index(listed)?;
        let size = std::fs::metadata(self.set.folder.join(Index::file_of(&listed.shard.file))).map_or(0, |it| it.len());
        let _before = self.bytes.fetch_add(size, Ordering::Relaxed);
        let shard = Arc::new(OpenShard { file, path, rows: index.rows });
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_back((place, Arc::clone(&shard)));
        if held.len() > OPEN {
            let _oldest = held.pop_front();
        }
        Ok(shard)
    }
}

/// A record batch from the bytes of its message and its body.
fn decode(buffer: MutableBuffer, offset: u64, schema: &SchemaRef) -> std::result::Result<SampleBatch, String> {
    // An encapsulated message: four bytes that say that it goes on, its length, and itself.
    let length: Option<[u8; 4]> = buffer.get(4..8).and_then(|bytes| bytes.try_into().ok());
    let head = length.and_then(|bytes| usize::try_from(i32::from_le_bytes(bytes)).ok()).map(|length| length + 8);
    let Some(head) = head.filter(|head| *head <= buffer.len()) else {
        return Err("its message has no length".into());
    };
    let wrong = |what: &str| format!("{what} is larger than Arrow counts");
    let block = Block::new(
        i64::try_from(offset).map_err(|_| wrong("its place"))?,
        i32::try_from(head).map_err(|_| wrong("its message"))?,
        (buffer.len() - head) as i64,
    );
    let decoder = FileDecoder::new(Arc::clone(schema), MetadataVersion::V5);
    let batch = decoder.read_record_batch(&block, &buffer.into()).map_err(|error| error.to_string())?;
    let batch = batch.ok_or("its message holds no record batch")?;
    let sample = SampleBatch::try_new(&batch).map_err(|error| error.to_string())?;
    if sample.len() == 1 { Ok(sample) } else { Err(format!("it has {} rows, expected one", sample.len())) }
}
