//! A Parquet file as small as the format allows: one row group of plain, uncompressed columns without nulls.
//!
//! The library for it would bring the whole of Thrift along for a table of some outlines. Source: the format's
//! `parquet.thrift` (2.10) and Thrift's compact protocol.

/// Values of a column.
#[derive(Debug)]
pub(super) enum Column {
    Int(Vec<i32>),
    Double(Vec<f64>),
    Text(Vec<String>),
    Bytes(Vec<Vec<u8>>),
}

/// First and last bytes.
const MAGIC: &[u8; 4] = b"PAR1";

// Numbers of the format's enumerations.
const INT32: i64 = 1;
const DOUBLE: i64 = 5;
const BYTE_ARRAY: i64 = 6;
const REQUIRED: i64 = 0;
const UTF8: i64 = 0;
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const DATA_PAGE: i64 = 0;
const UNCOMPRESSED: i64 = 0;

// Types of the compact protocol.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }

    fn kind(&self) -> i64 {
        match self {
            Self::Int(_) => INT32,
            Self::Double(_) => DOUBLE,
            Self::Text(_) | Self::Bytes(_) => BYTE_ARRAY,
        }
    }

    fn plain(&self) -> Vec<u8> {
        fn lengths<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
            values.flat_map(|value| [&(value.len() as u32).to_le_bytes()[..], value].concat()).collect()
        }
        match self {
            Self::Int(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Double(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Text(values) => lengths(values.iter().map(String::as_bytes)),
            Self::Bytes(values) => lengths(values.iter().map(Vec::as_slice)),
        }
    }
}

/// A struct of the compact protocol.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    last: i16,
}

impl Thrift {
    fn field(&mut self, id: i16, kind: u8) {
        // Ids rise by less than 16 in all structs that are written here.
        self.bytes.push(((id - self.last) as u8) << 4 | kind);
        self.last = id;
    }

    fn int(mut self, id: i16, value: i64, kind: u8) -> Self {
        self.field(id, kind);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    fn text(mut self, id: i16, value: &str) -> Self {
        self.field(id, BINARY);
        text(&mut self.bytes, value);
        self
    }

    fn list(mut self, id: i16, kind: u8, items: &[Vec<u8>]) -> Self {
        self.field(id, LIST);
        match items.len() {
            count @ 0..15 => self.bytes.push((count as u8) << 4 | kind),
            count => {
                self.bytes.push(0xf0 | kind);
                varint(&mut self.bytes, count as u64);
            }
        }
        items.iter().for_each(|item| self.bytes.extend_from_slice(item));
        self
    }

    fn structure(mut self, id: i16, inner: Vec<u8>) -> Self {
        self.field(id, STRUCT);
        self.bytes.extend(inner);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value.as_bytes());
}

/// The bytes of a file of columns of one length, with texts about it.
pub(super) fn file(columns: &[(&str, Column)], about: &[(&str, &str)]) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let mut bytes = MAGIC.to_vec();
    let mut chunks = Vec::new();
    for (name, column) in columns.iter().filter(|_| rows > 0) {
        let (start, data) = (bytes.len() as i64, column.plain());
        let page =
            Thrift::default().int(1, rows as i64, I32).int(2, PLAIN, I32).int(3, RLE, I32).int(4, RLE, I32).end();
        let size = data.len() as i64;
        let header =
            Thrift::default().int(1, DATA_PAGE, I32).int(2, size, I32).int(3, size, I32).structure(5, page).end();
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&data);
        let (mut path, mut encoding) = (Vec::new(), Vec::new());
        text(&mut path, name);
        varint(&mut encoding, zigzag(PLAIN));
        let whole = bytes.len() as i64 - start;
        let meta = Thrift::default()
            .int(1, column.kind(), I32)
            .list(2, I32, &[encoding])
            .list(3, BINARY, &[path])
            .int(4, UNCOMPRESSED, I32)
            .int(5, rows as i64, I64)
            .int(6, whole, I64)
            .int(7, whole, I64)
            .int(9, start, I64)
            .end();
        chunks.push((whole, Thrift::default().int(2, start, I64).structure(3, meta).end()));
    }
    let mut schema = vec![Thrift::default().text(4, "schema").int(5, columns.len() as i64, I32).end()];
    schema.extend(columns.iter().map(|(name, column)| {
        let element = Thrift::default().int(1, column.kind(), I32).int(3, REQUIRED, I32).text(4, name);
        if matches!(column, Column::Text(_)) { element.int(6, UTF8, I32).end() } else { element.end() }
    }));
    let mut groups = Vec::new();
    if rows > 0 {
        let size: i64 = chunks.iter().map(|(size, _)| size).sum();
        let chunks: Vec<Vec<u8>> = chunks.into_iter().map(|(_, chunk)| chunk).collect();
        groups.push(Thrift::default().list(1, STRUCT, &chunks).int(2, size, I64).int(3, rows as i64, I64).end());
    }
    let about: Vec<Vec<u8>> =
        about.iter().map(|(key, value)| Thrift::default().text(1, key).text(2, value).end()).collect();
    let footer = Thrift::default()
        .int(1, 1, I32)
        .list(2, STRUCT, &schema)
        .int(3, rows as i64, I64)
        .list(4, STRUCT, &groups)
        .list(5, STRUCT, &about)
        .text(6, "skysense")
        .end();
    bytes.extend_from_slice(&footer);
    bytes.extend_from_slice(&(footer.len() as u32).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_the_format_says() {
        let columns = [
            ("a", Column::Int(vec![1, -2])),
            ("b", Column::Double(vec![0.5, 2.0])),
            ("c", Column::Text(vec!["x".into(), "yz".into()])),
            ("d", Column::Bytes(vec![vec![0, 255], vec![]])),
        ];
        let bytes = file(&columns, &[("key", "value")]);
        assert!(bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC));
        // The first page: its header says 8 bytes of 2 plain values, which follow.
        let header = [0x15, 0, 0x15, 16, 0x15, 16, 0x2c, 0x15, 4, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        assert_eq!(bytes[4..4 + header.len()], header);
        assert_eq!(bytes[4 + header.len()..][..8], [1, 0, 0, 0, 254, 255, 255, 255]);
        let end = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
        let footer = &bytes[end - length..end];
        // Version 1, then five elements of the schema, of which the first names itself and counts four children.
        assert_eq!(footer[..13], [0x15, 2, 0x19, 0x5c, 0x48, 6, b's', b'c', b'h', b'e', b'm', b'a', 0x15]);
        assert_eq!(footer[13..15], [8, 0]);
        assert_eq!(footer.last(), Some(&0));
        let has = |part: &[u8]| footer.windows(part.len()).any(|window| window == part);
        assert!(has(b"\x18\x03key\x18\x05value\x00") && has(b"\x18\x08skysense\x00"));
        // Lists of 15 or more have their length apart; large numbers take several bytes.
        let mut many = Vec::new();
        varint(&mut many, zigzag(-65));
        assert_eq!(many, [0x81, 1]);
        assert_eq!(Thrift::default().list(1, I32, &vec![vec![0]; 20]).bytes[..3], [0x19, 0xf5, 20]);
        // Nothing is a file, too: a schema without a group of rows.
        let empty = file(&[("a", Column::Int(Vec::new()))], &[]);
        assert!(empty.len() < 60 && empty.ends_with(MAGIC));
    }
}
