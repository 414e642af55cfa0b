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
        let mut sums_by_name: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let Some(Validating { places, viewer }) = &self.validating else { return Ok(BTreeMap::new()) };
        if !self.looks(step, self.config.validation.every) {
            return Ok(BTreeMap::new());
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
        for chunk in indices.chunks(self.loader.batch().max(1)) {
            let views: Vec<Views> = chunk
                .iter()
                .filter_map(|index| {
                    // One that cannot be read is left out, here as where they train.
                    let mut random = rng(self.config.recipe.seed, Purpose::Validation, *index);
                    let place = places.read(*index).map_err(|why| why.to_string());
                    let views = place.and_then(|place| viewer.views(&place, &mut random));
                    views.inspect_err(|why| tracing::warn!("a place that validates is left out: {why}")).ok()
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
            for (name, value) in self.measures(&sums, alignment) {
                // Not all places have what a term compares.
                let lacks = name == "loss.alignment" && totals.aligned.is_empty();
                if name.starts_with("loss") && name.matches('.').count() < 2 && !lacks {
                    let (sum, seen) = sums_by_name.entry(format!("validation.{name}")).or_default();
                    (*sum, *seen) = (*sum + value * share, *seen + share);
                }
            }
        }
        Ok(sums_by_name.into_iter().map(|(name, (sum, seen))| (name, sum / seen)).collect())
    }
}
