//! Writing weights as `.safetensors`, one tensor after the other, in shards where there is much.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use super::error::{CheckpointError, Result};
use super::stored::Stored;

/// Name of the weights where one file holds them.
pub const WEIGHTS_FILE: &str = "weights.safetensors";
/// Name of the list of shards.
pub const INDEX_FILE: &str = "weights.safetensors.index.json";
/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;

/// Values of one tensor.
#[derive(Debug)]
pub enum Values<'a> {
    /// In a file.
    Stored(&'a Stored),
    /// In memory.
    Floats(&'a [f32]),
}

/// Writes tensors `(name, shape, values)` as 32 bit floats into `folder`, and gives the names of the files: one
/// [`WEIGHTS_FILE`], or shards of at most `limit` bytes of values each (a tensor is never cut) with [`INDEX_FILE`] at
/// the end of the list. Memory holds a piece of one tensor.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write_weights(folder: &Path, tensors: &[(String, Vec<usize>, Values<'_>)], limit: u64) -> Result<Vec<String>> {
    let size = |shape: &[usize]| 4 * shape.iter().map(|side| *side as u64).product::<u64>();
    let mut shards: Vec<Vec<&(String, Vec<usize>, Values<'_>)>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in tensors {
        let bytes = size(&tensor.1);
        if filled > 0 && filled + bytes > limit {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    if let [shard] = &shards[..] {
        write_file(&folder.join(WEIGHTS_FILE), shard)?;
        return Ok(vec![WEIGHTS_FILE.into()]);
    }
    let mut names = Vec::new();
    let mut map = Map::new();
    for (index, shard) in shards.iter().enumerate() {
        let name = format!("weights-{:05}-of-{:05}.safetensors", index + 1, shards.len());
        write_file(&folder.join(&name), shard)?;
        map.extend(shard.iter().map(|(key, ..)| (key.clone(), json!(name))));
        names.push(name);
    }
    let total: u64 = tensors.iter().map(|(_, shape, _)| size(shape)).sum();
    let index = json!({"metadata": {"total_size": total}, "weight_map": map});
    let path = folder.join(INDEX_FILE);
    std::fs::write(&path, format!("{index:#}\n")).map_err(|source| fault(&path, source))?;
    names.push(INDEX_FILE.into());
    Ok(names)
}

fn write_file(path: &Path, tensors: &[&(String, Vec<usize>, Values<'_>)]) -> Result<()> {
    let mut header = Map::new();
    let mut offset = 0_u64;
    for (name, shape, _) in tensors {
        let end = offset + 4 * shape.iter().map(|side| *side as u64).product::<u64>();
        let _previous =
            header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    // Blanks bring the values to a multiple of eight bytes, as the format asks.
    let mut header = serde_json::Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let file = File::create(path).map_err(|source| fault(path, source))?;
    let mut writer = BufWriter::with_capacity(PIECE, file);
    let mut put = |bytes: &[u8]| writer.write_all(bytes).map_err(|source| fault(path, source));
    put(&(header.len() as u64).to_le_bytes())?;
    put(header.as_bytes())?;
    for (_, _, values) in tensors {
        match values {
            Values::Stored(stored) => stored.copy(&mut writer, path)?,
            Values::Floats(floats) => {
                for piece in floats.chunks(PIECE / 4) {
                    let bytes: Vec<u8> = piece.iter().flat_map(|value| value.to_le_bytes()).collect();
                    writer.write_all(&bytes).map_err(|source| fault(path, source))?;
                }
            }
        }
    }
    let file = writer.into_inner().map_err(|error| fault(path, error.into_error()))?;
    file.sync_all().map_err(|source| fault(path, source))
}

fn fault(path: &Path, source: std::io::Error) -> CheckpointError {
    CheckpointError::Io { action: "write", path: PathBuf::from(path), source }
}
