//! What differs between two views of a place: where they lie, and the light of high-resolution images.
//!
//! Views are cut at the resolution of the place, never resampled: the size of a pixel on the ground is part of what a
//! model should know. Light is varied where a camera varies it. Reflectance and backscatter are measured quantities with
//! units; a Sentinel-2 or Sentinel-1 image with another contrast is one of another place.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Where views lie. All values are ours: the paper tells none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crops {
    /// Side of a view in pixels of the 10 m grid, which is the chip size of the model; `None` for the side of the places.
    pub size: Option<usize>,
    /// Least share of a side that two views of a place have in common, more than 0 to 1.
    pub overlap: f64,
    /// Pixels of each image that the loss of pixels looks at, drawn anew for each view; `None` for all. The paper's sum is
    /// over all.
    pub pixels: Option<usize>,
    /// Small views beside the two, which the student alone sees (the multi-crop of SwAV and DINO).
    pub locals: usize,
    /// Their side in pixels of the 10 m grid.
    pub local_size: usize,
}

impl Default for Crops {
    fn default() -> Self {
        Self { size: None, overlap: 0.5, pixels: None, locals: 0, local_size: 8 }
    }
}

/// Small views, at most.
const MOST_LOCALS: usize = 64;

impl Crops {
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        if !(self.overlap > 0.0 && self.overlap <= 1.0) {
            return fault("overlap", self.overlap.to_string(), "more than 0 to 1");
        }
        if self.size == Some(0) || self.pixels == Some(0) || self.local_size == 0 {
            return fault("crops", format!("{self:?}"), "sizes and pixels of 1 or more");
        }
        if self.locals > MOST_LOCALS {
            return fault("local_size", self.locals.to_string(), "no more than 64 small views");
        }
        Ok(())
    }

    /// Upper left corners `[x, y]` of two views of side `size` in a place of side `of`.
    pub(super) fn globals(&self, of: usize, size: usize, rng: &mut ChaCha8Rng) -> [[usize; 2]; 2] {
        let apart = ((1.0 - self.overlap) * size as f64).floor() as usize;
        let mut along = || {
            let first = rng.random_range(0..=of - size);
            let (least, most) = (first.saturating_sub(apart), (first + apart).min(of - size));
            [first, rng.random_range(least..=most)]
        };
        let ([x, other_x], [y, other_y]) = (along(), along());
        [[x, y], [other_x, other_y]]
    }

    /// Upper left corner of a view of side `size` inside of one of side `of`.
    pub(super) fn local([x, y]: [usize; 2], of: usize, size: usize, rng: &mut ChaCha8Rng) -> [usize; 2] {
        [x + rng.random_range(0..=of - size), y + rng.random_range(0..=of - size)]
    }
}

/// What is varied in the light of high-resolution images. The paper names blur and solarisation; chances and strengths
/// are DINO's where it has them. DINO's shift of colours is left out, since bands may be more than three.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Photometric {
    /// Largest change of brightness and of contrast, as a share. DINO: 0.4.
    pub brightness: f64,
    /// Chance that brightness and contrast change. DINO: 0.8.
    pub chance: f64,
    /// Chance of a Gaussian blur of a view. DINO: 1 for one view, 0.1 for the other; here the mean for both (ours).
    pub blur: f64,
    /// Deviation of the blur in pixels, from and to. DINO: 0.1 to 2.
    pub blur_pixels: [f64; 2],
    /// Chance that bright pixels of a view are turned dark. DINO: 0.2 for one view of two; here 0.1 for both (ours).
    pub solarise: f64,
}

impl Default for Photometric {
    fn default() -> Self {
        Self { brightness: 0.4, chance: 0.8, blur: 0.55, blur_pixels: [0.1, 2.0], solarise: 0.1 }
    }
}

/// Pixel value from which on a solarised image is turned: the middle of eight bits, as in PIL.
const MIDDLE: f32 = 128.0;
/// Brightest of eight bits.
const WHITE: f32 = 255.0;

impl Photometric {
    /// Nothing is varied.
    pub fn none() -> Self {
        Self { brightness: 0.0, chance: 0.0, blur: 0.0, blur_pixels: [0.1, 2.0], solarise: 0.0 }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let [from, to] = self.blur_pixels;
        let shares = [self.brightness, self.chance, self.blur, self.solarise];
        if shares.into_iter().all(|share| (0.0..=1.0).contains(&share)) && from > 0.0 && from <= to && to <= 16.0 {
            return Ok(());
        }
        let expected = "shares of 1, and a blur of more than 0 to 16 pixels".into();
        Err(TrainError::Setting { setting: "photometric", value: format!("{self:?}"), expected })
    }

