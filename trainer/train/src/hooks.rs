//! What a run tells its caller, and asks.

use std::sync::Arc;

use skysense_collective::{Alone, Group};

use crate::pretrain::Measures;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps of the run; lowered once when there is a time budget.
    pub steps: usize,
    /// Loss of the step.
    pub loss: f32,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// The caller's side of a run.
pub trait Hooks {
    /// Called after every step.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// Called in a distillation while the teacher looks at the samples, before the first step.
    fn teacher(&mut self, samples: usize, of: usize) {
        let _ = (samples, of);
    }

    /// Asked once, before the first step: the processes that train as one. All ranks of a group must be given the same
    /// samples and settings.
    fn group(&self) -> Arc<dyn Group> {
        Arc::new(Alone)
    }

    /// Called in pretraining after every step, with all that was measured.
    fn measured(&mut self, measures: &Measures) {
        let _ = measures;
    }

    /// Called in pretraining where a place is left out because it cannot be read: its name or number, and why.
    fn skipped(&mut self, place: &str, why: &str) {
        let _ = (place, why);
    }

    /// Called in pretraining before the first step of a run that goes on, where places were left out before.
    fn skipped_before(&mut self, places: usize) {
        let _ = places;
    }

    /// Asked before every step; `true` writes a checkpoint (where there is a folder for it) and ends the run.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Hooks that neither listen nor stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}
