//! Sentinel-1: terrain-corrected backscatter in linear power with speckle.

use crate::ground::{Looks, Spot};
use crate::noise::{hash, speckle};

/// Independent looks of a 10 m pixel of the ground-range products that terrain correction starts from (about 4.4).
const LOOKS: u64 = 4;

/// One radar acquisition over one grid.
pub(crate) struct Acquisition {
    pub(crate) seed: u64,
    /// Names the item: speckle differs from date to date.
    pub(crate) item_seed: u64,
    pub(crate) day: f64,
    pub(crate) moisture: f64,
}

impl Acquisition {
    /// VV and VH of the rows from `first` on.
    pub(crate) fn draw(&self, spots: &[Spot], width: usize, first: usize) -> [Vec<f32>; 2] {
        let mut looks = Looks::new(self.day, self.moisture);
        let mut bands = [Vec::with_capacity(spots.len()), Vec::with_capacity(spots.len())];
        for (index, spot) in spots.iter().enumerate() {
            let texture = spot.texture(self.seed);
            let power = spot.mix(&mut looks, |look| look.backscatter(texture));
            for (band, values) in bands.iter_mut().enumerate() {
                let (column, row) = ((index % width) as i64, (first + index / width) as i64);
                let grain = speckle(hash(self.item_seed.wrapping_add(band as u64), column, row), LOOKS);
                values.push((power[band] * grain) as f32);
            }
        }
        bands
    }
}
