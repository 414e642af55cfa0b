//! Chips that were computed: those of late in memory, and all on disk, by what they were made of.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skysense_contract::CONTRACT_FILE;
use skysense_raster::file_path;

use crate::options::Cache;
use crate::plugins::plugins;
use crate::workflow::Workflow;

/// Number of the period, and of the chip in it.
pub(crate) type ChipId = (usize, u32);

/// The map of one chip.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChipMap {
    /// `[channel, height, width]`.
    pub(crate) values: Vec<f32>,
    /// `[height, width]`.
    pub(crate) valid: Vec<u8>,
}

impl ChipMap {
    fn bytes(&self) -> usize {
        4 * self.values.len() + self.valid.len()
    }
}

/// Chips in memory; those that were not wanted for longest go first.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Each with when it was last wanted.
    chips: BTreeMap<ChipId, (u64, Arc<ChipMap>)>,
    /// Chips by when they were last wanted.
    wanted: BTreeMap<u64, ChipId>,
    most: usize,
    bytes: usize,
    clock: u64,
}

impl Memory {
    /// Of at most this many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { chips: BTreeMap::new(), wanted: BTreeMap::new(), most, bytes: 0, clock: 0 }
    }

    pub(crate) fn get(&mut self, id: ChipId) -> Option<Arc<ChipMap>> {
        self.clock += 1;
        let (wanted, chip) = self.chips.get_mut(&id)?;
        self.wanted.remove(wanted);
        self.wanted.insert(self.clock, id);
        *wanted = self.clock;
        Some(chip.clone())
    }

    pub(crate) fn has(&self, id: ChipId) -> bool {
        self.chips.contains_key(&id)
    }

    pub(crate) fn put(&mut self, id: ChipId, chip: Arc<ChipMap>) {
        self.clock += 1;
        self.bytes += chip.bytes();
        if let Some((wanted, old)) = self.chips.insert(id, (self.clock, chip)) {
            self.wanted.remove(&wanted);
            self.bytes -= old.bytes();
        }
        self.wanted.insert(self.clock, id);
        while self.bytes > self.most {
            let Some((_, oldest)) = self.wanted.pop_first() else { return };
            if let Some((_, old)) = self.chips.remove(&oldest) {
                self.bytes -= old.bytes();
            }
        }
    }
}

/// Chips on disk, in a folder of their own for all that went into them.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    root: PathBuf,
    most: u64,
    channels: usize,
    side: usize,
    /// Bytes that were written since the folder was last looked through.
    written: AtomicU64,
}

const MAGIC: &[u8; 8] = b"SKYCHIP1";
/// The mark, and the checksum at the end.
const FRAME: usize = 8 + 32;
/// Digits of a folder's name.
const DIGITS: usize = 32;

impl Disk {
    /// The folder of a workflow's chips; none where it cannot be made.
    pub(crate) fn open(cache: &Cache, workflow: &Workflow, device: &str) -> Option<Self> {
        let folder = cache.folder.join(content(workflow, device));
        fs::create_dir_all(&folder).ok()?;
        Some(Self::of(folder, cache, workflow.facts.channels, workflow.grid.size()))
    }

    fn of(folder: PathBuf, cache: &Cache, channels: usize, side: usize) -> Self {
        let (root, most) = (cache.folder.clone(), cache.bytes);
        // The first chip looks through the folder: most processes write less than what makes one look.
        Self { folder, root, most, channels, side, written: AtomicU64::new(often(most)) }
    }

    fn file(&self, (period, chip): ChipId) -> PathBuf {
        self.folder.join(format!("{period}-{chip}.chip"))
    }

    pub(crate) fn has(&self, id: ChipId) -> bool {
        self.file(id).exists()
    }

    /// A chip that is there whole; one that is damaged is taken away.
    pub(crate) fn get(&self, id: ChipId) -> Option<ChipMap> {
        let file = self.file(id);
        let bytes = fs::read(&file).ok()?;
        let chip = self.decode(&bytes);
        if chip.is_none() {
            let _computed_anew = fs::remove_file(&file);
        }
        chip
    }

    fn decode(&self, bytes: &[u8]) -> Option<ChipMap> {
        let area = self.side * self.side;
        let (values, valid) = (4 * self.channels * area, area);
        if bytes.len() != FRAME + values + valid || !bytes.starts_with(MAGIC) {
            return None;
        }
        let (body, sum) = bytes.split_at(bytes.len() - 32);
        if Sha256::digest(body).as_slice() != sum {
            return None;
        }
        let (numbers, valid) = body[8..].split_at(values);
        let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        Some(ChipMap { values: numbers.chunks_exact(4).map(number).collect(), valid: valid.to_vec() })
    }

