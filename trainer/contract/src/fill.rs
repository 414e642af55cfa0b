//! Filling invalid pixels, the one place where that is decided, for training and inference alike.
//!
//! An invalid pixel takes the values of the same pixel on the nearest date where it is valid (the earlier one
//! of two equally near); a pixel that is valid on no date takes, band by band, the median of the chip's valid
//! pixels over all dates (the lower one of two middle values, so that integers stay integers). Absent data is
//! never zeros in normalised space: a model would read those as the mean scene, and of the wrong season.
//! The validity mask itself is not changed; it goes on to loss and output.

use crate::Value;

/// Extent of a pixel series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Count of dates.
    pub time: usize,
    /// Count of bands.
    pub band: usize,
    /// Pixels of one band, height × width.
    pub area: usize,
}

/// Fills the invalid pixels of `pixels` `[time, band, area]`; `valid` is `[time, area]`, 0 where invalid, and
/// `instants` `[time]` in any one unit. Pixels stay as they are where no pixel of the chip is valid.
///
/// # Panics
/// When a slice has another length than `layout` says.
pub fn fill<T: Value>(pixels: &mut [T], valid: &[u8], instants: &[i64], layout: Layout) {
    let Layout { time, band, area } = layout;
    assert_eq!(pixels.len(), time * band * area, "pixels are [time, band, area]");
    assert_eq!(valid.len(), time * area, "validity is [time, area]");
    assert_eq!(instants.len(), time, "one instant a date");
    let mut medians: Option<Vec<Option<T>>> = None;
    for place in 0..area {
        for date in (0..time).filter(|date| valid[date * area + place] == 0) {
            match nearest(valid, instants, date, place, area) {
                Some(source) => {
                    for b in 0..band {
                        pixels[(date * band + b) * area + place] = pixels[(source * band + b) * area + place];
                    }
                }
                None => {
                    let medians = medians.get_or_insert_with(|| band_medians(pixels, valid, layout));
                    for (b, median) in medians.iter().enumerate() {
                        if let Some(value) = median {
                            pixels[(date * band + b) * area + place] = *value;
                        }
                    }
                }
            }
        }
    }
}

/// The valid date nearest to `date`; of two equally near the earlier one.
fn nearest(valid: &[u8], instants: &[i64], date: usize, place: usize, area: usize) -> Option<usize> {
    (0..instants.len())
        .filter(|other| valid[other * area + place] != 0)
        .min_by_key(|other| (instants[*other].abs_diff(instants[date]), instants[*other], *other))
}

/// Median of the valid pixels of each band over all dates. Only valid pixels are read, so it does not matter
/// that others may be filled already.
fn band_medians<T: Value>(pixels: &[T], valid: &[u8], layout: Layout) -> Vec<Option<T>> {
    let Layout { time, band, area } = layout;
    let of_band = |b: usize| {
        let mut values: Vec<T> = (0..time)
            .flat_map(|date| (0..area).map(move |place| (date, place)))
            .filter(|(date, place)| valid[date * area + place] != 0)
            .map(|(date, place)| pixels[(date * band + b) * area + place])
            .collect();
        let middle = values.len().checked_sub(1)? / 2;
        Some(*values.select_nth_unstable_by(middle, |a, b| a.order(b)).1)
    };
    (0..band).map(of_band).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_valid_date_wins_and_the_earlier_of_two() {
        // Three dates, two bands, one pixel; the middle one is invalid.
        let layout = Layout { time: 3, band: 2, area: 1 };
        let mut pixels = [1_i16, 2, -9, -9, 5, 6];
        fill(&mut pixels, &[1, 0, 1], &[0, 10, 20], layout);
        assert_eq!(pixels, [1, 2, 1, 2, 5, 6]);
        let mut pixels = [1_i16, 2, -9, -9, 5, 6];
        fill(&mut pixels, &[1, 0, 1], &[0, 11, 20], layout);
        assert_eq!(pixels, [1, 2, 5, 6, 5, 6]);
    }

    #[test]
    fn a_pixel_without_any_date_takes_the_band_median() {
        let layout = Layout { time: 1, band: 2, area: 5 };
        let mut pixels = [1.0_f32, 2.0, 30.0, 4.0, f32::NAN, 10.0, 20.0, 30.0, 40.0, f32::NAN];
        fill(&mut pixels, &[1, 1, 1, 1, 0], &[0], layout);
        assert_eq!((pixels[4], pixels[9]), (2.0, 20.0));
    }

    #[test]
    fn valid_pixels_and_chips_without_any_stay() {
        let layout = Layout { time: 2, band: 1, area: 1 };
        let mut pixels = [7_u8, 9];
        fill(&mut pixels, &[1, 1], &[0, 1], layout);
        assert_eq!(pixels, [7, 9]);
        fill(&mut pixels, &[0, 0], &[0, 1], layout);
        assert_eq!(pixels, [7, 9]);
    }
}
