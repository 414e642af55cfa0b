//! Scores of a network over prepared samples.

use std::collections::BTreeMap;

use burn::tensor::Device;
use skysense_contract::{Input, Modality};
use skysense_metric::Temperature;

use crate::batch::stack;
use crate::dataset::Prepared;
use crate::network::Network;
use crate::tasks::{Objective, TaskScores};

/// Scores of what trains and of what validates, and the temperature that suits the latter. A pixel under several chips counts once a chip.
pub(crate) fn score(
    network: &Network,
    ready: &[Prepared],
    inputs: &BTreeMap<Modality, Input>,
    objective: &dyn Objective,
    batch: usize,
) -> (TaskScores, TaskScores, Option<Temperature>) {
    let (mut training, mut validation) = (objective.tally(), objective.tally());
    let seen: Vec<&Prepared> = ready.iter().filter(|sample| !sample.series.is_empty()).collect();
    for group in seen.chunks(batch) {
        let outputs = network.outputs(&stack(group, inputs, &Device::flex()));
        let values: Vec<f32> = outputs.into_data().iter::<f32>().collect();
        for (sample, output) in group.iter().zip(values.chunks(values.len() / group.len())) {
            training.add(sample, output, false);
            validation.add(sample, output, true);
        }
    }
    (training.scores(), validation.scores(), validation.temperature())
}