    /// Keeps a chip; a disk that is full costs that it is computed again, and no more.
    pub(crate) fn put(&self, id: ChipId, chip: &ChipMap) {
        let mut bytes = Vec::with_capacity(FRAME + chip.bytes());
        bytes.extend_from_slice(MAGIC);
        chip.values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        bytes.extend_from_slice(&chip.valid);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        static PARTS: AtomicU64 = AtomicU64::new(0);
        let part = format!(".{}-{}.part", std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed));
        let part = self.folder.join(part);
        let create = || fs::File::create(&part);
        // Another process takes empty folders away.
        let created = create().or_else(|_| fs::create_dir_all(&self.folder).and_then(|()| create()));
        let written =
            created.and_then(|mut file| file.write_all(&bytes)).and_then(|()| fs::rename(&part, self.file(id)));
        if written.is_err() {
            let _nothing_more_to_do = fs::remove_file(&part);
            return;
        }
        let written = self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if written > often(self.most) {
            self.written.store(0, Ordering::Relaxed);
            self.prune();
        }
    }

    /// Takes away what was written first until the whole is small enough. The folder may be anybody's: files that are not
    /// ours are neither counted nor touched.
    fn prune(&self) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for folder in entries(&self.root).into_iter().filter(|path| is_name(path) && path.is_dir()) {
            for file in entries(&folder).into_iter().filter(|path| is_ours(path)) {
                let Ok(found) = fs::metadata(&file) else { continue };
                files.push((found.modified().unwrap_or(SystemTime::UNIX_EPOCH), found.len(), file));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, file) in files {
            if bytes <= self.most {
                return;
            }
            if fs::remove_file(&file).is_ok() {
                bytes -= size;
            }
            // Goes only once it is empty.
            if let Some(folder) = file.parent().filter(|folder| *folder != self.folder) {
                let _not_empty = fs::remove_dir(folder);
            }
        }
    }
}

/// Bytes that are written until the folder is looked through: by an eighth it may be over.
fn often(most: u64) -> u64 {
    (most / 8).max(1 << 20)
}

