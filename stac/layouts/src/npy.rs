//! Arrays of NumPy: version 1 to 3 of its format, in C order, of the types that data sets have.
//!
//! Source: the format as NumPy documents it (NEP 1): a magic word, version, length of the head, a Python literal with `descr`,
//! `fortran_order` and `shape`, then the values.

use std::fs;
use std::path::Path;

use crate::error::{Result, content, io};

/// An array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Reads an array with this number of axes.
pub(crate) fn read(path: &Path, axes: usize) -> Result<Array> {
    let bytes = fs::read(path).map_err(io(path))?;
    let fault = |expected: &str, found: String| content(path, expected, found);
    if bytes.len() < 12 || !bytes.starts_with(b"\x93NUMPY") {
        return Err(fault("an array of NumPy", format!("{} bytes that do not begin like one", bytes.len())));
    }
    let (length, start) = match bytes[6] {
        1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
        _ => (u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize, 12),
    };
    let head = bytes.get(start..start + length).map(String::from_utf8_lossy);
    let head = head.ok_or_else(|| fault("a whole head", format!("{} bytes", bytes.len())))?;
    let shape = numbers(&head).ok_or_else(|| fault("a shape in the head", head.to_string()))?;
    if head.contains("'fortran_order': True") || shape.len() != axes {
        return Err(fault(&format!("{axes} axes in C order"), head.to_string()));
    }
    let data = &bytes[start + length..];
    let count: usize = shape.iter().product();
    let values = of_type(&head, data)
        .ok_or_else(|| fault("integers of 8, 16, 32 or 64 bits, or floats of 16, 32 or 64", head.to_string()))?;
    if values.len() != count {
        return Err(fault(&format!("{count} values"), values.len().to_string()));
    }
    Ok(Array { shape, values })
}

fn numbers(head: &str) -> Option<Vec<usize>> {
    let inside = head.split_once("'shape':")?.1.split_once('(')?.1.split_once(')')?.0;
    inside.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
}

fn of_type(head: &str, data: &[u8]) -> Option<Vec<f32>> {
    let descr = head.split_once("'descr':")?.1.split('\'').nth(1)?;
    fn all<const N: usize>(data: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|bytes| one(*bytes)).collect()
    }
    Some(match descr {
        "|u1" => all(data, |[byte]| f32::from(byte)),
        "|i1" => all(data, |bytes| f32::from(i8::from_le_bytes(bytes))),
        "<i2" => all(data, |bytes| f32::from(i16::from_le_bytes(bytes))),
        "<u2" => all(data, |bytes| f32::from(u16::from_le_bytes(bytes))),
        "<i4" => all(data, |bytes| i32::from_le_bytes(bytes) as f32),
        "<i8" => all(data, |bytes| i64::from_le_bytes(bytes) as f32),
        "<f2" => all(data, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
        "<f4" => all(data, f32::from_le_bytes),
        "<f8" => all(data, |bytes| f64::from_le_bytes(bytes) as f32),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

    use super::*;

    #[test]
    fn arrays_are_read_and_what_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let write = |descr: &str, shape: &str, data: &[u8]| {
            let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((head.len() as u16).to_le_bytes());
            bytes.extend(head.as_bytes());
            bytes.extend(data);
            fs::write(&path, bytes).unwrap();
        };
        write("<i2", "(1, 3)", &[1, 0, 255, 255, 0, 1]);
        assert_eq!(read(&path, 2).unwrap(), Array { shape: vec![1, 3], values: vec![1.0, -1.0, 256.0] });
        write("<f2", "(5,)", &[0x00, 0xC9, 0x00, 0x38, 0x01, 0x00, 0x00, 0x7C, 0x00, 0x80]);
        assert_eq!(read(&path, 1).unwrap().values, [-10.0, 0.5, 2.0_f32.powi(-24), f32::INFINITY, -0.0]);
        write("<f4", "(1,)", &(-10.25_f32).to_le_bytes());
        assert_eq!(read(&path, 1).unwrap().values, [-10.25]);
        write("<i2", "(1, 3)", &[1, 0, 255, 255, 0, 1]);
        let told = |axes: usize| read(&path, axes).unwrap_err().to_string();
        assert!(told(3).contains("expected 3 axes"), "{}", told(3));
        write("<i2", "(2, 3)", &[0; 6]);
        assert!(told(2).contains("expected 6 values, found 3"));
        write("<c8", "(1,)", &[0; 8]);
        assert!(told(1).contains("floats"));
        fs::write(&path, "no array at all").unwrap();
        assert!(told(1).contains("do not begin like one"));
    }
}
