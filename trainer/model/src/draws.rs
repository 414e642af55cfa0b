//! Where a block draws from.

use std::cell::Cell;

use burn::tensor::{Device, Distribution, Tensor, TensorData};

/// A stream of a block's own, or the generator of the device, which is one for the process.
///
/// Blocks that run side by side each need a stream of their own: from one generator they would draw in the order in which
/// their threads happen to come.
#[derive(Debug)]
pub(crate) struct Draws(Option<Cell<u64>>);

impl Draws {
    /// From the device's generator.
    pub(crate) fn of_device() -> Self {
        Self(None)
    }

    /// A stream that its seed decides.
    pub(crate) fn seeded(seed: u64) -> Self {
        // Mixed first: seeds that differ by one step of the stream would give the same one, shifted.
        Self(Some(Cell::new(mix(seed))))
    }

    /// Ones with a probability, else zeros.
    pub(crate) fn ones<const D: usize>(&self, shape: [usize; D], probability: f64, device: &Device) -> Tensor<D> {
        let Some(state) = &self.0 else {
            return Tensor::random(shape, Distribution::Bernoulli(probability), device);
        };
        let draw = |_| f32::from(u8::from(uniform(state) < probability));
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(draw).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a number in `[0, 1)`.
fn uniform(state: &Cell<u64>) -> f64 {
    state.set(state.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
    // As many bits as a double holds.
    (mix(state.get()) >> 11) as f64 / (1_u64 << 53) as f64
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draws: &Draws, count: usize) -> Vec<f32> {
        draws.ones([count], 0.8, &Device::flex()).into_data().iter::<f32>().collect()
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The first numbers of its reference implementation from state 1234567.
        let state = Cell::new(1_234_567_u64);
        for expected in [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423] {
            assert_eq!(uniform(&state), (expected >> 11) as f64 / (1_u64 << 53) as f64);
        }
    }

    #[test]
    fn streams_repeat_go_on_and_differ_by_seed() {
        let draws = Draws::seeded(7);
        let (first, second) = (drawn(&draws, 1000), drawn(&draws, 1000));
        assert_eq!(first, drawn(&Draws::seeded(7), 1000));
        assert!(first != second && first != drawn(&Draws::seeded(8), 1000));
        let share = first.iter().sum::<f32>() / 1000.0;
        assert!((0.76..0.84).contains(&share), "{share} of the draws are ones");
    }
}
