//! `.safetensors` files, also in shards with an index.

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::Arc;

use safetensors::tensor::{Dtype, Metadata};

use super::error::{CheckpointError, Result};
use super::source::Source;
use super::stored::{Element, Stored};
use super::tree::Tree;

/// Most bytes of a header: the format's own bound.
const HEADER: u64 = 100 << 20;
/// Most bytes of an index.
const INDEX: u64 = 64 << 20;

/// What one file holds.
pub(super) fn single(source: &Arc<Source>) -> Result<Tree> {
    let header = source.bytes(0, 8, 8, "the length of its header")?;
    let length = header.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let header = source.bytes(8, length, HEADER, "a header")?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| CheckpointError::Format {
        path: source.path().to_path_buf(),
        offset: Some(8),
        found: format!("a header that is none ({error})"),
        expected: "the header of a safetensors file".into(),
        hint: "the file is damaged, or of another format: .safetensors and .pth files are read",
    })?;
    let start = 8 + length;
    let room = source.length() - start;
    let mut children = Vec::new();
    for (name, info) in metadata.tensors() {
        let (from, to) = info.data_offsets;
        let element = element(info.dtype);
        let stored = Stored {
            source: Arc::clone(source),
            key: name.clone(),
            element,
            shape: info.shape.clone(),
            strides: None,
            offset: start.saturating_add(from as u64),
            checksum: None,
            inputs: None,
        };
        let count = info.shape.iter().try_fold(1_u64, |count, side| count.checked_mul(*side as u64));
        let bytes = count.and_then(|count| count.checked_mul(element.bytes()));
        let own = to.checked_sub(from).map(|length| length as u64);
        let fits = to as u64 <= room && (matches!(element, Element::Other(_)) || bytes.is_some() && bytes == own);
        if !fits {
            return Err(stored.fault(
                format!("{element:?} {:?} at bytes {from} to {to} of the {room} after the header", info.shape),
                "as many bytes as its shape needs, inside the file",
                "the file is truncated or damaged: fetch it again and compare its size and checksum",
            ));
        }
        children.push((name, Tree::Tensor(stored)));
    }
    children.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Tree::Dict(children))
}

/// What the files of an index hold together.
pub(super) fn sharded(source: &Arc<Source>) -> Result<Tree> {
    let bytes = source.bytes(0, source.length(), INDEX, "an index")?;
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let map = parsed.as_ref().and_then(|index| index["weight_map"].as_object());
    let wrong = |found: String| CheckpointError::Format {
        path: source.path().to_path_buf(),
        offset: None,
        found,
        expected: "an index: {\"weight_map\": {key: file}}".into(),
        hint: "name the .safetensors.index.json that lies beside the shards, or one .safetensors file",
    };
    let map = map.ok_or_else(|| wrong("no weight_map".into()))?;
    let mut files = BTreeSet::new();
    for name in map.values() {
        let name = name.as_str().ok_or_else(|| wrong(format!("{name} for the name of a file")))?;
        // An index names files beside it: one that climbs out of its folder is refused.
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(wrong(format!("{name:?}, which lies outside of its folder")));
        }
        let _new = files.insert(name);
    }
    let folder = source.path().parent().unwrap_or(Path::new("."));
    let mut children = Vec::new();
    for name in files {
        let Tree::Dict(found) = single(&Source::open(&folder.join(name))?)? else { continue };
        children.extend(found.into_iter().filter(|(key, _)| map.get(key).and_then(|file| file.as_str()) == Some(name)));
    }
    let found: BTreeSet<&String> = children.iter().map(|(key, _)| key).collect();
    if let Some(key) = map.keys().find(|key| !found.contains(key)) {
        return Err(wrong(format!("{key:?}, which {} does not hold", map[key])));
    }
    Ok(Tree::Dict(children))
}

fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::I64 => Element::I64,
        Dtype::I32 => Element::I32,
        Dtype::I16 => Element::I16,
        Dtype::I8 => Element::I8,
        Dtype::U8 => Element::U8,
        Dtype::BOOL => Element::Bool,
        _ => Element::Other(1),
    }
}
