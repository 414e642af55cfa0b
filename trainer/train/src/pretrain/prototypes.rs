//! How the prototypes of regions follow the features of their chips.
//!
//! For a chip in region `r` with fused features `F` `[N_S, d]` and prototypes `P_r` `[N_p, d]`:
//!
//! 1. `M = cos(F, P_r)`
//! 2. `S` = Sinkhorn–Knopp of `M`
//! 3. `P̄ = Sᵀ F`, `P_r ← m · P_r + (1 − m) · P̄`
//!
//! (the paper's geo-context prototype learning; no gradient flows). The paper says neither how `S` is scaled nor what
//! happens when several chips of a batch lie in one region. Here columns of `S` are made to sum to 1, so that `P̄` is an
//! average of features, and a region moves once towards the mean of `P̄` over its chips. While a region was visited less
//! often than `m` reaches back, it keeps `v / (v + 1)` of itself after `v` visits, which makes its prototypes the mean of
//! what was seen so far: else they would stay near their random start for hundreds of visits. All three are our choice.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::loss::{Sinkhorn, column_shares, unit};

/// How fast prototypes move, and how features are dealt to them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrototypeUpdate {
    /// `m`, 0 to 1: what a prototype keeps of itself.
    pub momentum: f64,
    /// The assignment.
    pub sinkhorn: Sinkhorn,
}

impl Default for PrototypeUpdate {
    fn default() -> Self {
        Self { momentum: 0.996, sinkhorn: Sinkhorn::default() }
    }
}

impl PrototypeUpdate {
    /// `P̄` of each chip.
    ///
    /// # Shapes
    /// - `features`: `[chip, pixel, channel]`
    /// - `weights`: `[chip, pixel]`, 0 where a pixel does not count
    /// - `prototypes`: those of each chip's region, `[chip, prototype, channel]`
    /// - result: `[chip, prototype, channel]`
    pub fn averages(&self, features: Tensor<3>, weights: Tensor<2>, prototypes: Tensor<3>) -> Tensor<3> {
        let (features, prototypes) = (features.detach(), prototypes.detach());
        let scores = unit(features.clone()).matmul(unit(prototypes).swap_dims(1, 2));
        let assigned = self.sinkhorn.assign(scores, weights.clone()) * weights.unsqueeze_dim::<3>(2);
        column_shares(assigned).swap_dims(1, 2).matmul(features)
    }

    /// The table `[region, prototype, channel]` after a batch: `chips` names, for each chip that has a pixel that counts,
    /// its place in `averages` and its region. Regions without a chip stay as they are. `visits` counts, by region, how
    /// often it moved.
    pub fn moved(
        &self,
        table: Tensor<3>,
        averages: &Tensor<3>,
        chips: &[(usize, usize)],
        visits: &mut [f32],
    ) -> Tensor<3> {
        let [_, prototypes, channels] = table.dims();
        let mut by_region: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (chip, region) in chips {
            by_region.entry(*region).or_default().push(*chip);
        }
        by_region.into_iter().fold(table, |table, (region, chips)| {
            let row = |x: &Tensor<3>, at: usize| x.clone().slice([at..at + 1, 0..prototypes, 0..channels]);
            let count = chips.len() as f64;
            let sum = chips.into_iter().map(|chip| row(averages, chip)).reduce(|sum, next| sum + next);
            let Some(sum) = sum else { return table };
            let before = visits.get(region).map_or(0.0, |visits| f64::from(*visits));
            let momentum = self.momentum.min(before / (before + 1.0));
            visits.iter_mut().skip(region).take(1).for_each(|visits| *visits += 1.0);
            let moved = row(&table, region) * momentum + sum * ((1.0 - momentum) / count);
            table.slice_assign([region..region + 1, 0..prototypes, 0..channels], moved)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{tensor2, tensor3, values};

    /// Two chips of two pixels, each alike to one prototype: a balanced assignment gives each prototype its pixel.
    fn update() -> PrototypeUpdate {
        PrototypeUpdate { momentum: 0.75, sinkhorn: Sinkhorn { epsilon: 0.01, iterations: 3 } }
    }

    fn rounded(tensor: Tensor<3>) -> Vec<f32> {
        values(tensor).into_iter().map(|x| (x * 1e5).round() / 1e5).collect()
    }

    #[test]
    fn a_region_moves_towards_the_mean_of_its_chips_and_others_stay() {
        let table = tensor3(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0, 5.0], [3, 2, 2]);
        let features = tensor3(&[2.0, 0.0, 0.0, 3.0, 0.0, 5.0, 4.0, 0.0], [2, 2, 2]);
        let of_chips = tensor3(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], [2, 2, 2]);
        let averages = update().averages(features, tensor2(&[1.0; 4], [2, 2]), of_chips);
        assert_eq!(rounded(averages.clone()), [2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 5.0]);
        // After many visits the momentum is that of the settings.
        let apart = update().moved(table.clone(), &averages, &[(0, 0), (1, 1)], &mut [100.0; 3]);
        assert_eq!(rounded(apart), [1.25, 0.0, 0.0, 1.5, 1.75, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0, 5.0]);
        // Both in region 1: their mean is (3, 0), (0, 4).
        let together = update().moved(table.clone(), &averages, &[(0, 1), (1, 1)], &mut [100.0; 3]);
        assert_eq!(rounded(together), [1.0, 0.0, 0.0, 1.0, 1.5, 0.0, 0.0, 1.75, 5.0, 0.0, 0.0, 5.0]);
        // The first visit takes the place of the random start, the second makes a mean of two.
        let mut visits = [0.0; 3];
        let first = update().moved(table, &averages, &[(0, 0)], &mut visits);
        assert_eq!(rounded(first.clone()), [2.0, 0.0, 0.0, 3.0, 1.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0, 5.0]);
        let second = update().moved(first, &averages, &[(1, 0)], &mut visits);
        assert_eq!(rounded(second), [3.0, 0.0, 0.0, 4.0, 1.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0, 5.0]);
        assert_eq!(visits, [2.0, 0.0, 0.0]);
    }

    #[test]
    fn pixels_that_do_not_count_move_nothing() {
        let features = tensor3(&[2.0, 0.0, 0.0, 3.0, 9.0, 9.0], [1, 3, 2]);
        let prototypes = tensor3(&[1.0, 0.0, 0.0, 1.0], [1, 2, 2]);
        let averages = update().averages(features, tensor2(&[1.0, 1.0, 0.0], [1, 3]), prototypes);
        assert_eq!(rounded(averages), [2.0, 0.0, 0.0, 3.0]);
    }
}
