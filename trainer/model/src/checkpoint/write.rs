//! Writing weights as `.safetensors`, one tensor after the other, in shards where there is much.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use super::error::{CheckpointError, Result};
use super::stored::{Element, Stored};

/// Name of the weights of a package, without its ending.
pub const WEIGHTS_STEM: &str = "weights";
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

/// A tensor that is to be written: name, type of the values in the file, sides.
pub type Planned = (String, Element, Vec<usize>);

/// Writes tensors that are known by name and shape before their values: one `STEM.safetensors`, or shards of at most
/// `limit` bytes of values each (a tensor is never cut) with `STEM.safetensors.index.json`. Memory holds a piece of one
/// tensor.
#[derive(Debug)]
pub struct WeightsWriter {
    folder: PathBuf,
    stem: String,
    tensors: Vec<Planned>,
    /// First tensor of each shard, and the number of all tensors.
    cuts: Vec<usize>,
    /// Tensors that were written.
    done: usize,
    names: Vec<String>,
    file: Option<(PathBuf, BufWriter<File>)>,
}

impl WeightsWriter {
    /// Begins; nothing is written before the first tensor.
    pub fn new(folder: &Path, stem: &str, tensors: Vec<Planned>, limit: u64) -> Self {
        let (mut cuts, mut filled) = (vec![0], 0);
        for (index, tensor) in tensors.iter().enumerate() {
            let bytes = size(tensor);
            if filled > 0 && filled + bytes > limit {
                cuts.push(index);
                filled = 0;
            }
            filled += bytes;
        }
        cuts.push(tensors.len());
        let (folder, stem) = (folder.to_path_buf(), stem.to_owned());
        Self { folder, stem, tensors, cuts, done: 0, names: Vec::new(), file: None }
    }

    /// Writes the values of the next tensor: its 32 bit floats.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn floats(&mut self, values: &[f32]) -> Result<()> {
        self.next(4 * values.len() as u64, Some(Element::F32), |writer, path| {
            for piece in values.chunks(PIECE / 4) {
                let bytes: Vec<u8> = piece.iter().flat_map(|value| value.to_le_bytes()).collect();
                writer.write_all(&bytes).map_err(|source| fault(path, source))?;
            }
            Ok(())
        })
    }

    /// Writes the values of the next tensor: its bytes, little-endian, in the type that was planned.
    ///
    /// # Errors
    /// As [`Self::floats`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.next(bytes.len() as u64, None, |writer, path| {
            writer.write_all(bytes).map_err(|source| fault(path, source))
        })
    }

    /// Writes the values of the next tensor from another file, as 32 bit floats.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn stored(&mut self, stored: &Stored) -> Result<()> {
        let values: usize = stored.shape().iter().product();
        self.next(4 * values as u64, Some(Element::F32), |writer, path| stored.copy(writer, path))
    }

    /// Ends the last file and gives the names of all: one, or the shards with their list at the end.
    ///
    /// # Errors
    /// A file that cannot be written, or tensors that were planned and not written.
    pub fn finish(mut self) -> Result<Vec<String>> {
        if self.tensors.is_empty() {
            self.begin()?;
        }
        self.end()?;
        if self.done != self.tensors.len() {
            let message = format!("{} of {} tensors were written", self.done, self.tensors.len());
            return Err(fault(&self.folder, std::io::Error::other(message)));
        }
        if self.names.len() == 1 {
            return Ok(self.names);
        }
        let mut map = Map::new();
        for (shard, name) in self.cuts.windows(2).zip(&self.names) {
            map.extend(self.tensors[shard[0]..shard[1]].iter().map(|(key, ..)| (key.clone(), json!(name))));
        }
        let total: u64 = self.tensors.iter().map(size).sum();
        let index = json!({"metadata": {"total_size": total}, "weight_map": map});
        let name = format!("{}.safetensors.index.json", self.stem);
        let path = self.folder.join(&name);
        std::fs::write(&path, format!("{index:#}\n")).map_err(|source| fault(&path, source))?;
        self.names.push(name);
        Ok(self.names)
    }

    /// Writes so many bytes for the next tensor, of a type where that is known.
    fn next(
        &mut self,
        bytes: u64,
        element: Option<Element>,
        write: impl FnOnce(&mut dyn Write, &Path) -> Result<()>,
    ) -> Result<()> {
        let surplus = |folder: &Path| fault(folder, std::io::Error::other("more tensors than were planned"));
        let Some(planned) = self.tensors.get(self.done) else { return Err(surplus(&self.folder)) };
        // What is written besides the plan moves all that follows, in a file that looks whole.
        if size(planned) != bytes || element.is_some_and(|element| element != planned.1) {
            let message =
                format!("{}: {bytes} bytes, while {} of {:?} were planned", planned.0, size(planned), planned.1);
            return Err(fault(&self.folder, std::io::Error::other(message)));
        }
        if self.cuts[..self.cuts.len() - 1].contains(&self.done) {
            self.end()?;
            self.begin()?;
        }
        self.done += 1;
        match &mut self.file {
            Some((path, writer)) => write(writer, path),
            None => Err(surplus(&self.folder)),
        }
    }

    /// Begins the file whose first tensor is the next one, with its header.
    fn begin(&mut self) -> Result<()> {
        let (shard, count) = (self.names.len(), self.cuts.len() - 1);
        let name = match count {
            1 => format!("{}.safetensors", self.stem),
            _ => format!("{}-{:05}-of-{:05}.safetensors", self.stem, shard + 1, count),
        };
        let path = self.folder.join(&name);
        let mut header = Map::new();
        let mut offset = 0_u64;
        for tensor in &self.tensors[self.cuts[shard]..self.cuts[shard + 1]] {
            let (name, element, shape) = tensor;
            let end = offset + size(tensor);
            let about = json!({"dtype": word(*element), "shape": shape, "data_offsets": [offset, end]});
            let _previous = header.insert(name.clone(), about);
            offset = end;
        }
        // Blanks bring the values to a multiple of eight bytes, as the format asks.
        let mut header = serde_json::Value::Object(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let file = File::create(&path).map_err(|source| fault(&path, source))?;
        let mut writer = BufWriter::with_capacity(PIECE, file);
        let mut put = |bytes: &[u8]| writer.write_all(bytes).map_err(|source| fault(&path, source));
        put(&(header.len() as u64).to_le_bytes())?;
        put(header.as_bytes())?;
        self.names.push(name);
        self.file = Some((path, writer));
        Ok(())
    }

    /// Brings the open file to the disk.
    fn end(&mut self) -> Result<()> {
        let Some((path, writer)) = self.file.take() else { return Ok(()) };
        let file = writer.into_inner().map_err(|error| fault(&path, error.into_error()))?;
        file.sync_all().map_err(|source| fault(&path, source))
    }
}

