//! Writes `.pth` files as `torch.save` does, in both of its formats, tensor by tensor.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// A tensor to be: its key and its sides.
pub(crate) type Shape = (String, Vec<usize>);

/// Gives the values of the tensor at a place in the list.
pub(crate) type Values<'a> = &'a mut dyn FnMut(usize) -> Vec<f32>;

/// A pickle of protocol 2.
pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    pub(crate) fn code(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.code(b"X").code(&(text.len() as u32).to_le_bytes()).code(text.as_bytes())
    }

    pub(crate) fn int(&mut self, number: u64) -> &mut Self {
        self.code(b"\x8a\x09").code(&number.to_le_bytes()).code(b"\x00")
    }

    fn small(&mut self, number: u64) -> &mut Self {
        match i32::try_from(number) {
            Ok(number) => self.code(b"J").code(&number.to_le_bytes()),
            Err(_) => self.code(b"\x8a\x08").code(&number.to_le_bytes()),
        }
    }

    fn sides(&mut self, sides: &[usize]) -> &mut Self {
        self.code(b"(");
        for side in sides {
            self.small(*side as u64);
        }
        self.code(b"t")
    }

    /// A tensor over a storage of its own.
    pub(crate) fn tensor(
        &mut self,
        storage: &str,
        kind: &str,
        shape: &[usize],
        strides: &[usize],
        count: u64,
    ) -> &mut Self {
        self.code(b"ctorch._utils\n_rebuild_tensor_v2\n((").text("storage");
        self.code(format!("ctorch\n{kind}\n").as_bytes()).text(storage).text("cpu").small(count);
        self.code(b"tQ").small(0).sides(shape).sides(strides);
        self.code(b"\x89ccollections\nOrderedDict\n)RtR")
    }

    pub(crate) fn end(&mut self) -> Vec<u8> {
        self.code(b".");
        std::mem::take(&mut self.0)
    }
}

/// Strides of values that lie row by row.
pub(crate) fn rows(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// The pickle of a dict of tensors, in containers from the outside in.
pub(crate) fn state(containers: &[&str], tensors: &[Shape]) -> Vec<u8> {
    let mut pickle = Pickle::new();
    for container in containers {
        // Beside the weights stands what training leaves there.
        pickle.code(b"}(").text("epoch").small(3).text("lr").code(b"G\x3f\x50\x62\x4d\xd2\xf1\xa9\xfc").text(container);
    }
    pickle.code(b"ccollections\nOrderedDict\n)R(");
    for (index, (key, shape)) in tensors.iter().enumerate() {
        let count: usize = shape.iter().product();
        pickle.text(key).tensor(&index.to_string(), "FloatStorage", shape, &rows(shape), count as u64);
    }
    // What torch.save keeps as an attribute of the dict.
    pickle.code(b"u}").text("_metadata").code(b"ccollections\nOrderedDict\n)Rsb");
    for _ in containers {
        pickle.code(b"u");
    }
    pickle.end()
}

/// A file of the zip format.
pub(crate) fn write(path: &Path, containers: &[&str], tensors: &[Shape], values: Values<'_>) {
    let mut zip = Zip::create(path);
    zip.entry("archive/data.pkl", &state(containers, tensors));
    zip.entry("archive/byteorder", b"little");
    for index in 0..tensors.len() {
        let bytes: Vec<u8> = values(index).iter().flat_map(|value| value.to_le_bytes()).collect();
        zip.entry(&format!("archive/data/{index}"), &bytes);
    }
    zip.entry("archive/version", b"3\n");
    zip.finish();
}

/// A file of the format before version 1.6.
pub(crate) fn write_legacy(path: &Path, containers: &[&str], tensors: &[Shape], values: Values<'_>) {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(Pickle::new().code(b"}").text("little_endian").code(b"\x88s").end());
    // Its persistent ids have a sixth part.
    let state = state(containers, tensors);
    bytes.extend(replace(&state, b"tQ", b"NtQ"));
    let mut keys = Pickle::new();
    keys.code(b"](");
    for index in 0..tensors.len() {
        keys.text(&index.to_string());
    }
    bytes.extend(keys.code(b"e").end());
    for index in 0..tensors.len() {
        let values = values(index);
        bytes.extend((values.len() as u64).to_le_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    std::fs::write(path, bytes).expect("a writable folder");
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// A zip archive of stored entries, with 64-bit records where they are needed and always at the end, as PyTorch does.
pub(crate) struct Zip {
    file: BufWriter<File>,
    at: u64,
    directory: Vec<u8>,
    count: u64,
}

impl Zip {
    pub(crate) fn create(path: &Path) -> Self {
        let file = BufWriter::new(File::create(path).expect("a writable folder"));
        Self { file, at: 0, directory: Vec::new(), count: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).expect("room on the disk");
        self.at += bytes.len() as u64;
    }

    pub(crate) fn entry(&mut self, name: &str, bytes: &[u8]) {
        let (start, length) = (self.at, bytes.len() as u64);
        let crc = crc32(bytes);
        let short = u32::try_from(length).expect("entries below 4 GB");
        // Values begin at multiples of 64 bytes, by an extra field.
        let header = 30 + name.len() as u64 + 4;
        let blank = ((start + header).next_multiple_of(64) - start - header) as usize;
        self.put(b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        self.put(&[crc, short, short].map(u32::to_le_bytes).concat());
        self.put(&[name.len() as u16, 4 + blank as u16].map(u16::to_le_bytes).concat());
        self.put(name.as_bytes());
        self.put(b"FB");
        self.put(&(blank as u16).to_le_bytes());
        self.put(&vec![b'Z'; blank]);
        self.put(bytes);
        let far = start >= u64::from(u32::MAX);
        let extra: Vec<u8> = if far { [&[1, 0, 8, 0], &start.to_le_bytes()[..]].concat() } else { Vec::new() };
        let near = if far { u32::MAX } else { start as u32 };
        self.directory.extend(b"PK\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        self.directory.extend([crc, short, short].map(u32::to_le_bytes).concat());
        self.directory.extend([name.len() as u16, extra.len() as u16, 0, 0, 0].map(u16::to_le_bytes).concat());
        self.directory.extend([0, near].map(u32::to_le_bytes).concat());
        self.directory.extend(name.as_bytes());
        self.directory.extend(extra);
        self.count += 1;
    }

    pub(crate) fn finish(mut self) {
        let (start, directory) = (self.at, std::mem::take(&mut self.directory));
        self.put(&directory);
        let end = self.at;
        self.put(b"PK\x06\x06");
        self.put(&44_u64.to_le_bytes());
        self.put(&[0; 12]);
        self.put(&[self.count, self.count, directory.len() as u64, start].map(u64::to_le_bytes).concat());
        self.put(b"PK\x06\x07\x00\x00\x00\x00");
        self.put(&end.to_le_bytes());
        self.put(&1_u32.to_le_bytes());
        self.put(b"PK\x05\x06");
        self.put(&[0xff; 16]);
        self.put(&[0; 2]);
        self.file.flush().expect("room on the disk");
        let _end = self.file.get_mut().seek(SeekFrom::End(0)).expect("a file");
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256)
        .map(|byte| (0..8).fold(byte, |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }))
        .collect();
    !bytes.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ table[(crc as u8 ^ byte) as usize])
}
