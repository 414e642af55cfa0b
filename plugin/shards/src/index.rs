//! The index beside a shard: where each sample begins, what it holds, and its checksum.
//!
//! It is an Arrow IPC file of one batch, so that other software reads it, too. A shard is whole once its index is there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, FixedSizeListArray, Float64Array, ListBuilder, RecordBatch,
    StringArray, TimestampMillisecondBuilder, UInt32Array, UInt64Array, builder::Float32Builder,
};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Schema, TimeUnit, TimestampMillisecondType, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use serde::{Deserialize, Serialize};
use skysense_edges::MODALITIES;

use crate::sums::{Sum, hex, sum};
use crate::{Part, Result, ShardError};

/// Key of the metadata that describes the shard.
const SHARD_KEY: &str = "skysense:shard";

/// A file of samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Name of the file in the folder.
    pub file: String,
    /// The part that all its samples belong to.
    pub part: Part,
    /// How many samples it holds.
    pub samples: usize,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
}

/// One date of a modality.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenDate {
    /// Milliseconds since 1970 in UTC.
    pub datetime: i64,
    /// Share of its pixels that are neither outside of an image nor masked, as under clouds.
    pub valid: f32,
}

/// What the index says about a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    /// Name of the place and of the period.
    pub name: [String; 2],
    /// Longitude and latitude of its middle.
    pub centre: [f64; 2],
    /// `[west, south, east, north]` in degrees.
    pub bounds: [f64; 4],
    /// Which of the 4096 regions of the globe it lies in.
    pub region: u32,
    /// First byte of its record batch in the shard, and how many there are.
    pub block: (u64, u64),
    /// SHA-256 of these bytes.
    pub sha256: [u8; 32],
    /// SHA-256 of its pixels and validity.
    pub content: [u8; 32],
    /// Its dates by modality; one that it lacks is absent.
    pub dates: BTreeMap<String, Vec<SeenDate>>,
}

/// The index of a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// The shard.
    pub shard: Shard,
    /// Its samples in order.
    pub rows: Vec<IndexRow>,
}

impl Index {
    /// Name of the index of a shard.
    pub fn file_of(shard: &str) -> String {
        format!("{}.index.arrow", shard.trim_end_matches(".arrow"))
    }

    /// Writes the index under a temporary name and renames it.
    pub(crate) fn write(&self, folder: &Path) -> Result<Sum> {
        let path = folder.join(Self::file_of(&self.shard.file));
        let fault = |source| ShardError::Write { path: path.clone(), source };
        let bytes = self.encode().map_err(|error| fault(std::io::Error::other(error)))?;
        write_whole(&path, &bytes).map_err(fault)?;
        Ok(sum(&bytes))
    }

    /// Reads the index of a shard. With `sha256` its bytes must come to that.
    ///
    /// # Errors
    /// A file that cannot be read, or that is damaged.
    pub(crate) fn read(folder: &Path, shard: &str, sha256: Option<&str>) -> Result<Self> {
        let path = folder.join(Self::file_of(shard));
        let bytes = fs::read(&path).map_err(|source| ShardError::Read { path: path.clone(), source })?;
        let damaged = |fault: String| ShardError::Damaged { file: path.clone(), sample: None, fault };
        if let Some(expected) = sha256 {
            let found = hex(&sum(&bytes));
            if found != expected {
                return Err(damaged(format!("its SHA-256 is {found}, expected {expected}")));
            }
        }
        decode(bytes).ok_or_else(|| damaged(format!("{} bytes that are no index of a shard", path_size(&path))))
    }

    fn encode(&self) -> std::result::Result<Vec<u8>, ArrowError> {
        let rows = &self.rows;
        let text = |pick: &dyn Fn(&IndexRow) -> &str| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(pick(row))).collect::<StringArray>())
        };
        let real = |pick: &dyn Fn(&IndexRow) -> f64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(pick(row))).collect::<Float64Array>())
        };
        let whole = |pick: &dyn Fn(&IndexRow) -> u64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(pick(row))).collect::<UInt64Array>())
        };
        let digest = |pick: &dyn Fn(&IndexRow) -> Sum| -> std::result::Result<ArrayRef, ArrowError> {
            let digests: Vec<Sum> = rows.iter().map(pick).collect();
            Ok(Arc::new(FixedSizeBinaryArray::try_from_iter(digests.into_iter())?))
        };
        let bounds = Arc::new(rows.iter().flat_map(|row| row.bounds).collect::<Float64Array>());
        let item = Arc::new(Field::new_list_field(DataType::Float64, false));
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("place".into(), text(&|row| &row.name[0])),
            ("period".into(), text(&|row| &row.name[1])),
            ("longitude".into(), real(&|row| row.centre[0])),
            ("latitude".into(), real(&|row| row.centre[1])),
            ("bounds".into(), Arc::new(FixedSizeListArray::try_new(item, 4, bounds, None)?)),
            ("region".into(), Arc::new(rows.iter().map(|row| Some(row.region)).collect::<UInt32Array>())),
            ("offset".into(), whole(&|row| row.block.0)),
            ("length".into(), whole(&|row| row.block.1)),
        ];
        // A shard without samples is never written, so the digests have a length.
        columns.push(("sha256".into(), digest(&|row| row.sha256)?));
        columns.push(("content".into(), digest(&|row| row.content)?));
        for modality in MODALITIES {
            let item = Field::new_list_field(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false);
            let mut datetimes =
                ListBuilder::new(TimestampMillisecondBuilder::new().with_timezone("UTC")).with_field(item);
            let mut valid =
                ListBuilder::new(Float32Builder::new()).with_field(Field::new_list_field(DataType::Float32, false));
            for row in rows {
                let dates = row.dates.get(modality);
                for date in dates.into_iter().flatten() {
                    datetimes.values().append_value(date.datetime);
                    valid.values().append_value(date.valid);
                }
                datetimes.append(dates.is_some());
                valid.append(dates.is_some());
            }
            columns.push((format!("{modality}_datetime"), Arc::new(datetimes.finish())));
            columns.push((format!("{modality}_valid"), Arc::new(valid.finish())));
        }
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        let about = serde_json::to_string(&self.shard).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let schema = Arc::new(Schema::new_with_metadata(fields, [(SHARD_KEY.to_owned(), about)].into()));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect())?;
        let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        writer.into_inner()
    }
}

