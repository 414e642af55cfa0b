//! The directory of a zip archive whose entries are stored as they are, as PyTorch writes them.

use std::collections::BTreeMap;

use super::checksum::Checksum;
use super::error::{CheckpointError, Result};
use super::source::Source;

const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const END_64_LOCATOR: &[u8; 4] = b"PK\x06\x07";
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";
/// Length of the record at the end, without its comment.
const END_LENGTH: u64 = 22;
/// Most bytes of a directory that is read: some hundred thousand entries.
const LIMIT: u64 = 64 << 20;

/// Where an entry's bytes lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    local: u64,
    /// Number of bytes.
    pub(super) length: u64,
    method: u16,
    crc: u32,
}

/// Reads the directory at the end of the file.
pub(super) fn directory(source: &Source) -> Result<BTreeMap<String, Entry>> {
    let tail_length = source.length().min(END_LENGTH + u64::from(u16::MAX));
    let tail_start = source.length() - tail_length;
    let tail = source.bytes(tail_start, tail_length, LIMIT, "the end of the archive")?;
    let missing = || source.fault(None, "no directory at the end of the file", "a whole zip archive");
    let at = tail.windows(4).rposition(|window| window == END).ok_or_else(missing)?;
    let end = Fields(&tail[at..]);
    // The comment, whose length stands last, is there as well, or the file was cut.
    if end.u16(20).is_none_or(|comment| at + END_LENGTH as usize + usize::from(comment) > tail.len()) {
        return Err(missing());
    }
    let (mut count, mut size, mut start) = (
        u64::from(end.u16(10).ok_or_else(missing)?),
        u64::from(end.u32(12).ok_or_else(missing)?),
        u64::from(end.u32(16).ok_or_else(missing)?),
    );
    // The 64-bit record stands before, where a locator says so: PyTorch always writes it.
    if let Some(locator) =
        at.checked_sub(20).map(|from| Fields(&tail[from..at])).filter(|f| f.0.starts_with(END_64_LOCATOR))
    {
        let place = locator.u64(8).ok_or_else(missing)?;
        let record = source.bytes(place, 56, LIMIT, "the 64-bit end record")?;
        let record = Fields(&record);
        if !record.0.starts_with(END_64) {
            return Err(source.fault(Some(place), "something else", "the 64-bit end record of a zip archive"));
        }
        (count, size, start) = (
            record.u64(32).ok_or_else(missing)?,
            record.u64(40).ok_or_else(missing)?,
            record.u64(48).ok_or_else(missing)?,
        );
    }
    let bytes = source.bytes(start, size, LIMIT, "a directory")?;
    entries(source, &bytes, start, count)
}

fn entries(source: &Source, bytes: &[u8], start: u64, count: u64) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    let mut at = 0_usize;
    for _ in 0..count {
        let place = start + at as u64;
        let broken = || source.fault(Some(place), "a broken entry", "an entry of a zip directory");
        let fields = Fields(bytes.get(at..).ok_or_else(broken)?);
        if !fields.0.starts_with(ENTRY) {
            return Err(broken());
        }
        let (flags, method) = (fields.u16(8).ok_or_else(broken)?, fields.u16(10).ok_or_else(broken)?);
        let crc = fields.u32(16).ok_or_else(broken)?;
        let lengths: Vec<usize> = [28, 30, 32].iter().filter_map(|field| fields.u16(*field)).map(usize::from).collect();
        let &[name, extra, comment] = &lengths[..] else { return Err(broken()) };
        let name_bytes = fields.0.get(46..46 + name).ok_or_else(broken)?;
        let extra_bytes = fields.0.get(46 + name..46 + name + extra).ok_or_else(broken)?;
        let mut sizes = [24, 20, 42].map(|field| u64::from(fields.u32(field).unwrap_or(u32::MAX)));
        wide(extra_bytes, &mut sizes);
        let [length, packed, local] = sizes;
        let name = String::from_utf8(name_bytes.to_vec()).map_err(|_| broken())?;
        if flags & 1 != 0 {
            return Err(source.fault(Some(place), format!("{name:?}, which is encrypted"), "plain entries"));
        }
        if method == 0 && length != packed {
            return Err(broken());
        }
        if entries.insert(name.clone(), Entry { local, length, method, crc }).is_some() {
            return Err(source.fault(Some(place), format!("{name:?} twice"), "entries with names of their own"));
        }
        at += 46 + name.len() + extra + comment;
    }
    Ok(entries)
}

/// Sizes that did not fit 32 bits stand in an extra field, in the order of those that are all ones.
fn wide(extra: &[u8], sizes: &mut [u64; 3]) {
    let mut rest = Fields(extra);
    while let (Some(id), Some(length)) = (rest.u16(0), rest.u16(2)) {
        let Some(body) = rest.0.get(4..4 + usize::from(length)) else { return };
        if id == 1 {
            let mut values = body.chunks_exact(8);
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                if let Some(value) = values.next().and_then(|value| Fields(value).u64(0)) {
                    *size = value;
                }
            }
            return;
        }
        rest = Fields(&rest.0[4 + usize::from(length)..]);
    }
}

impl Entry {
    /// The bytes of a small entry, which have the checksum that the archive states.
    pub(super) fn bytes(&self, source: &Source, name: &str, limit: u64, what: &str) -> Result<Vec<u8>> {
        let start = self.offset(source, name)?;
        let bytes = source.bytes(start, self.length, limit, what)?;
        if let Some(checksum) = self.checksum(name, start) {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&bytes);
            checksum.compare(source, hasher)?;
        }
        Ok(bytes)
    }

    /// The checksum of the entry, whose bytes begin at `start`.
    pub(super) fn checksum(&self, name: &str, start: u64) -> Option<Checksum> {
        Checksum::new(name, start, self.length, self.crc)
    }

    /// Offset of the entry's bytes in the file; they all lie inside it.
    pub(super) fn offset(&self, source: &Source, name: &str) -> Result<u64> {
        let header = source.bytes(self.local, 30, LIMIT, "the header of an entry")?;
        let fields = Fields(&header);
        let lengths = fields.u16(26).zip(fields.u16(28)).filter(|_| header.starts_with(LOCAL));
        let Some((name_length, extra)) = lengths else {
            return Err(source.fault(Some(self.local), "something else", format!("the header of {name:?}")));
        };
        if self.method != 0 {
            return Err(CheckpointError::Format {
                path: source.path().to_path_buf(),
                offset: Some(self.local),
                found: format!("{name:?}, which is compressed (method {})", self.method),
                expected: "stored entries, as torch.save writes them".into(),
                hint: "this archive was packed by another program: unpack it, or save the weights again with torch.save",
            });
        }
        let offset = self.local + 30 + u64::from(name_length) + u64::from(extra);
        match offset.checked_add(self.length).filter(|end| *end <= source.length()) {
            Some(_) => Ok(offset),
            None => Err(source.fault(
                Some(offset),
                format!("{name:?} of {} bytes", self.length),
                format!("an end within the {} bytes of the file", source.length()),
            )),
        }
    }
}

/// Little-endian numbers at places.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}
