//! What losses need of all parts of a step before any part can learn: which centre balances the teacher's outputs, and
//! how places compare with each other.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};

use super::config::Targets;
use super::contrast::{Chips, Contrast};
use super::part::{Term, Totals, Work};
use crate::TrainError;
use crate::loss::{balanced_centre, output_sums};
use skysense_collective::Group;

/// The teacher's outputs of one term in one part.
#[derive(Debug, Clone)]
pub(super) struct Taught {
    pub(super) term: Term,
    /// `[image, feature, output]`.
    pub(super) outputs: Tensor<3>,
    /// `[image, feature]`.
    pub(super) weights: Tensor<2>,
}

/// What a part tells the others.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) chips: Chips,
    /// Only where it is asked for.
    pub(super) taught: Vec<Taught>,
}

/// What was found of all parts of all processes.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) contrast: Contrast,
    /// Centres that balance the targets of the step; empty where the centre follows the mean.
    pub(super) centres: BTreeMap<Term, Tensor<1>>,
}

impl Whole {
    /// From what the parts of this process say, in their order.
    pub(super) fn new(
        said: &[Said],
        totals: &Totals,
        (work, group): (&Work<'_>, &dyn Group),
    ) -> Result<Self, TrainError> {
        let Work { config, order, device, .. } = *work;
        let contrast = if totals.aligned.is_empty() {
            Contrast::default()
        } else {
            let chips: Vec<&Chips> = said.iter().map(|said| &said.chips).collect();
            Contrast::new(&chips, &order.modalities(), totals, (group, config, device))?
        };
        let Targets::Balanced { iterations } = config.targets else {
            return Ok(Self { contrast, ..Self::default() });
        };
        let outputs = config.heads.outputs;
        let terms: Vec<Term> = totals.terms.iter().filter(|(_, total)| **total > 0.0).map(|(term, _)| *term).collect();
        let inner = device.clone().inner();
        let tensor = |centre: &[f64]| {
            let centre: Vec<f32> = centre.iter().map(|value| *value as f32).collect();
            Tensor::<1>::from_data(TensorData::new(centre, [outputs]), &inner)
        };
        let mut centres = vec![vec![0.0_f64; outputs]; terms.len()];
        for _ in 0..iterations {
            let mut sums = vec![0.0_f64; outputs * terms.len()];
            for ((term, centre), sums) in terms.iter().zip(&centres).zip(sums.chunks_exact_mut(outputs)) {
                let centre = tensor(centre);
                for Taught { outputs, weights, .. } in
                    said.iter().flat_map(|said| &said.taught).filter(|taught| taught.term == *term)
                {
                    let found = output_sums(outputs.clone(), weights.clone(), centre.clone(), work.temperature);
                    let found = found.into_data();
                    sums.iter_mut().zip(found.iter::<f32>()).for_each(|(sum, found)| *sum += f64::from(found));
                }
            }
            group.sum_exact(&mut sums)?;
            for (centre, sums) in centres.iter_mut().zip(sums.chunks_exact(outputs)) {
                *centre = balanced_centre(centre, sums, work.temperature);
            }
        }
        let centres = terms.into_iter().zip(centres.iter().map(|centre| tensor(centre))).collect();
        Ok(Self { contrast, centres })
    }
}
