//! Bytes counted and summed on their way into a file.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Sum = [u8; 32];

/// Lower-case hexadecimal.
pub(crate) fn hex(sum: &[u8]) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of bytes.
pub(crate) fn sum(bytes: &[u8]) -> Sum {
    Sha256::digest(bytes).into()
}

/// Passes bytes on, and sums all of them and those since the last mark.
pub(crate) struct Summed<W> {
    inner: W,
    all: Sha256,
    block: Sha256,
    position: u64,
}

impl<W> Summed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, all: Sha256::new(), block: Sha256::new(), position: 0 }
    }

    /// Bytes so far; the block begins anew here.
    pub(crate) fn mark(&mut self) -> u64 {
        self.block = Sha256::new();
        self.position
    }

    /// Bytes so far, and the sum of those since the mark.
    pub(crate) fn block(&mut self) -> (u64, Sum) {
        (self.position, std::mem::take(&mut self.block).finalize().into())
    }

    /// What the bytes went into, how many there were, and the sum of all of them.
    pub(crate) fn finish(self) -> (W, u64, Sum) {
        (self.inner, self.position, self.all.finalize().into())
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.all.update(&bytes[..count]);
        self.block.update(&bytes[..count]);
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_the_whole_are_summed_apart() {
        let mut summed = Summed::new(Vec::new());
        summed.write_all(b"abc").unwrap();
        assert_eq!(summed.mark(), 3);
        summed.write_all(b"de").unwrap();
        assert_eq!(summed.block(), (5, sum(b"de")));
        assert_eq!(summed.finish(), (b"abcde".to_vec(), 5, sum(b"abcde")));
    }
}
