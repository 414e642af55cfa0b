//! Samples into shards, one at a time.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use skysense_contract::region;
use skysense_edges::{SampleBuilder, SampleRow, SampleSchema};

use crate::content::content;
use crate::folder::{Folder, Writing};
use crate::index::{Index, IndexRow, SeenDate, Shard, part_of};
use crate::manifest::{ListedShard, Manifest};
use crate::sums::{Sum, Summed, hex, sum};
use crate::{Header, Part, Result, ShardError};

/// Regions of the globe that the index counts in: those of the paper.
pub const REGIONS: usize = 4096;

/// What becomes of a sample whose pixels are there already under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// It is left out.
    #[default]
    Drop,
    /// It is an error.
    Fail,
    /// It is written.
    Keep,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was written.
    Written(Part),
    /// A sample of this name is there already.
    Known,
    /// Its pixels are there already.
    Duplicate,
    /// It touches blocks of both parts.
    Border,
}

/// Writes samples into shards. What is not full when it is dropped is lost; [`ShardWriter::finish`] keeps all.
///
/// Memory does not grow with the pixels: one sample is held, the indexes of the open shards, and a few dozen bytes of
/// each sample that was written, by which the next ones are known.
pub struct ShardWriter {
    folder: Folder,
    schema: SampleSchema,
    arrow: SchemaRef,
    per_shard: usize,
    duplicates: Duplicates,
    open: BTreeMap<Part, OpenShard>,
    closed: Vec<ListedShard>,
    names: HashSet<u128>,
    contents: HashSet<u128>,
    dates: BTreeMap<String, usize>,
    found: usize,
}

struct OpenShard {
    name: String,
    writer: FileWriter<Summed<BufWriter<File>>>,
    rows: Vec<IndexRow>,
}

impl ShardWriter {
    /// Begins, or goes on with, a set of `per_shard` samples a file.
    ///
    /// # Errors
    /// As [`check`](crate::check); a folder that another process writes or that cannot be written; whole shards of a
    /// writing that was broken off that are damaged.
    pub fn begin(
        path: &Path,
        header: &Header,
        writing: &Writing,
        per_shard: usize,
        duplicates: Duplicates,
    ) -> Result<Self> {
        let folder = Folder::begin(path, header, writing)?;
        let schema = folder.header.schema();
        let mut writer = Self {
            arrow: schema.arrow(),
            schema,
            per_shard: per_shard.max(1),
            duplicates,
            open: BTreeMap::new(),
            closed: folder.kept.clone(),
            names: HashSet::new(),
            contents: HashSet::new(),
            dates: BTreeMap::new(),
            found: 0,
            folder,
        };
        for listed in writer.closed.clone() {
            let index = Index::read(path, &listed.shard.file, Some(&listed.index_sha256))?;
            index.rows.iter().for_each(|row| writer.know(row));
            writer.found += index.rows.len();
        }
        Ok(writer)
    }

    /// Samples that were there when the writing began.
    pub fn found(&self) -> usize {
        self.found
    }

    /// Whether a sample of this name, place and period, is there.
    pub fn knows(&self, place: &str, period: &str) -> bool {
        self.names.contains(&name_of(place, period))
    }

    /// Writes a sample whose footprint has these bounds in degrees.
    ///
    /// # Errors
    /// A sample that does not fit the header, a duplicate where it is an error, and a file that cannot be written: then
    /// whole shards stay, and the open ones are lost.
    pub fn push(&mut self, row: SampleRow, bounds: [f64; 4]) -> Result<Outcome> {
        if self.knows(&row.place.place, &row.period) {
            return Ok(Outcome::Known);
        }
        let Some(part) = self.folder.header.split.part(bounds) else { return Ok(Outcome::Border) };
        let content = content(&row);
        if self.duplicates != Duplicates::Keep && self.contents.contains(&short(&content)) {
            if self.duplicates == Duplicates::Fail {
                return Err(ShardError::Duplicate { sample: row.name(), twin: self.twin(&content)? });
            }
            return Ok(Outcome::Duplicate);
        }
        let mut about = about(&row, bounds, content);
        let name = row.name();
        let fault = |source| ShardError::Sample { sample: name.clone(), source };
        let mut builder = SampleBuilder::new(self.schema.clone());
        builder.push(row).map_err(fault)?;
        let batch = builder.finish().map_err(fault)?;
        if !self.open.contains_key(&part) {
            let shard = self.begin_shard(part)?;
            let _none = self.open.insert(part, shard);
        }
        let path = self.folder.path().to_owned();
        let Some(open) = self.open.get_mut(&part) else { return Ok(Outcome::Known) };
        let written = |error: ArrowError, name: &str| ShardError::Write { path: path.join(name), source: io(error) };
        let first = open.writer.get_mut().mark();
        open.writer.write(&batch).map_err(|error| written(error, &open.name))?;
        let (end, sha256) = open.writer.get_mut().block();
        (about.block, about.sha256) = ((first, end - first), sha256);
        open.rows.push(about.clone());
        let full = open.rows.len() >= self.per_shard;
        self.know(&about);
        if full {
            self.close(part)?;
        }
        Ok(Outcome::Written(part))
    }

