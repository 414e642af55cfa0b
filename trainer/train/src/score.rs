//! Scores of a network over prepared samples.

use std::collections::BTreeMap;

use burn::tensor::Device;
use skysense_contract::{Input, Modality};

use crate::batch::stack;
use crate::dataset::Prepared;
use crate::network::Network;
use skysense_metric::{Confusion, Scores};

/// Scores of the pixels that train and of those that validate. A pixel under several chips counts once a chip.
pub(crate) fn score(
    network: &Network,
    ready: &[Prepared],
    inputs: &BTreeMap<Modality, Input>,
    classes: usize,
    batch: usize,
) -> (Scores, Scores) {
    let mut training = Confusion::new(classes);
    let mut validation = Confusion::new(classes);
    let weights = vec![1.0; classes];
    let seen: Vec<&Prepared> = ready.iter().filter(|sample| !sample.series.is_empty()).collect();
    for group in seen.chunks(batch) {
        let batch = stack(group, inputs, &weights, false, &Device::flex());
        let predicted = network.logits(&batch).argmax(1).into_data();
        let targets = group.iter().flat_map(|sample| &sample.targets);
        for (target, predicted) in targets.zip(predicted.iter::<i64>()) {
            if let Some(class) = target.class {
                let confusion = if target.validates { &mut validation } else { &mut training };
                confusion.add(usize::from(class), predicted as usize);
            }
        }
    }
    (training.scores(), validation.scores())
}
