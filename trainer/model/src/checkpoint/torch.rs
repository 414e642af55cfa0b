//! `.pth` files: what `torch.save` writes, since version 1.6 a zip archive, before that a row of pickles.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::checksum::Checksum;
use super::error::{CheckpointError, Result};
use super::pickle::{self, Pickle, Rebuilt, Storage, Value};
use super::source::Source;
use super::stored::{Element, Stored};
use super::tree::Tree;
use super::zip::{self, Entry};

/// First bytes of a file of the older format: a pickle of protocol 2 that holds its magic number.
pub(super) const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";
/// Most bytes of a pickle: names and shapes of a checkpoint take some hundred kilobytes.
const PICKLE: u64 = 64 << 20;
/// Containers in containers that are looked into.
const DEPTH: usize = 8;
/// Most entries of all containers together; one container may stand in many places.
const ENTRIES: usize = 1_000_000;
const VIEW: &str =
    "save a copy of the weights: torch.save({key: value.clone() for key, value in weights.items()}, path)";

/// What an archive holds.
pub(super) fn archive(source: &Arc<Source>) -> Result<Tree> {
    let entries = zip::directory(source)?;
    let is_pickle = |name: &&String| *name == "data.pkl" || name.ends_with("/data.pkl");
    let name = entries.keys().find(is_pickle).ok_or_else(|| CheckpointError::Format {
        path: source.path().to_path_buf(),
        offset: None,
        found: "a zip archive without data.pkl".into(),
        expected: "what torch.save writes".into(),
        hint: "this is an archive of something else: unpack it and name the .pth or .safetensors file inside",
    })?;
    let root = name.trim_end_matches("data.pkl");
    let entry = entries[name];
    let order = format!("{root}byteorder");
    if let Some(entry) = entries.get(&order) {
        let bytes = entry.bytes(source, &order, 64, "its byte order")?;
        if bytes.trim_ascii() != b"little" {
            return Err(CheckpointError::Format {
                path: source.path().to_path_buf(),
                offset: None,
                found: format!("byte order {:?}", String::from_utf8_lossy(&bytes)),
                expected: "little".into(),
                hint: "the file was written on another kind of machine: save it again with torch.save on this one",
            });
        }
    }
    let pickle = pickle::run(&entry.bytes(source, name, PICKLE, "a pickle")?, source.path())?;
    // One for each storage, for tensors may share them.
    let known = RefCell::new(BTreeMap::new());
    let place = |storage: &Storage| archived(source, &entries, root, storage, &known);
    Reader { source, pickle: &pickle, place: &place, entries: 0 }.tree(&pickle.root, "", DEPTH)
}

/// Places of storages that were asked for.
type Known = RefCell<BTreeMap<String, Place>>;

/// Where the values of a storage lie.
fn archived(
    source: &Source,
    entries: &BTreeMap<String, Entry>,
    root: &str,
    storage: &Storage,
    known: &Known,
) -> Result<Place> {
    if let Some(place) = known.borrow().get(&storage.key) {
        return Ok(place.clone());
    }
    let name = format!("{root}data/{}", storage.key);
    let entry = entries.get(&name).ok_or_else(|| {
        let found = format!("a tensor whose values stand in {name:?}, which is not there");
        source.fault(None, found, "all parts of the archive")
    })?;
    let start = entry.offset(source, &name)?;
    let checksum = entry.checksum(&name, start).map(Arc::new);
    let place = Place { start, length: entry.length, checksum };
    let _new = known.borrow_mut().insert(storage.key.clone(), place.clone());
    Ok(place)
}

/// What a file of the older format holds: three pickles of no interest, the object, the keys of the storages, and
/// these one after the other, each with its number of values.
pub(super) fn legacy(source: &Arc<Source>) -> Result<Tree> {
    let head = source.bytes(0, source.length().min(PICKLE), PICKLE, "the beginning of the file")?;
    let mut at = 0;
    for _ in 0..3 {
        at += pickle::run(&head[at..], source.path())?.length;
    }
    let object = pickle::run(&head[at..], source.path())?;
    at += object.length;
    let keys = pickle::run(&head[at..], source.path())?;
    let mut offset = (at + keys.length) as u64;
    let elements = storages(&object);
    let mut places = BTreeMap::new();
    for key in keys.row(&keys.root).unwrap_or_default() {
        let Value::Text(key) = key else { continue };
        let Some(element) = elements.get(&**key) else {
            return Err(source.fault(Some(offset), format!("storage {key:?}, which no tensor uses"), "used storages"));
        };
        let count = source.bytes(offset, 8, 8, "a number of values")?;
        let count = count.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let length = count.checked_mul(element.bytes());
        let end = length.and_then(|length| (offset + 8).checked_add(length)).filter(|end| *end <= source.length());
        let Some(end) = end else {
            let found = format!("storage {key:?} of {count} values");
            let expected = format!("an end within the {} bytes of the file", source.length());
            return Err(source.fault(Some(offset), found, expected));
        };
        let _previous = places.insert(key.to_string(), (offset + 8, end - offset - 8));
        offset = end;
    }
    let place = |storage: &Storage| {
        let missing = || source.fault(None, format!("no storage {:?}", storage.key), "the storages of all tensors");
        let (start, length) = places.get(&storage.key).copied().ok_or_else(missing)?;
        Ok(Place { start, length, checksum: None })
    };
    Reader { source, pickle: &object, place: &place, entries: 0 }.tree(&object.root, "", DEPTH)
}