    /// Closes the open shards and writes the manifest.
    ///
    /// # Errors
    /// A file that cannot be written; then the set that was there is still there.
    pub fn finish(mut self) -> Result<Manifest> {
        for part in Part::ALL {
            self.close(part)?;
        }
        let mut header = self.folder.header.clone();
        for (modality, facts) in &mut header.modalities {
            facts.dates = self.dates.get(modality).copied().unwrap_or(0);
        }
        self.folder.finish(header, std::mem::take(&mut self.closed))
    }

    fn know(&mut self, row: &IndexRow) {
        let _new = self.names.insert(name_of(&row.name[0], &row.name[1]));
        let _new = self.contents.insert(short(&row.content));
        for (modality, dates) in &row.dates {
            let most = self.dates.entry(modality.clone()).or_default();
            *most = dates.len().max(*most);
        }
    }

    fn begin_shard(&mut self, part: Part) -> Result<OpenShard> {
        let name = self.folder.next(part);
        let path = part_of(&self.folder.path().join(&name));
        let fault = |source| ShardError::Write { path: path.clone(), source };
        let file = BufWriter::with_capacity(1 << 16, File::create(&path).map_err(fault)?);
        let writer = FileWriter::try_new(Summed::new(file), &self.arrow).map_err(|error| fault(io(error)))?;
        Ok(OpenShard { name, writer, rows: Vec::new() })
    }

    /// Brings a shard to the disk, gives it its name, and then writes its index.
    fn close(&mut self, part: Part) -> Result<()> {
        let Some(mut open) = self.open.remove(&part) else { return Ok(()) };
        let path = self.folder.path().join(&open.name);
        let hidden = part_of(&path);
        let fault = |source| ShardError::Write { path: path.clone(), source };
        let closed = open.writer.finish().and_then(|()| open.writer.into_inner()).map_err(|error| fault(io(error)));
        let closed = closed.and_then(|summed| {
            let (mut file, size, sha256) = summed.finish();
            file.flush().and_then(|()| file.get_ref().sync_all()).map_err(fault)?;
            fs::rename(&hidden, &path).map_err(fault)?;
            Ok((size, sha256))
        });
        if closed.is_err() {
            let _gone = fs::remove_file(&hidden);
        }
        let (size, sha256) = closed?;
        let shard = Shard { file: open.name.clone(), part, samples: open.rows.len(), size, sha256: hex(&sha256) };
        let index = Index { shard: shard.clone(), rows: open.rows };
        let index_sha256 = hex(&index.write(self.folder.path())?);
        self.closed.push(ListedShard { shard, index_sha256 });
        Ok(())
    }

    /// The name of the sample with these pixels.
    fn twin(&self, content: &Sum) -> Result<String> {
        let same = |row: &&IndexRow| row.content == *content;
        let open = self.open.values().flat_map(|open| &open.rows).find(same).cloned();
        let mut found = open;
        for listed in &self.closed {
            if found.is_some() {
                break;
            }
            let index = Index::read(self.folder.path(), &listed.shard.file, Some(&listed.index_sha256))?;
            found = index.rows.iter().find(same).cloned();
        }
        Ok(found.map_or_else(|| "another".into(), |row| skysense_edges::sample_name(&row.name[0], &row.name[1])))
    }
}

impl Drop for ShardWriter {
    fn drop(&mut self) {
        for open in self.open.values() {
            // The next writing takes it away where this one cannot.
            let _gone = fs::remove_file(part_of(&self.folder.path().join(&open.name)));
        }
    }
}

/// What the index says about a sample, but for where it will stand.
fn about(row: &SampleRow, bounds: [f64; 4], content: Sum) -> IndexRow {
    let dates = row.series.iter().map(|(modality, series)| {
        let area = series.shape[2] * series.shape[3];
        let seen = series.datetimes.iter().zip(series.valid.chunks(area.max(1)));
        let date = |(&datetime, valid): (&i64, &[u8])| SeenDate {
            datetime,
            valid: (valid.iter().filter(|&&valid| valid != 0).count() as f64 / area as f64) as f32,
        };
        (modality.clone(), seen.map(date).collect())
    });
    let [longitude, latitude] = row.place.centre;
    IndexRow {
        name: [row.place.place.clone(), row.period.clone()],
        centre: row.place.centre,
        bounds,
        region: u32::try_from(region(longitude, latitude, REGIONS)).unwrap_or(0),
        block: (0, 0),
        sha256: [0; 32],
        content,
        dates: dates.collect(),
    }
}

/// Half of a checksum is enough to tell samples apart: among 10⁹ of them two agree with a chance of 10⁻²¹.
fn short(sum: &Sum) -> u128 {
    sum[..16].iter().fold(0, |number, &byte| number << 8 | u128::from(byte))
}

/// What a sample of this name is known by.
pub(crate) fn name_of(place: &str, period: &str) -> u128 {
    short(&sum(skysense_edges::sample_name(place, period).as_bytes()))
}

/// What the file system said, where Arrow passes it on.
fn io(error: ArrowError) -> std::io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => std::io::Error::other(other),
    }
}
