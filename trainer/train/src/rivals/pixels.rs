//! Classifiers of single pixels, on numbers over a pixel's dates: the mean, deviation, least and largest value of each band.

use std::collections::BTreeMap;
use std::time::Instant;

use skysense_baseline::ForestConfig;
use skysense_contract::{Input, Modality};
use skysense_metric::Confusion;

use super::outcome::Measured;
use crate::TrainError;
use crate::dataset::Prepared;
use crate::probe::{Linear, Standard, statistics};

/// Which classifier.
pub(super) enum PixelRival {
    Forest(ForestConfig),
    Logistic(Linear),
}

impl PixelRival {
    /// Learns from the pixels that train and scores those that validate.
    pub(super) fn measure(
        &self,
        ready: &[Prepared],
        inputs: &BTreeMap<Modality, Input>,
        classes: usize,
    ) -> Result<Measured, TrainError> {
        let part = |validates: bool| {
            let (mut places, mut truth) = (Vec::new(), Vec::new());
            for (index, sample) in ready.iter().enumerate() {
                for (place, target) in sample.targets.iter().enumerate().filter(|(_, t)| t.validates == validates) {
                    if let Some(class) = target.class {
                        places.push((index, place));
                        truth.push(class);
                    }
                }
            }
            (statistics(ready, inputs, &places), truth)
        };
        let begun = Instant::now();
        let (known, learned) = part(false);
        let standard = Standard::of(&known);
        let known = standard.apply(&known);
        let (given, truth, parameters, trained, asking);
        match self {
            Self::Forest(config) => {
                let forest = config.fit(&known.values, known.width, &learned, classes);
                let forest = forest.map_err(|error| TrainError::Model(error.to_string()))?;
                (trained, asking) = (begun.elapsed(), Instant::now());
                let (asked, expected) = part(true);
                (given, truth, parameters) =
                    (forest.classify(&standard.apply(&asked).values), expected, forest.nodes() as u64);
            }
            Self::Logistic(linear) => {
                let weights = linear.fit(&known, &learned, classes);
                (trained, asking) = (begun.elapsed(), Instant::now());
                let (asked, expected) = part(true);
                parameters = ((known.width + 1) * classes) as u64;
                (given, truth) = (Linear::given(&weights, &standard.apply(&asked), classes), expected);
            }
        }
        let seconds = asking.elapsed().as_secs_f64();
        let mut confusion = Confusion::new(classes);
        truth.iter().zip(given).for_each(|(truth, given)| confusion.add(usize::from(*truth), usize::from(given)));
        let area = ready.first().map_or(1, |sample| sample.size * sample.size) as f64;
        Ok(Measured {
            scores: confusion.scores(),
            parameters,
            step: None,
            trained: trained.as_secs_f64(),
            chip: seconds * area / truth.len().max(1) as f64,
        })
    }
}
