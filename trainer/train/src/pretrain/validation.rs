//! The losses of places that nothing is learned from, on the way.

use std::collections::BTreeMap;

use burn::module::Module;
use serde::Serialize;
use skysense_collective::Alone;
use skysense_model::Tape;

use super::Places;
use super::network::Network;
use super::part::{Part, Work};
use super::run::Run;
use super::view::{Viewer, Views};
use super::whole::Whole;
use crate::TrainError;
use crate::random::{Purpose, rng};

/// How a run looks at places that it does not learn from, where there are some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// Steps between two looks; the first step and the last one have one too.
    pub every: usize,
    /// Places that are looked at, the first ones.
    pub places: usize,
}

impl Default for Validation {
    fn default() -> Self {
        Self { every: 100, places: 32 }
    }
}

/// Places that are looked at.
pub(super) struct Validating<'a> {
    pub(super) places: &'a dyn Places,
    pub(super) viewer: Viewer,
}

impl Run<'_> {
    /// Losses of both networks, on the same views each time; by name. Nothing is recorded, and no weight changes.
    pub(super) fn validated(&self, network: &Network, step: usize) -> Result<BTreeMap<String, f64>, TrainError> {
        let mut means = BTreeMap::new();
        let Some(Validating { places, viewer }) = &self.validating else { return Ok(means) };
        if !self.looks(step, self.config.validation.every) {
            return Ok(means);
        }
        let inner = self.device.clone().inner();
        let recording = Work {
            config: self.config,
            inputs: &self.setup.inputs,
            order: &self.order,
            device: &self.device,
            temperature: self.temperature(step),
        };
        let work = Work { device: &inner, ..recording };
        let network = {
            let mut whole = network.clone();
            whole.student = whole.student.valid();
            whole
        };
        let count = self.config.validation.places.min(places.count());
        let indices: Vec<usize> = (0..count).collect();
        let mut seen = 0.0;
        for chunk in indices.chunks(self.loader.batch().max(1)) {
            let views: Vec<Views> = chunk
                .iter()
                .filter_map(|index| {
                    // One that cannot be read is left out, here as where they train.
                    let place = places.read(*index).ok()?;
                    viewer.views(&place, &mut rng(self.config.recipe.seed, Purpose::Validation, *index)).ok()
                })
                .collect();
            if views.is_empty() {
                continue;
            }
            let part = Part::new(&views.iter().collect::<Vec<_>>(), &self.order, self.config);
            let totals = part.totals(self.config);
            let look = part.see(&work, network.clone(), Tape::off());
            let whole = Whole::new(&[part.say(&look, self.config)], &totals, (&recording, &Alone))?;
            let mut sums = look.judge(&work, &whole, &totals);
            sums.loss += whole.contrast.loss * self.config.alignment.weight;
            let alignment = whole.contrast.loss / totals.aligned.len().max(1) as f64;
            let share = views.len() as f64;
            seen += share;
            for (name, value) in self.measures(&sums, alignment) {
                if name.starts_with("loss") && name.matches('.').count() < 2 {
                    *means.entry(format!("validation.{name}")).or_insert(0.0) += value * share;
                }
            }
        }
        means.values_mut().for_each(|value| *value /= seen);
        Ok(means)
    }
}