/// Types of the storages that tensors of a pickle lie in.
fn storages(pickle: &Pickle) -> BTreeMap<&str, Element> {
    pickle.tensors().iter().map(|tensor| (tensor.storage.key.as_str(), tensor.storage.element)).collect()
}

/// Where the bytes of a storage lie, and their checksum where the file states one.
#[derive(Debug, Clone)]
struct Place {
    start: u64,
    length: u64,
    checksum: Option<Arc<Checksum>>,
}

/// Turns values into a tree of tensors.
struct Reader<'a> {
    source: &'a Arc<Source>,
    pickle: &'a Pickle,
    place: &'a dyn Fn(&Storage) -> Result<Place>,
    /// Entries of containers so far.
    entries: usize,
}

impl Reader<'_> {
    fn tree(&mut self, value: &Value, key: &str, depth: usize) -> Result<Tree> {
        if let Some(tensor) = self.pickle.tensor(value) {
            return self.stored(tensor, key).map(Tree::Tensor);
        }
        let Some(pairs) = self.pickle.dict(value).filter(|_| depth > 0) else { return Ok(Tree::Other) };
        self.entries += pairs.len();
        if self.entries > ENTRIES {
            let found = format!("more than {ENTRIES} entries in its dicts");
            return Err(self.source.fault(None, found, "the few thousand of a checkpoint"));
        }
        let mut children = Vec::new();
        for (name, child) in pairs {
            let Value::Text(name) = name else { continue };
            children.push((name.to_string(), self.tree(child, name, depth - 1)?));
        }
        Ok(Tree::Dict(children))
    }

    /// A tensor, when everything that it reaches lies inside its storage.
    fn stored(&self, tensor: &Rebuilt, key: &str) -> Result<Stored> {
        let Rebuilt { storage, element, offset, shape, strides } = tensor;
        let Place { start, length, checksum } = (self.place)(storage)?;
        let count = shape.iter().try_fold(1_u64, |count, side| count.checked_mul(*side));
        let span = shape.iter().zip(strides).try_fold(0_u64, |span, (side, stride)| {
            side.saturating_sub(1).checked_mul(*stride).and_then(|reach| span.checked_add(reach))
        });
        let end = match count {
            Some(0) => Some(0),
            _ => span.and_then(|span| span.checked_add(1)?.checked_add(*offset)),
        };
        let bytes = element.bytes();
        // A storage of bytes holds fewer values than it counts.
        let values = storage.count.saturating_mul(storage.element.bytes()) / bytes;
        let stored = Stored {
            source: Arc::clone(self.source),
            key: key.into(),
            element: *element,
            shape: Vec::new(),
            strides: None,
            offset: 0,
            checksum,
            inputs: None,
        };
        let whole = storage.count.checked_mul(storage.element.bytes()).is_some_and(|needed| needed <= length);
        let inside = whole && end.is_some_and(|end| end <= values);
        if !inside {
            let found = format!("shape {shape:?} with strides {strides:?} from value {offset}");
            let expected = format!("a place within its storage of {values} values in {length} bytes");
            let hint = "the file is damaged: fetch it again and compare its checksum";
            return Err(stored.fault(found, expected, hint));
        }
        // Now that it lies inside, all of it fits a machine word, but for a view that shows one value many times.
        let count = count.filter(|count| *count <= values);
        let (Some(_), Some(sides), Some(steps)) = (count, words(shape), words(strides)) else {
            let found = format!("shape {shape:?} over {values} values");
            return Err(stored.fault(found, "a tensor with values of its own", VIEW));
        };
        let plain = row_by_row(&sides, &steps);
        Ok(Stored {
            shape: sides,
            strides: (!plain).then_some(steps),
            offset: start + offset.min(&values) * bytes,
            ..stored
        })
    }
}

fn words(numbers: &[u64]) -> Option<Vec<usize>> {
    numbers.iter().map(|number| usize::try_from(*number).ok()).collect()
}

/// Whether values lie one after the other; the step along an axis of one does not matter.
fn row_by_row(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1_usize;
    shape.iter().zip(strides).rev().all(|(side, stride)| {
        let fits = *side == 1 || *stride == expected;
        expected = expected.saturating_mul(*side);
        fits
    }) || shape.contains(&0)
}
