//! SHA-256 of files and bytes, lower-case hexadecimal.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::ContractError;

/// SHA-256 of what comes piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Checksum(Sha256);

impl Checksum {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds numbers as little-endian bytes.
    pub fn floats(&mut self, values: &[f32]) {
        for piece in values.chunks(1 << 14) {
            self.add(&piece.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
    }

    /// The sum of all.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 of bytes.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file, read in pieces.
///
/// # Errors
/// [`ContractError::Read`] when the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, ContractError> {
    let read = |source| ContractError::Read { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(read)?;
    let mut sum = Checksum::default();
    let mut piece = vec![0_u8; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(read)? {
            0 => return Ok(sum.finish()),
            count => sum.add(&piece[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_its_bytes_have_the_known_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_bytes(b"abc"), known);
        assert_eq!(sha256_file(&path).unwrap(), known);
        let values: Vec<f32> = (0..40_000).map(|value| value as f32).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut sum = Checksum::default();
        sum.floats(&values[..1]);
        sum.floats(&values[1..]);
        assert_eq!(sum.finish(), sha256_bytes(&bytes));
    }
}