/// Writes tensors `(name, shape, values)` as 32 bit floats into `folder`, as [`WeightsWriter`] does, and gives the names
/// of the files.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write_weights(
    folder: &Path,
    stem: &str,
    tensors: &[(String, Vec<usize>, Values<'_>)],
    limit: u64,
) -> Result<Vec<String>> {
    let planned = tensors.iter().map(|(name, shape, _)| (name.clone(), Element::F32, shape.clone()));
    let mut writer = WeightsWriter::new(folder, stem, planned.collect(), limit);
    for (_, _, values) in tensors {
        match values {
            Values::Stored(stored) => writer.stored(stored)?,
            Values::Floats(floats) => writer.floats(floats)?,
        }
    }
    writer.finish()
}

/// Bytes of the values of a tensor.
fn size((_, element, shape): &Planned) -> u64 {
    element.bytes() * shape.iter().map(|side| *side as u64).product::<u64>()
}

/// The format's word for a type.
fn word(element: Element) -> &'static str {
    match element {
        Element::F16 => "F16",
        Element::BF16 => "BF16",
        _ => "F32",
    }
}

fn fault(path: &Path, source: std::io::Error) -> CheckpointError {
    CheckpointError::Io { action: "write", path: PathBuf::from(path), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::WeightFile;

    #[test]
    fn shards_hold_what_was_planned() {
        let folder = tempfile::tempdir().unwrap();
        let planned: Vec<Planned> = (0..5).map(|index| (format!("t{index}"), Element::F32, vec![2, 3])).collect();
        let mut writer = WeightsWriter::new(folder.path(), "w", planned.clone(), 48);
        for index in 0..5 {
            writer.floats(&[index as f32; 6]).unwrap();
        }
        let names = writer.finish().unwrap();
        assert_eq!(names[0], "w-00001-of-00003.safetensors");
        assert_eq!(names.len(), 4);
        let file = WeightFile::open(&folder.path().join(&names[3]), None).unwrap();
        let mut found: Vec<_> =
            file.tensors().map(|(key, stored)| (key.to_owned(), stored.floats().unwrap())).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected: Vec<_> = (0..5).map(|index| (format!("t{index}"), vec![index as f32; 6])).collect();
        assert_eq!(found, expected);
        // Too few and too many are faults of the caller, not files that look whole.
        let mut writer = WeightsWriter::new(folder.path(), "few", planned.clone(), u64::MAX);
        writer.floats(&[0.0; 6]).unwrap();
        assert!(writer.finish().unwrap_err().to_string().contains("1 of 5 tensors"));
        let mut writer = WeightsWriter::new(folder.path(), "none", Vec::new(), 1);
        assert!(writer.floats(&[]).unwrap_err().to_string().contains("more tensors"));
        assert_eq!(writer.finish().unwrap(), ["none.safetensors"]);
        let mut writer = WeightsWriter::new(folder.path(), "short", planned.clone(), u64::MAX);
        assert!(writer.floats(&[0.0; 5]).unwrap_err().to_string().contains("t0: 20 bytes, while 24"));
        let half = planned.iter().map(|(name, _, shape)| (name.clone(), Element::F16, shape.clone())).collect();
        let mut writer = WeightsWriter::new(folder.path(), "half", half, u64::MAX);
        assert!(writer.floats(&[0.0; 3]).is_err(), "as many bytes, of another type");
    }
}
