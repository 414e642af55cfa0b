//! Modules made one at a time from tensors in files.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use rand::RngExt;
use skysense_model::checkpoint::{Stored, lacking, load_stored};

use crate::TrainError;
use crate::network::seeded;
use crate::random::{Purpose, rng};

/// Shape and values of parameters by name.
pub(super) type Fresh = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Makes modules, and remembers the values of what no file had.
pub(super) struct Modules<'a> {
    tensors: &'a BTreeMap<String, Stored>,
    seed: u64,
    made: usize,
    fresh: Fresh,
}

impl<'a> Modules<'a> {
    pub(super) fn new(tensors: &'a BTreeMap<String, Stored>, seed: u64) -> Self {
        Self { tensors, seed, made: 0, fresh: Fresh::new() }
    }

    /// A module under its name in checkpoints, with its weights; what lacks is drawn from the seed.
    pub(super) fn make<M: Module>(
        &mut self,
        name: &str,
        device: &Device,
        init: impl FnOnce() -> Result<M, TrainError>,
    ) -> Result<M, TrainError> {
        self.made += 1;
        let seed = rng(self.seed, Purpose::Weights, self.made).random();
        seeded(device, seed, || {
            let (module, _report) = load_stored(init()?, name, self.tensors)?;
            // Reading them draws them, so it must happen while the seed holds.
            self.fresh.extend(lacking(&module, name, self.tensors));
            Ok(module)
        })
    }

    /// Values of what no file had.
    pub(super) fn into_fresh(self) -> Fresh {
        self.fresh
    }
}
