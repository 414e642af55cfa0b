//! Which of the assigned boxes a step learns from.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::Assigned;

/// Places of at most `count` boxes at random: up to a `share` of them positive, the rest negative; positive ones first,
/// each part in the order of the boxes.
pub fn sample(assigned: &[Assigned], count: usize, share: f64, rng: &mut ChaCha8Rng) -> (Vec<usize>, Vec<usize>) {
    let places = |wanted: fn(&Assigned) -> bool| -> Vec<usize> {
        (0..assigned.len()).filter(|at| wanted(&assigned[*at])).collect()
    };
    let mut some = |mut places: Vec<usize>, most: usize| {
        places.shuffle(rng);
        places.truncate(most);
        places.sort_unstable();
        places
    };
    let positive = places(|assigned| matches!(assigned, Assigned::Object(_)));
    let positive = some(positive, (count as f64 * share) as usize);
    let negative = some(places(|assigned| *assigned == Assigned::Nothing), count - positive.len());
    (positive, negative)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_share_is_kept_and_negatives_fill_up() {
        let mut assigned = vec![Assigned::Nothing; 20];
        assigned[3..11].fill(Assigned::Object(0));
        assigned[11..13].fill(Assigned::Unused);
        let draw = |seed| sample(&assigned, 12, 0.25, &mut ChaCha8Rng::seed_from_u64(seed));
        let (positive, negative) = draw(1);
        assert_eq!((positive.len(), negative.len()), (3, 9));
        assert!(positive.iter().all(|at| (3..11).contains(at)));
        assert!(negative.iter().all(|at| assigned[*at] == Assigned::Nothing));
        assert_eq!((positive, negative), draw(1));
        assert_ne!(draw(1), draw(2));
        let (positive, negative) = sample(&[Assigned::Nothing; 2], 12, 0.5, &mut ChaCha8Rng::seed_from_u64(0));
        assert_eq!((positive.len(), negative.len()), (0, 2));
    }
}
