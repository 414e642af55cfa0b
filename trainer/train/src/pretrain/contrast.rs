//! The alignment of modalities over a whole step.
//!
//! Its loss compares every place of a step with every other, and a step is worked on in parts, on threads and in
//! processes. So each part tells the projected features of its places; the loss and its slope with respect to each of them
//! are found once, with all together; and each part sends its rows of the slope back through its own network. That is
//! the gradient of the loss over the whole step (Gao et al., 2021, arXiv:2101.06983), however its places are dealt.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use skysense_collective::Group;
use skysense_contract::Modality;

use super::PretrainConfig;
use super::part::{Totals, ordered_pairs};
use crate::TrainError;
use crate::loss::alignment;

/// Projected features of the two views of some places.
#[derive(Debug, Default)]
pub(super) struct Chips {
    /// Places.
    pub(super) count: usize,
    /// By modality that is compared; one that no place of a part has is absent there.
    pub(super) features: BTreeMap<Modality, [Rows; 2]>,
}

/// Features of one modality in one view of each place.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// 1 for each place that has the modality.
    pub(super) has: Vec<f32>,
    /// `[place, output]`.
    pub(super) values: Vec<f32>,
}

/// The loss over all places of a step, and its slopes for those of this process.
#[derive(Debug, Default)]
pub(super) struct Contrast {
    /// The sum over ordered pairs, not weighted.
    pub(super) loss: f64,
    /// By modality and view: `[place, output]` of the places of this process, in the order of its parts.
    slopes: BTreeMap<Modality, [Option<Tensor<2>>; 2]>,
}

impl Contrast {
    /// Of the places of all parts of all processes. `modalities` are those that the model projects; `device` is the
    /// student's.
    pub(super) fn new(
        mine: &[&Chips],
        modalities: &[Modality],
        totals: &Totals,
        (group, config, device): (&dyn Group, &PretrainConfig, &Device),
    ) -> Result<Self, TrainError> {
        let outputs = config.alignment.outputs;
        let places: usize = mine.iter().map(|chips| chips.count).sum();
        let mut all: BTreeMap<Modality, [Gathered; 2]> = BTreeMap::new();
        for modality in modalities {
            let gather = |view| Gathered::new(joined(mine, *modality, view, outputs), outputs, group, device);
            let both = [gather(0)?, gather(1)?];
            let _new = all.insert(*modality, both);
        }
        let mut loss: Option<Tensor<1>> = None;
        for (from, to) in ordered_pairs() {
            let (Some(a), Some(b), Some(total)) = (all.get(&from), all.get(&to), totals.aligned.get(&(from, to)))
            else {
                continue;
            };
            for (a, b) in a.iter().zip(b) {
                let both: Vec<f32> = a.has.iter().zip(&b.has).map(|(a, b)| a * b).collect();
                let count: f64 = both.iter().map(|both| f64::from(*both)).sum();
                let (Some(from), Some(to), true) = (&a.features, &b.features, count > 0.0) else { continue };
                let of_all = both.len();
                let both = Tensor::<1>::from_data(TensorData::new(both, [of_all]), device);
                let one = alignment(from.clone(), to.clone(), both, config.alignment.temperature) * (count / total);
                loss = Some(loss.map_or_else(|| one.clone(), |loss| loss + one.clone()));
            }
        }
        let Some(loss) = loss else { return Ok(Self::default()) };
        let gradients = loss.backward();
        let slope = |gathered: &Gathered| {
            let slope = gathered.features.as_ref()?.grad(&gradients)?;
            Some(slope.narrow(0, gathered.before, places))
        };
        let slopes = all.iter().map(|(modality, views)| (*modality, [slope(&views[0]), slope(&views[1])]));
        let slopes = if places == 0 { BTreeMap::new() } else { slopes.collect() };
        Ok(Self { loss: f64::from(loss.into_scalar::<f32>()), slopes })
    }

    /// What sends the slopes back through the features `[view, output]` of a part, whose places are `count` from the
    /// `from`-th on of this process: its gradient is that of the loss, its value says nothing.
    pub(super) fn pull(
        &self,
        modality: Modality,
        features: &Tensor<2>,
        (from, count): (usize, usize),
    ) -> Option<Tensor<1>> {
        let device = features.device();
        let pulls = self.slopes.get(&modality)?.iter().enumerate().filter_map(|(view, slope)| {
            let slope = slope.clone()?.narrow(0, from, count);
            // The slope is no tensor of the student's graph.
            let slope = Tensor::<2>::from_data(slope.into_data(), &device);
            Some((features.clone().narrow(0, view * count, count) * slope).sum())
        });
        pulls.reduce(|sum, next| sum + next)
    }
}

/// The rows of all parts of this process.
fn joined(mine: &[&Chips], modality: Modality, view: usize, outputs: usize) -> Rows {
    let mut rows = Rows::default();
    for chips in mine {
        match chips.features.get(&modality) {
            Some(views) => {
                rows.has.extend(&views[view].has);
                rows.values.extend(&views[view].values);
            }
            None => {
                rows.has.resize(rows.has.len() + chips.count, 0.0);
                rows.values.resize(rows.values.len() + chips.count * outputs, 0.0);
            }
        }
    }
    rows
}

/// The rows of all processes.
struct Gathered {
    has: Vec<f32>,
    /// `[place, output]`, a leaf; `None` where nobody has a place.
    features: Option<Tensor<2>>,
    /// Places of lower ranks.
    before: usize,
}

impl Gathered {
    fn new(mine: Rows, outputs: usize, group: &dyn Group, device: &Device) -> Result<Self, TrainError> {
        let Rows { has: mut told, values } = mine;
        told.extend(values);
        let (mut has, mut values, mut before) = (Vec::new(), Vec::new(), 0);
        for (rank, told) in group.gather_numbers(&told)?.iter().enumerate() {
            let places = told.len() / (1 + outputs);
            if rank < group.rank() {
                before += places;
            }
            has.extend_from_slice(&told[..places]);
            values.extend_from_slice(&told[places..places * (1 + outputs)]);
        }
        let count = has.len();
        let features =
            (count > 0).then(|| Tensor::from_data(TensorData::new(values, [count, outputs]), device).require_grad());
        Ok(Self { has, features, before })
    }
}
