//! Numbers as bytes: each row of them as narrow as it may be without losing a bit, for most pixels are small whole numbers
//! that were widened.

/// What the numbers of a row are written as.
#[derive(Clone, Copy)]
enum Width {
    U8 = 1,
    I16 = 2,
    F32 = 4,
}

/// A record that is written.
#[derive(Debug, Default)]
pub(crate) struct Record(Vec<u8>);

impl Record {
    /// Adds a row of numbers.
    pub(crate) fn floats(&mut self, values: &[f32]) {
        if same(values, |value| f32::from(value as u8)) {
            self.head(Width::U8, values.len());
            self.0.extend(values.iter().map(|value| *value as u8));
        } else if same(values, |value| f32::from(value as i16)) {
            self.head(Width::I16, values.len());
            self.0.extend(values.iter().flat_map(|value| (*value as i16).to_le_bytes()));
        } else {
            self.head(Width::F32, values.len());
            self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }

    /// Adds a row of bytes.
    pub(crate) fn bytes(&mut self, values: &[u8]) {
        self.head(Width::U8, values.len());
        self.0.extend_from_slice(values);
    }

    fn head(&mut self, width: Width, count: usize) {
        self.0.push(width as u8);
        self.0.extend((count as u64).to_le_bytes());
    }

    /// All that was added.
    pub(crate) fn written(&self) -> &[u8] {
        &self.0
    }

    /// Begins anew, in the same memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Whether numbers come back as they are. Bits are compared: what is not a number, and the zero below zero, are told apart.
fn same(values: &[f32], back: impl Fn(f32) -> f32) -> bool {
    values.iter().all(|value| back(*value).to_bits() == value.to_bits())
}

/// A record that is read, row by row in the order in which they were written; `None` where it is something else.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(record: &'a [u8]) -> Self {
        Self(record)
    }

    /// The next row, of numbers.
    pub(crate) fn floats(&mut self) -> Option<Vec<f32>> {
        let (width, row) = self.row()?;
        Some(match width {
            Width::U8 => row.iter().map(|value| f32::from(*value)).collect(),
            Width::I16 => row.as_chunks().0.iter().map(|value| f32::from(i16::from_le_bytes(*value))).collect(),
            Width::F32 => row.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect(),
        })
    }

    /// The next row, of bytes.
    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.row()? {
            (Width::U8, row) => Some(row.to_vec()),
            _ => None,
        }
    }

    fn row(&mut self) -> Option<(Width, &'a [u8])> {
        let (width, rest) = self.0.split_first()?;
        let width = match width {
            1 => Width::U8,
            2 => Width::I16,
            4 => Width::F32,
            _ => return None,
        };
        let (count, rest) = rest.split_first_chunk()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (row, rest) = rest.split_at_checked(count.checked_mul(width as usize)?)?;
        self.0 = rest;
        Some((width, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_narrow_where_they_may_be_and_come_back_with_every_bit() {
        let rows: [(&[f32], usize); 7] = [
            (&[0.0, 1.0, 255.0], 1),
            (&[0.0, 256.0, -32768.0], 2),
            (&[32768.0], 4),
            (&[0.5, 3.0], 4),
            (&[-0.0, 3.0], 4),
            (&[f32::from_bits(0x7fc0_1234), f32::NEG_INFINITY], 4),
            (&[], 1),
        ];
        let mut record = Record::default();
        for (row, width) in rows {
            let before = record.written().len();
            record.floats(row);
            assert_eq!(record.written().len() - before, 9 + width * row.len(), "{row:?}");
        }
        record.bytes(&[9, 8]);
        let mut fields = Fields::new(record.written());
        for (row, _) in rows {
            let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&fields.floats().unwrap()), bits(row));
        }
        assert_eq!(fields.bytes().unwrap(), [9, 8]);
        assert_eq!(fields.floats(), None);
    }

    #[test]
    fn another_record_is_none() {
        let mut record = Record::default();
        record.floats(&[0.5; 3]);
        let bytes = record.written();
        assert_eq!(Fields::new(bytes).bytes(), None, "numbers are no bytes");
        for cut in 0..bytes.len() {
            assert_eq!(Fields::new(&bytes[..cut]).floats(), None);
        }
        let mut other = bytes.to_vec();
        other[0] = 3;
        assert_eq!(Fields::new(&other).floats(), None, "a width that is none");
        other[..9].copy_from_slice(&[4, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(Fields::new(&other).floats(), None, "more than there is");
    }
}
