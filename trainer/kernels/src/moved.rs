//! Rows that change their places.

use rayon::prelude::*;

/// The place of a row of zeros.
pub const NOWHERE: u32 = u32::MAX;

/// Values of a part.
const PART: usize = 1 << 14;

/// For each group of `rows` rows of `width` values, the rows at these places in their order.
///
/// The way back, for gradients, is the same with the inverse of the places.
pub fn moved(values: &[f32], width: usize, rows: usize, places: &[u32]) -> Vec<f32> {
    assert!(rows > 0 && values.len().is_multiple_of(rows * width), "groups of {rows} rows of {width} values");
    let groups = values.len() / (rows * width);
    let mut given = vec![0.0; groups * places.len() * width];
    let together = (PART / width).max(1);
    given.par_chunks_mut(together * width).enumerate().for_each(|(part, given)| {
        for (at, given) in given.chunks_exact_mut(width).enumerate() {
            let (group, at) = ((part * together + at) / places.len(), (part * together + at) % places.len());
            if places[at] != NOWHERE {
                let from = (group * rows + places[at] as usize) * width;
                given.copy_from_slice(&values[from..from + width]);
            }
        }
    });
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_each_group_come_from_their_places() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let given = moved(&values, 2, 3, &[2, NOWHERE, 0, 1]);
        assert_eq!(given, [4.0, 5.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 0.0, 0.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(moved(&given, 2, 4, &[2, 3, 0]), values);
    }
}