/// Writes bytes under a temporary name, brings them to the disk and renames: a reader sees all of them or none.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = part_of(path);
    let written = fs::File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _gone = fs::remove_file(&part);
    }
    written
}

/// The temporary name of a file.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

fn path_size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

/// An index from the bytes of its file; `None` where they are none.
fn decode(bytes: Vec<u8>) -> Option<Index> {
    let mut reader = FileReader::try_new(Cursor::new(bytes), None).ok()?;
    let shard: Shard = serde_json::from_str(reader.schema().metadata().get(SHARD_KEY)?).ok()?;
    let batch = reader.next()?.ok()?;
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>().cloned();
    let real = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Float64Type>().cloned();
    let whole = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>().cloned();
    let digest = |name: &str| batch.column_by_name(name)?.as_fixed_size_binary_opt().cloned();
    let (places, periods) = (text("place")?, text("period")?);
    let (longitudes, latitudes) = (real("longitude")?, real("latitude")?);
    let bounds = batch.column_by_name("bounds")?.as_fixed_size_list_opt()?;
    let regions = batch.column_by_name("region")?.as_primitive_opt::<UInt32Type>()?;
    let (offsets, lengths) = (whole("offset")?, whole("length")?);
    let (sums, contents) = (digest("sha256")?, digest("content")?);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let corners = bounds.value(row);
        let mut dates = BTreeMap::new();
        for modality in MODALITIES {
            let lists = |suffix: &str| batch.column_by_name(&format!("{modality}_{suffix}"))?.as_list_opt::<i32>();
            let (datetimes, valid) = (lists("datetime")?, lists("valid")?);
            if datetimes.is_null(row) {
                continue;
            }
            let (datetimes, valid) = (datetimes.value(row), valid.value(row));
            let datetimes = datetimes.as_primitive_opt::<TimestampMillisecondType>()?;
            let valid = valid.as_primitive_opt::<Float32Type>()?;
            let seen = datetimes.values().iter().zip(valid.values());
            let seen = seen.map(|(&datetime, &valid)| SeenDate { datetime, valid }).collect();
            let _new = dates.insert(modality.to_owned(), seen);
        }
        rows.push(IndexRow {
            name: [places.value(row).to_owned(), periods.value(row).to_owned()],
            centre: [longitudes.value(row), latitudes.value(row)],
            bounds: corners.as_primitive_opt::<Float64Type>()?.values().to_vec().try_into().ok()?,
            region: regions.value(row),
            block: (offsets.value(row), lengths.value(row)),
            sha256: sums.value(row).try_into().ok()?,
            content: contents.value(row).try_into().ok()?,
            dates,
        });
    }
    (rows.len() == shard.samples).then_some(Index { shard, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let row = |n: u8| IndexRow {
            name: [format!("p{n}"), "all".into()],
            centre: [179.9, -17.0],
            bounds: [179.8, -17.1, -179.9, -16.9],
            region: 7,
            block: (u64::from(n) * 64, 64),
            sha256: [n; 32],
            content: [n + 1; 32],
            dates: BTreeMap::from([("s2".into(), vec![SeenDate { datetime: 5, valid: 0.25 }; usize::from(n)])]),
        };
        let rows: Vec<IndexRow> = (1..4).map(row).collect();
        let shard =
            Shard { file: "train-00000.arrow".into(), part: Part::Train, samples: 3, size: 256, sha256: "ab".into() };
        Index { shard, rows }
    }

    #[test]
    fn an_index_comes_back_and_a_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let written = hex(&index().write(folder.path()).unwrap());
        assert_eq!(Index::read(folder.path(), "train-00000.arrow", Some(&written)).unwrap(), index());
        let path = folder.path().join("train-00000.index.arrow");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let told = Index::read(folder.path(), "train-00000.arrow", Some(&written)).unwrap_err().to_string();
        assert!(told.contains("train-00000.index.arrow") && told.contains("SHA-256"), "{told}");
        fs::write(&path, &bytes[..40]).unwrap();
        let told = Index::read(folder.path(), "train-00000.arrow", None).unwrap_err().to_string();
        assert!(told.contains("40 bytes that are no index"), "{told}");
    }
}