    /// Varies all planes `[plane, side, side]` of a view alike; values are eight bits wide.
    pub(super) fn vary(&self, pixels: &mut [f32], side: usize, rng: &mut ChaCha8Rng) {
        // Always the same numbers are drawn in the same order, so that one setting does not shift another's.
        let [changes, blurs, solarises] = [self.chance, self.blur, self.solarise].map(|chance| rng.random_bool(chance));
        let mut around_one = || 1.0 + self.brightness as f32 * (2.0 * rng.random::<f32>() - 1.0);
        let [brightness, contrast] = [around_one(), around_one()];
        let [from, to] = self.blur_pixels;
        let deviation = from + (to - from) * rng.random::<f64>();
        if changes {
            let mean = pixels.iter().map(|value| f64::from(*value)).sum::<f64>() / pixels.len().max(1) as f64;
            let mean = mean as f32 * brightness;
            pixels.iter_mut().for_each(|value| *value = (*value * brightness - mean) * contrast + mean);
        }
        if blurs {
            pixels.chunks_exact_mut(side * side).for_each(|plane| blur(plane, side, deviation));
        }
        pixels.iter_mut().for_each(|value| *value = value.round().clamp(0.0, WHITE));
        if solarises {
            pixels.iter_mut().filter(|value| **value >= MIDDLE).for_each(|value| *value = WHITE - *value);
        }
    }
}

/// Blurs one plane; beyond the rim its last row or column goes on.
fn blur(plane: &mut [f32], side: usize, deviation: f64) {
    let reach = (3.0 * deviation).ceil() as isize;
    let taps: Vec<f32> = (-reach..=reach).map(|tap| (-0.5 * (tap as f64 / deviation).powi(2)).exp() as f32).collect();
    let sum: f32 = taps.iter().sum();
    let at = |place: usize, tap: usize| (place as isize + tap as isize - reach).clamp(0, side as isize - 1) as usize;
    let mut across = vec![0.0; plane.len()];
    for (row, out) in plane.chunks_exact(side).zip(across.chunks_exact_mut(side)) {
        for (x, out) in out.iter_mut().enumerate() {
            *out = taps.iter().enumerate().map(|(tap, weight)| row[at(x, tap)] * weight).sum::<f32>() / sum;
        }
    }
    plane.fill(0.0);
    for y in 0..side {
        for (tap, weight) in taps.iter().enumerate() {
            let from = &across[at(y, tap) * side..][..side];
            plane[y * side..][..side].iter_mut().zip(from).for_each(|(out, value)| *out += value * weight / sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, rng};

    #[test]
    fn two_views_share_what_was_asked_for_and_lie_inside() {
        let crops = Crops { overlap: 0.5, ..Crops::default() };
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..200 {
            let corners = crops.globals(40, 16, &mut rng(1, Purpose::View, step));
            for axis in 0..2 {
                let (a, b) = (corners[0][axis], corners[1][axis]);
                assert!(a.max(b) + 16 <= 40 && a.abs_diff(b) <= 8, "{corners:?}");
            }
            seen.insert(corners);
        }
        assert!(seen.len() > 150);
        assert_eq!(crops.globals(16, 16, &mut rng(1, Purpose::View, 0)), [[0; 2]; 2]);
    }

    #[test]
    fn a_blur_keeps_the_sum_and_spreads_a_point() {
        let mut plane = vec![0.0; 81];
        plane[40] = 100.0;
        blur(&mut plane, 9, 1.0);
        assert!((plane.iter().sum::<f32>() - 100.0).abs() < 1.0);
        // The centre of a Gaussian of deviation 1 is 1 / 2π.
        assert!((plane[40] - 100.0 / std::f32::consts::TAU).abs() < 0.5, "{}", plane[40]);
        assert_eq!(plane[39], plane[41]);
        assert_eq!(plane[31], plane[49]);
        let mut even = vec![7.0; 81];
        blur(&mut even, 9, 2.0);
        assert!(even.iter().all(|value| (value - 7.0).abs() < 1e-4));
    }

    #[test]
    fn light_varies_within_eight_bits_and_nothing_does_where_it_is_off() {
        let pixels: Vec<f32> = (0..3 * 64).map(|at| (at % 256) as f32).collect();
        let vary = |how: &Photometric, step| {
            let mut pixels = pixels.clone();
            how.vary(&mut pixels, 8, &mut rng(1, Purpose::View, step));
            pixels
        };
        assert_eq!(vary(&Photometric::none(), 0), pixels);
        let solarised = vary(&Photometric { solarise: 1.0, ..Photometric::none() }, 0);
        let expected: Vec<f32> = pixels.iter().map(|x| if *x >= 128.0 { 255.0 - x } else { *x }).collect();
        assert_eq!(solarised, expected);
        let varied: Vec<_> = (0..10).map(|step| vary(&Photometric::default(), step)).collect();
        assert!(varied.iter().all(|x| x.iter().all(|x| (0.0..=255.0).contains(x) && x.fract() == 0.0)));
        assert!(varied.iter().any(|x| *x != pixels) && varied[0] != varied[1]);
    }
}
