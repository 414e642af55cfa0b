//! Scores of a network over prepared samples.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::Device;
use skysense_contract::{Input, Modality};

use crate::TrainError;
use crate::batch::stack;
use crate::dataset::Prepared;
use crate::network::Network;
use crate::pool::Pool;
use crate::tasks::Tally;

/// Collects what a network gives, of what trains or of what validates, as each tally is told. Only samples are looked at of
/// which a tally counts something, a batch at a time; a pixel under several chips counts once a chip.
pub(crate) fn score<const N: usize>(
    network: &Network,
    ready: &Pool<Prepared>,
    (inputs, batch): (&BTreeMap<Modality, Input>, usize),
    mut tallies: [(Box<dyn Tally>, bool); N],
) -> Result<[Box<dyn Tally>; N], TrainError> {
    let counts = |sample: &Prepared| {
        let has = |part: bool| sample.targets.iter().any(|t| t.class.is_some() && t.validates == part);
        tallies.iter().any(|(_, validates)| has(*validates))
    };
    let known = ready.known();
    let seen = |index: &usize| !known[*index].series.is_empty() && counts(&known[*index]);
    let seen: Vec<usize> = (0..known.len()).filter(seen).collect();
    for group in seen.chunks(batch) {
        let group = group.iter().map(|index| ready.get(*index)).collect::<Result<Vec<_>, _>>()?;
        let group: Vec<&Prepared> = group.iter().map(Cow::as_ref).collect();
        let outputs = network.outputs(&stack(&group, inputs, &Device::flex()));
        let values: Vec<f32> = outputs.into_data().iter::<f32>().collect();
        for (sample, output) in group.iter().zip(values.chunks(values.len() / group.len())) {
            tallies.iter_mut().for_each(|(tally, validates)| tally.add(sample, output, *validates));
        }
    }
    Ok(tallies.map(|(tally, _)| tally))
}
