//! What parts of a step add up.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use skysense_collective::Group;

use super::part::{Term, Totals};
use crate::TrainError;

/// What a part adds to its step.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Shares of the losses of the step.
    pub(super) losses: BTreeMap<Term, f64>,
    /// The teacher's outputs by term.
    pub(super) outputs: BTreeMap<Term, Outputs>,
    /// `P̄` of each view with its region.
    pub(super) prototypes: Vec<(Tensor<3>, Vec<usize>)>,
    /// The weighted sum of the losses of terms; the alignment is of the whole step and no part's.
    pub(super) loss: f64,
}

/// Sums over the teacher's features of a term.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    /// Of outputs, `[output]`.
    pub(super) sum: Tensor<1>,
    /// Of targets, `[output]`.
    pub(super) targets: Tensor<1>,
    /// Of the entropies of targets.
    pub(super) entropy: f64,
    /// Features that count.
    pub(super) count: f64,
}

impl Sums {
    pub(super) fn add(&mut self, term: Term, found: Outputs) {
        let sum = match self.outputs.remove(&term) {
            None => found,
            Some(before) => Outputs {
                sum: before.sum + found.sum,
                targets: before.targets + found.targets,
                entropy: before.entropy + found.entropy,
                count: before.count + found.count,
            },
        };
        let _new = self.outputs.insert(term, sum);
    }

    /// Adds another part of the same step.
    pub(super) fn join(&mut self, other: Self) {
        other.losses.into_iter().for_each(|(term, loss)| *self.losses.entry(term).or_default() += loss);
        other.outputs.into_iter().for_each(|(term, found)| self.add(term, found));
        self.loss += other.loss;
        self.prototypes.extend(other.prototypes);
    }

    /// Those of all processes. `totals` says what counts anywhere; a projection has so many outputs.
    pub(super) fn of_all(
        self,
        group: &dyn Group,
        totals: &Totals,
        (outputs, device): (usize, &Device),
    ) -> Result<Self, TrainError> {
        if group.size() == 1 {
            return Ok(self);
        }
        let terms: Vec<Term> = totals.terms.iter().filter(|(_, total)| **total > 0.0).map(|(term, _)| *term).collect();
        let mut numbers = vec![self.loss];
        let mut values: Vec<f32> = Vec::with_capacity(2 * outputs * terms.len());
        for term in &terms {
            numbers.push(self.losses.get(term).copied().unwrap_or_default());
            let found = self.outputs.get(term);
            numbers.extend(found.map_or([0.0; 2], |found| [found.entropy, found.count]));
            match found {
                Some(Outputs { sum, targets, .. }) => {
                    values.extend(sum.to_data().iter::<f32>().chain(targets.to_data().iter::<f32>()));
                }
                None => values.resize(values.len() + 2 * outputs, 0.0),
            }
        }
        group.sum_exact(&mut numbers)?;
        group.sum(&mut values)?;
        let mut all = Self { loss: numbers[0], ..Self::default() };
        let tensor = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [outputs]), device);
        for (at, term) in terms.into_iter().enumerate() {
            let [loss, entropy, count] = [0, 1, 2].map(|one| numbers[1 + 3 * at + one]);
            let _new = all.losses.insert(term, loss);
            let values = &values[2 * outputs * at..][..2 * outputs];
            let (sum, targets) = (tensor(&values[..outputs]), tensor(&values[outputs..]));
            let _new = all.outputs.insert(term, Outputs { sum, targets, entropy, count });
        }
        all.prototypes = gathered(group, self.prototypes, device)?;
        Ok(all)
    }
}

/// `P̄` of the views of all processes, those of lower ranks first.
fn gathered(
    group: &dyn Group,
    mine: Vec<(Tensor<3>, Vec<usize>)>,
    device: &Device,
) -> Result<Vec<(Tensor<3>, Vec<usize>)>, TrainError> {
    let shape = mine.first().map_or([0; 3], |(averages, _)| averages.dims());
    let regions: Vec<f32> = mine.iter().flat_map(|(_, regions)| regions).map(|region| *region as f32).collect();
    // Prototypes, channels, views; the regions; the values.
    let mut told: Vec<f32> = vec![shape[1] as f32, shape[2] as f32, regions.len() as f32];
    told.extend(regions);
    for (averages, _) in mine {
        told.extend(averages.into_data().iter::<f32>());
    }
    let mut all = Vec::new();
    for told in group.gather_numbers(&told)? {
        let [prototypes, channels, views] = [0, 1, 2].map(|at| told[at] as usize);
        if views > 0 {
            let regions = told[3..][..views].iter().map(|region| *region as usize).collect();
            let data = TensorData::new(told[3 + views..].to_vec(), [views, prototypes, channels]);
            all.push((Tensor::from_data(data, device), regions));
        }
    }
    Ok(all)
}
