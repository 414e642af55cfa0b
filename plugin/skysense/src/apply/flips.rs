//! Chips seen as they lie and flipped, and the mean of what the model says: less of what depends on direction.

use skysense_abi::NodeError;
use skysense_contract::Modality;
use skysense_infer::{ChipInput, InferError, Maps, Pixels, Series};

use crate::errors;

/// Which axes are turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flip {
    across: bool,
    down: bool,
}

const FLIPS: [Flip; 3] =
    [Flip { across: true, down: false }, Flip { across: false, down: true }, Flip { across: true, down: true }];

impl Flip {
    /// Each plane of a stack of squares, flipped; flipped twice it is as before.
    fn planes<T: Copy>(self, values: &[T], side: usize) -> Vec<T> {
        let mut flipped = Vec::with_capacity(values.len());
        for plane in values.chunks_exact(side * side) {
            for y in 0..side {
                let row = if self.down { side - 1 - y } else { y };
                let line = &plane[row * side..][..side];
                match self.across {
                    true => flipped.extend(line.iter().rev()),
                    false => flipped.extend(line),
                }
            }
        }
        flipped
    }
}

/// A flipped series with its own pixels.
struct Flipped {
    modality: Modality,
    pixels: Values,
    valid: Option<Vec<u8>>,
    datetimes: Vec<i64>,
}

enum Values {
    U8(Vec<u8>),
    I16(Vec<i16>),
    F32(Vec<f32>),
}

fn flipped(chip: &ChipInput<'_>, flip: Flip, side: &dyn Fn(Modality) -> usize) -> Vec<Flipped> {
    let one = |modality: Modality| {
        let series = chip.series(modality)?;
        let side = side(modality);
        let pixels = match series.pixels {
            Pixels::U8(values) => Values::U8(flip.planes(values, side)),
            Pixels::I16(values) => Values::I16(flip.planes(values, side)),
            Pixels::F32(values) => Values::F32(flip.planes(values, side)),
        };
        let valid = series.valid.map(|valid| flip.planes(valid, side));
        Some(Flipped { modality, pixels, valid, datetimes: series.datetimes.to_vec() })
    };
    Modality::ALL.into_iter().filter_map(one).collect()
}

fn input<'a>(flipped: &'a [Flipped], region: Option<i64>) -> ChipInput<'a> {
    let mut chip = ChipInput { region, ..ChipInput::default() };
    for Flipped { modality, pixels, valid, datetimes } in flipped {
        let pixels = match pixels {
            Values::U8(values) => Pixels::U8(values),
            Values::I16(values) => Pixels::I16(values),
            Values::F32(values) => Pixels::F32(values),
        };
        let series = Series { pixels, valid: valid.as_deref(), datetimes };
        chip = match modality {
            Modality::Hr => chip.with_hr(series),
            Modality::S2 => chip.with_s2(series),
            Modality::S1 => chip.with_s1(series),
        };
    }
    chip
}

/// The mean over a batch of chips and its three flips. `chips` are lists that are flipped alike: of one time, or of two;
/// `side` gives the pixels
/// along a chip of a modality, and `say` is the model.
///
/// # Errors
/// What the model refuses.
pub(super) fn mean(
    chips: &[&[ChipInput<'_>]],
    side: &dyn Fn(Modality) -> usize,
    say: impl Fn(&[Vec<ChipInput<'_>>]) -> Result<Maps, InferError>,
) -> Result<Maps, NodeError> {
    let all: Vec<Vec<ChipInput<'_>>> = chips.iter().map(|chips| chips.to_vec()).collect();
    let mut maps = say(&all).map_err(|error| errors::infer(&error))?;
    for flip in FLIPS {
        let turned: Vec<Vec<Vec<Flipped>>> =
            chips.iter().map(|chips| chips.iter().map(|chip| flipped(chip, flip, side)).collect()).collect();
        let lists: Vec<Vec<ChipInput<'_>>> = turned
            .iter()
            .zip(chips)
            .map(|(turned, chips)| turned.iter().zip(*chips).map(|(f, chip)| input(f, chip.region)).collect())
            .collect();
        let found = say(&lists).map_err(|error| errors::infer(&error))?;
        let back = flip.planes(&found.values, found.size);
        maps.values.iter_mut().zip(back).for_each(|(sum, value)| *sum += value);
    }
    let parts = (FLIPS.len() + 1) as f32;
    maps.values.iter_mut().for_each(|value| *value /= parts);
    Ok(maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_differ_and_undo_themselves() {
        let planes = [1, 2, 3, 4, 5, 6, 7, 8];
        let all = FLIPS.map(|flip| flip.planes(&planes, 2));
        assert_eq!(all, [vec![2, 1, 4, 3, 6, 5, 8, 7], vec![3, 4, 1, 2, 7, 8, 5, 6], vec![4, 3, 2, 1, 8, 7, 6, 5]]);
        for (flip, flipped) in FLIPS.into_iter().zip(all) {
            assert_eq!(flip.planes(&flipped, 2), planes);
        }
    }

    #[test]
    fn a_model_that_looks_to_one_side_is_evened_out() {
        // Says of each pixel what lies left of it in its row: the mean over flips is the same on both sides.
        let pixels: Vec<i16> = vec![10, 20, 30, 40];
        let series = Series { pixels: Pixels::I16(&pixels), valid: None, datetimes: &[0] };
        let chip = [ChipInput::default().with_s2(series)];
        let say = |lists: &[Vec<ChipInput<'_>>]| {
            let Some(Pixels::I16(values)) = lists[0][0].s2.map(|series| series.pixels) else { panic!("pixels") };
            let values = vec![0.0, f32::from(values[0]), 0.0, f32::from(values[2])];
            Ok(Maps { chips: 1, channels: 1, size: 2, values, valid: vec![1; 4] })
        };
        let maps = mean(&[&chip], &|_| 2, say).unwrap();
        assert_eq!(maps.values, [10.0, 5.0, 20.0, 15.0]);
    }
}
