//! Constants of a graph, inside it or in a file beside it, read and written one at a time.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::fault;
use crate::Result;
use crate::checkpoint::CheckpointError;
use crate::onnx::{Beside, GraphProto, TensorProto};

/// Where the constants of a graph lie that stand outside of it, and where those of the new graph go.
#[derive(Debug, Clone, Copy)]
pub struct DataFiles<'a> {
    /// Beside the graph that is read.
    pub from: &'a Path,
    /// Beside the graph that is made: a graph looks for it by its name, in its own folder.
    pub to: &'a Path,
}

/// Constants of a graph that is made smaller. Memory holds one of those that stand beside it.
#[derive(Debug, Default)]
pub(super) struct Constants {
    from: Option<(PathBuf, File)>,
    to: Option<Beside>,
    /// Names of those whose place is in the new file already, or in the graph.
    kept: BTreeSet<String>,
}

impl Constants {
    pub(super) fn open(files: Option<DataFiles<'_>>) -> Result<Self> {
        let Some(DataFiles { from, to }) = files else { return Ok(Self::default()) };
        let file = File::open(from).map_err(|source| CheckpointError::Io {
            action: "read",
            path: from.to_path_buf(),
            source,
        })?;
        Ok(Self { from: Some((from.to_path_buf(), file)), to: Some(Beside::create(to)?), kept: BTreeSet::new() })
    }

    /// The numbers of a f32 weight of the graph named `graph`.
    pub(super) fn floats(&mut self, graph: &str, tensor: &TensorProto) -> Result<Vec<f32>> {
        let read;
        let bytes = if tensor.data_location == 0 {
            &tensor.raw_data
        } else {
            read = self.beside(graph, tensor)?;
            &read
        };
        super::tensors::floats(graph, tensor, bytes)
    }

    /// The constant with its values where they belong: in the new file where there is one and they are many.
    pub(super) fn keep(&mut self, tensor: TensorProto) -> TensorProto {
        let _new = self.kept.insert(tensor.name.clone());
        match self.to.as_mut().and_then(|to| to.take(&tensor.raw_data)) {
            Some(external_data) => TensorProto { external_data, data_location: 1, raw_data: Vec::new(), ..tensor },
            None => tensor,
        }
    }

    /// Brings over what stayed as it was, and ends the new file.
    pub(super) fn finish(mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in &mut graph.initializer {
            if tensor.data_location != 0 && !self.kept.contains(&tensor.name) {
                let raw_data = self.beside(&graph.name, tensor)?;
                let whole = TensorProto { raw_data, external_data: Vec::new(), data_location: 0, ..tensor.clone() };
                *tensor = self.keep(whole);
            }
        }
        self.to.map_or(Ok(()), Beside::finish)
    }

    /// Bytes of a constant that stands beside the graph.
    fn beside(&mut self, graph: &str, tensor: &TensorProto) -> Result<Vec<u8>> {
        let Some((path, file)) = &mut self.from else {
            let message = format!("weight {} lies in a file beside it, and there is none", tensor.name);
            return Err(fault(graph, message));
        };
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let number = |key: &str| entry(key).and_then(|value| value.parse::<u64>().ok());
        let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let known = entry("location").cloned() == own;
        let io = |source| CheckpointError::Io { action: "read", path: path.clone(), source };
        let length = file.metadata().map_err(io)?.len();
        let place = number("offset").zip(number("length")).filter(|_| known);
        let place = place.filter(|(offset, count)| offset.checked_add(*count).is_some_and(|end| end <= length));
        let Some((offset, count)) = place else {
            let message =
                format!("weight {} has no place within {}: copy the package again", tensor.name, path.display());
            return Err(fault(graph, message));
        };
        // Bounded by the length of the file.
        let mut bytes = vec![0; count as usize];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(io)?;
        Ok(bytes)
    }
}
