//! Leaving out modalities, so that a model works with any subset of them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::dataset::Prepared;

/// Leaves out each modality with a chance, but never the last one.
pub(crate) fn drop_modalities(sample: &mut Prepared, chance: f64, rng: &mut ChaCha8Rng) {
    for modality in skysense_contract::Modality::ALL {
        let drop = rng.random_bool(chance);
        if drop && sample.series.len() > 1 {
            sample.series.remove(&modality);
            // Two times are compared by what is there of both.
            if sample.before.len() > 1 {
                sample.before.remove(&modality);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::prepared;
    use crate::random::{Purpose, rng};

    #[test]
    fn one_modality_always_stays() {
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..50 {
            let mut sample = prepared(2, 2);
            drop_modalities(&mut sample, 0.9, &mut rng(1, Purpose::Augment, step));
            seen.insert(sample.series.len());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2]);
        let mut sample = prepared(2, 2);
        drop_modalities(&mut sample, 0.0, &mut rng(1, Purpose::Augment, 0));
        assert_eq!(sample.series.len(), 2);
    }
}
