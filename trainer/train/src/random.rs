//! Randomness that is a function of seed, purpose and step, so that a resumed run draws what it would have drawn.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What numbers are drawn for: each purpose has a stream of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Initial weights.
    Weights,
    /// Which blocks validate.
    Split,
    /// Order of samples in an epoch.
    Order,
    /// Augmentation of one sample of a run.
    Augment,
    /// Initial weights of projections that are thrown away later.
    Projection,
    /// Views of one place.
    View,
    /// Which places are measured.
    Measured,
    /// Views of one place that nothing is learned from.
    Validation,
    /// Initial weights of adapters.
    Adapters,
}

/// The generator of a purpose at a step.
pub(crate) fn rng(seed: u64, purpose: Purpose, step: usize) -> ChaCha8Rng {
    let purpose = match purpose {
        Purpose::Weights => 1_u64,
        Purpose::Split => 2,
        Purpose::Order => 3,
        Purpose::Augment => 4,
        Purpose::Projection => 5,
        Purpose::View => 6,
        Purpose::Measured => 7,
        Purpose::Validation => 8,
        Purpose::Adapters => 9,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose << 48) | step as u64);
    rng
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, purpose, step| rng(seed, purpose, step).random::<u64>();
        assert_eq!(draw(1, Purpose::Order, 2), draw(1, Purpose::Order, 2));
        let others = [draw(1, Purpose::Order, 3), draw(1, Purpose::Augment, 2), draw(2, Purpose::Order, 2)];
        assert!(!others.contains(&draw(1, Purpose::Order, 2)));
    }
}
