//! Settings of a detector's training.

use serde::Serialize;
use skysense_contract::{Class, Task};

use crate::{Compute, Recipe, TrainError};

/// Settings of a detector's training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectConfig {
    /// Start, steps, rate, what is varied, what validates.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Name of the model.
    pub name: String,
    /// Classes of objects in the order of the logits.
    pub classes: Vec<Class>,
    /// Whether boxes are rotated.
    pub rotated: bool,
    /// Whether the encoder stays as it is.
    pub frozen: bool,
    /// How it is computed.
    #[serde(flatten)]
    pub compute: Compute,
    /// Licence of the resulting weights as an SPDX expression, or `proprietary`.
    pub licence: String,
}

impl DetectConfig {
    /// Settings that suit the `tiny` preset on two cores.
    pub fn new(name: impl Into<String>, classes: Vec<Class>, rotated: bool) -> Self {
        Self {
            recipe: Recipe::default(),
            name: name.into(),
            classes,
            rotated,
            frozen: false,
            compute: Compute::default(),
            licence: "proprietary".into(),
        }
    }

    /// The task.
    pub fn task(&self) -> Task {
        if self.rotated { Task::OrientedDetection } else { Task::Detection }
    }

    pub(crate) fn check(&self) -> Result<(), TrainError> {
        if self.classes.is_empty() {
            let expected = "one class or more".into();
            return Err(TrainError::Setting { setting: "classes", value: "empty".into(), expected });
        }
        self.recipe.check()
    }
}
