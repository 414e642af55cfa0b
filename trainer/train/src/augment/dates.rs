//! Random subsets of dates, so that a model does not lean on one of them.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use skysense_contract::Modality;

use crate::dataset::Prepared;

/// Keeps a random subset of each modality's dates, in their order: uniformly between `least` of them (rounded
/// up, at least one) and all. Gives the places of those that stay.
pub(crate) fn keep_some(sample: &mut Prepared, least: f64, rng: &mut ChaCha8Rng) -> BTreeMap<Modality, Vec<usize>> {
    let mut all = BTreeMap::new();
    for (modality, series) in &mut sample.series {
        let dates = series.days.len();
        let fewest = ((dates as f64 * least).ceil() as usize).clamp(1, dates.max(1));
        let count = rng.random_range(fewest..=dates.max(fewest));
        let mut order: Vec<usize> = (0..dates).collect();
        order.shuffle(rng);
        let mut kept = order[..count.min(dates)].to_vec();
        kept.sort_unstable();
        all.insert(*modality, kept.clone());
        if count >= dates {
            continue;
        }
        let one = series.pixels.len() / dates;
        series.pixels = kept.iter().flat_map(|date| &series.pixels[date * one..(date + 1) * one]).copied().collect();
        series.days = kept.iter().map(|date| series.days[*date]).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::prepared;
    use crate::random::{Purpose, rng};

    #[test]
    fn dates_keep_their_order_and_their_pixels() {
        let sample = prepared(1, 6);
        let (modality, series) = sample.series.first_key_value().unwrap();
        let mut counts = std::collections::BTreeSet::new();
        for step in 0..100 {
            let mut drawn = sample.clone();
            let places = keep_some(&mut drawn, 0.5, &mut rng(1, Purpose::Augment, step));
            let kept = &drawn.series[modality];
            assert_eq!(places[modality].iter().map(|at| series.days[*at]).collect::<Vec<_>>(), kept.days);
            counts.insert(kept.days.len());
            assert!(kept.days.is_sorted());
            let one = series.pixels.len() / series.days.len();
            for (index, day) in kept.days.iter().enumerate() {
                let source = series.days.iter().position(|other| other == day).unwrap();
                assert_eq!(kept.pixels[index * one..][..one], series.pixels[source * one..][..one]);
            }
        }
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
    }

    #[test]
    fn one_keeps_all() {
        let mut sample = prepared(1, 3);
        let places = keep_some(&mut sample, 1.0, &mut rng(1, Purpose::Augment, 0));
        assert_eq!(places[&Modality::S2], [0, 1, 2]);
        assert_eq!(sample, prepared(1, 3));
    }
}
