//! A look at a library's file before the system loads it.
//!
//! The loader of Linux maps what an ELF file says it holds without asking how long the file is: a library that was
//! cut off, as by a download that broke, ends the whole process with SIGBUS.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Why a file cannot be loaded, if that can be seen from outside.
///
/// # Errors
/// It cannot be read, or it ends before the parts that it lists.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    match end_of_parts(&mut file) {
        Ok(Some(end)) if end > length => {
            Err(format!("the file is cut off: it has {length} bytes, and parts of it up to byte {end}"))
        }
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(format!("the file is cut off after {length} bytes")),
        Err(e) => Err(e.to_string()),
    }
}

/// The end of the last part that is loaded; `None` for what is no 64-bit little-endian ELF file, which the loader
/// itself refuses where it has to.
fn end_of_parts(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    const LOAD: u32 = 1;
    let mut head = [0; 64];
    let start = file.by_ref().take(6).read(&mut head)?;
    if head[..start] != *b"\x7fELF\x02\x01" {
        return Ok(None);
    }
    file.read_exact(&mut head[6..])?;
    let (table, size, count) = (long(&head, 32), short(&head, 54), short(&head, 56));
    let mut end = 0;
    for part in 0..u64::from(count) {
        let mut entry = [0; 56];
        file.seek(SeekFrom::Start(table.saturating_add(part * u64::from(size))))?;
        file.read_exact(&mut entry)?;
        if word(&entry, 0) == LOAD {
            end = end.max(long(&entry, 8).saturating_add(long(&entry, 32)));
        }
    }
    Ok(Some(end))
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&from[at..at + N]);
    number
}

fn short(from: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(from, at))
}

fn word(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(from, at))
}

fn long(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(from, at))
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn whole_files_pass_and_cut_ones_say_where_they_end() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let end = end_of_parts(&mut io::Cursor::new(&whole)).unwrap().expect("a test is an ELF file");
        assert!(end > 4096 && end <= whole.len() as u64, "{end} of {}", whole.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut");
        let cut_at = |length: u64| {
            std::fs::write(&path, &whole[..length as usize]).unwrap();
            check(&path)
        };
        assert_eq!(cut_at(end), Ok(()));
        assert!(cut_at(end - 1).unwrap_err().contains(&format!("up to byte {end}")));
        assert_eq!(cut_at(100).unwrap_err(), "the file is cut off after 100 bytes");
        assert_eq!(cut_at(10).unwrap_err(), "the file is cut off after 10 bytes");
        // What is no ELF file is the loader's to refuse.
        assert_eq!(cut_at(0), Ok(()));
        assert!(check(&folder.path().join("none")).is_err());
    }
}