/// Whether a folder has a name that [`content`] gives.
fn is_name(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() == DIGITS && name.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a file is a chip, or was to become one.
fn is_ours(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "chip" || end == "part")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// What a workflow's chips are made of, as a name: its nodes with their plugins, settings, facts and state, the local files
/// that these name, and the runtime.
fn content(workflow: &Workflow, device: &str) -> String {
    let mut hash = Sha256::new();
    let mut say = |value: &Value| {
        hash.update(value.to_string());
        hash.update([0]);
    };
    say(&json!([env!("CARGO_PKG_VERSION"), workflow.source, device, runtime()]));
    for node in workflow.plan.nodes.iter().filter(|node| node.name != workflow.writer) {
        say(&json!([node.uses, node.settings, node.plan.facts, node.plan.state]));
        if let Some((plugin, _)) = plugins().node(&node.uses) {
            say(&stamp(plugin.path(), 0));
        }
        let mut files = Vec::new();
        local_files(&node.settings, &mut files);
        local_files(&node.plan.state, &mut files);
        local_files(&node.plan.facts, &mut files);
        files.sort();
        files.dedup();
        files.iter().for_each(|file| say(&stamp(file, 2)));
    }
    hash.finalize().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What is known of ONNX Runtime without a model.
fn runtime() -> String {
    static RUNTIME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let ask = || {
        let host = skysense_abi::Host::new(skysense_abi::NoHost);
        plugins().call("doctor", &json!({}), &host).map(|found| found["onnxruntime"].to_string()).unwrap_or_default()
    };
    RUNTIME.get_or_init(ask).clone()
}

/// Every text in a value that is the path of a file or a model package on this machine. Other folders are where something
/// lies, such as the roots of catalogs, and what lies there is named by itself.
fn local_files(value: &Value, files: &mut Vec<PathBuf>) {
    match value {
        Value::String(text) => {
            let path = file_path(text).map_or(Cow::Borrowed(text.as_str()), Cow::Owned);
            if !path.starts_with('/') || path.len() >= 4096 {
                return;
            }
            let path = Path::new(path.as_ref());
            if path.is_file() || path.join(CONTRACT_FILE).is_file() {
                files.push(path.into());
            }
        }
        Value::Array(all) => all.iter().for_each(|value| local_files(value, files)),
        Value::Object(all) => all.values().for_each(|value| local_files(value, files)),
        _ => {}
    }
}

/// What tells that a file, or one in a folder, was changed.
fn stamp(path: &Path, depth: usize) -> Value {
    let Ok(found) = fs::metadata(path) else { return json!(null) };
    if found.is_dir() {
        let mut inner = if depth > 0 { entries(path) } else { Vec::new() };
        inner.sort();
        return json!([path, inner.iter().map(|path| stamp(path, depth - 1)).collect::<Vec<_>>()]);
    }
    let since = found.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    json!([path, found.len(), since.map(|since| since.as_nanos().to_string())])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]
mod tests {
    use super::*;

    fn chip(value: f32) -> ChipMap {
        ChipMap { values: vec![value; 8], valid: vec![1, 0, 1, 1] }
    }

    fn disk(root: &Path, most: u64) -> Disk {
        let folder = root.join("c".repeat(DIGITS));
        fs::create_dir_all(&folder).unwrap();
        Disk::of(folder, &Cache { folder: root.to_owned(), bytes: most }, 2, 2)
    }

    #[test]
    fn chips_come_back_from_disk_and_damaged_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        let disk = disk(root.path(), 1 << 20);
        let odd = ChipMap { values: vec![f32::NAN, -0.0, 1.5, f32::MIN, 0.1, 0.2, 0.3, 0.4], valid: vec![1; 4] };
        disk.put((1, 7), &odd);
        let bits = |chip: &ChipMap| chip.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&disk.get((1, 7)).unwrap()), bits(&odd));
        assert!(disk.get((0, 7)).is_none());
        let file = disk.file((1, 7));
        let whole = fs::read(&file).unwrap();
        for damage in [
            whole[..whole.len() - 1].to_vec(),
            {
                let mut b = whole.clone();
                b[20] ^= 1;
                b
            },
            Vec::new(),
        ] {
            fs::write(&file, damage).unwrap();
            assert!(disk.get((1, 7)).is_none() && !file.exists());
        }
        assert!(entries(&disk.folder).is_empty(), "nothing half written is left");
    }

    #[test]
    fn the_folder_stays_small() {
        let root = tempfile::tempdir().unwrap();
        let one = (FRAME + chip(0.0).bytes()) as u64;
        let disk = disk(root.path(), 3 * one);
        let others = ["0".repeat(DIGITS), "f".repeat(DIGITS), "photographs".into()].map(|name| root.path().join(name));
        let [other, mixed, foreign] = &others;
        for folder in &others {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("0-0.chip"), vec![0; 2 * one as usize]).unwrap();
        }
        fs::write(mixed.join("notes.txt"), "not ours").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        disk.put((0, 0), &chip(0.0));
        assert!(!other.exists(), "the first chip looks, what is oldest goes first, and its folder with it");
        assert!(foreign.join("0-0.chip").exists(), "what lies in another folder is not ours");
        (1..5).for_each(|n| disk.put((0, n), &chip(n as f32)));
        disk.prune();
        assert_eq!(entries(&disk.folder).len(), 3);
        assert_eq!(entries(mixed), [mixed.join("notes.txt")]);
        assert!(foreign.join("0-0.chip").exists());
    }

    #[test]
    fn a_folder_that_was_taken_away_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let disk = disk(root.path(), 1 << 20);
        fs::remove_dir(&disk.folder).unwrap();
        disk.put((0, 0), &chip(1.0));
        assert_eq!(disk.get((0, 0)), Some(chip(1.0)));
    }

    #[test]
    fn files_and_packages_are_what_chips_are_made_of_and_folders_are_not() {
        let root = tempfile::tempdir().unwrap();
        let (file, package, folder) =
            (root.path().join("a b.tif"), root.path().join("model"), root.path().join("scene"));
        [&package, &folder].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(&file, "").unwrap();
        fs::write(package.join(CONTRACT_FILE), "").unwrap();
        let url = format!("FILE://localhost{}/a%20b.tif", root.path().display());
        let value = json!({"of": [url, package, format!("file://{}/", folder.display()), folder, "a b.tif", 7]});
        let mut found = Vec::new();
        local_files(&value, &mut found);
        assert_eq!(found, [file, package]);
    }

    #[test]
    fn memory_keeps_what_was_wanted_last() {
        let mut memory = Memory::new(2 * chip(0.0).bytes());
        memory.put((0, 0), Arc::new(chip(0.0)));
        memory.put((0, 1), Arc::new(chip(1.0)));
        assert!(memory.get((0, 0)).is_some());
        memory.put((0, 2), Arc::new(chip(2.0)));
        assert!(memory.has((0, 0)) && !memory.has((0, 1)) && memory.has((0, 2)));
        memory.put((0, 2), Arc::new(chip(3.0)));
        assert_eq!(memory.get((0, 2)).unwrap().values[0], 3.0);
        assert_eq!(memory.bytes, 2 * chip(0.0).bytes());
    }
}
