//! TFRecord framing: length, checksum of the length, data, checksum of the data; all little-endian.

use super::crc32c::masked;

/// A record as it lies in a file.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The records of a file, each with both checksums looked at.
    pub(in crate::record) fn unframed(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(12);
            let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            assert_eq!(u32::from_le_bytes(head[8..].try_into().unwrap()), masked(&head[..8]));
            let (data, rest) = rest.split_at(length);
            let (check, rest) = rest.split_at(4);
            assert_eq!(u32::from_le_bytes(check.try_into().unwrap()), masked(data));
            records.push(data.to_vec());
            bytes = rest;
        }
        records
    }

    /// The first record of every event file of TensorFlow: its version, at a wall time of 0 left out by protobuf.
    #[test]
    fn a_record_as_tensorflow_writes_it() {
        let record = framed(b"abc");
        assert_eq!(record[..8], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((&record[12..15], record.len()), (&b"abc"[..], 19));
        assert_eq!(unframed(&[record, framed(b"")].concat()), [b"abc".to_vec(), Vec::new()]);
    }
}
