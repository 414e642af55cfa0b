//! What the pixels of a sample come to, whatever it is called.

use sha2::{Digest, Sha256};
use skysense_edges::{Pixels, SampleRow};

use crate::sums::Sum;

/// SHA-256 over modalities, shapes, pixels and validity. Names, places, dates and items do not count: the same pixels
/// teach the same, whichever catalog lists them once more.
pub(crate) fn content(row: &SampleRow) -> Sum {
    let mut hasher = Sha256::new();
    for (modality, series) in &row.series {
        hasher.update(modality.as_bytes());
        for side in series.shape {
            hasher.update((side as u64).to_le_bytes());
        }
        pixels(&series.pixels, &mut hasher);
        hasher.update(&series.valid);
    }
    hasher.finalize().into()
}

fn pixels(pixels: &Pixels, hasher: &mut Sha256) {
    // In pieces, so that no copy of an image is made.
    const PIECE: usize = 4096;
    let mut bytes = Vec::with_capacity(4 * PIECE);
    let mut update = |bytes: &mut Vec<u8>| {
        hasher.update(&bytes);
        bytes.clear();
    };
    match pixels {
        Pixels::U8(values) => hasher.update(values),
        Pixels::U16(values) => values.chunks(PIECE).for_each(|piece| {
            piece.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            update(&mut bytes);
        }),
        Pixels::I16(values) => values.chunks(PIECE).for_each(|piece| {
            piece.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            update(&mut bytes);
        }),
        Pixels::F32(values) => values.chunks(PIECE).for_each(|piece| {
            piece.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            update(&mut bytes);
        }),
    }
}
