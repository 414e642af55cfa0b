//! A zip archive of a few small files, stored as they are: the layout of PKWARE's APPNOTE, sections 4.3.7 to 4.3.16.

/// 1980-01-01, the first day that zip knows: the same files give the same bytes.
const DATE: u16 = 0x0021;
/// Version 2.0 of the format.
const VERSION: u16 = 20;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// A regular file that all may read, as Unix writes it.
const MODE: u32 = 0o100_644 << 16;

/// The archive.
///
/// # Errors
/// More or larger files than the format holds.
pub(super) fn archive<'a>(files: impl IntoIterator<Item = (String, &'a [u8])>) -> Result<Vec<u8>, String> {
    let large = |name: &str| format!("{name} is too large for a zip archive");
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (name, bytes) in files {
        let size = u32::try_from(bytes.len()).map_err(|_| large(&name))?;
        let at = u32::try_from(out.len()).map_err(|_| large(&name))?;
        let length = u16::try_from(name.len()).map_err(|_| large(&name))?;
        count = count.checked_add(1).ok_or_else(|| large(&name))?;
        let mut shared = Vec::new();
        short(&mut shared, &[VERSION, UTF8, 0, 0, DATE]);
        long(&mut shared, &[crc32(bytes), size, size]);
        short(&mut shared, &[length, 0]);
        long(&mut out, &[0x0403_4b50]);
        out.extend(&shared);
        out.extend(name.as_bytes());
        out.extend(bytes);
        long(&mut directory, &[0x0201_4b50]);
        // Made on Unix (3), so that the mode below counts.
        short(&mut directory, &[3 << 8 | VERSION]);
        directory.extend(&shared);
        short(&mut directory, &[0, 0, 0]);
        long(&mut directory, &[MODE, at]);
        directory.extend(name.as_bytes());
    }
    let (start, size) = (u32::try_from(out.len()), u32::try_from(directory.len()));
    let (Ok(start), Ok(size)) = (start, size) else { return Err(large("all of it")) };
    out.extend(&directory);
    long(&mut out, &[0x0605_4b50]);
    short(&mut out, &[0, 0, count, count]);
    long(&mut out, &[size, start]);
    short(&mut out, &[0]);
    Ok(out)
}

fn short(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

fn long(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

/// CRC-32 as zip, PNG and Ethernet have it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_everyone() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
