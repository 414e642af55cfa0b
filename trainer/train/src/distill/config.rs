//! Settings of a distillation.

use std::path::PathBuf;

use serde::Serialize;
use skysense_contract::Modality;

use crate::{Compute, Recipe, TrainError};

/// Settings of a distillation: a student learns to give a teacher's features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DistillConfig {
    /// What the student starts from, steps, rate, what is held out of the valid pixels, and what is varied: of the
    /// student's inputs alone. The teacher sees every sample as it is, with all its dates; where the student's input is
    /// turned, the teacher's features are.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Folder of the teacher's package. The result names the teacher by its name and checksum, not by this place.
    #[serde(skip)]
    pub teacher: PathBuf,
    /// How the student's steps are computed. The teacher looks in single precision, on the same device.
    #[serde(flatten)]
    pub compute: Compute,
    /// What the student sees of the samples; `None` for all. A teacher that sees more teaches what it knows of that too.
    pub modalities: Option<Vec<Modality>>,
    /// Name of the student.
    pub name: String,
    /// Weight of the features of each modality's encoder beside the fused ones; with 0 the fused ones alone teach.
    pub encoders: f64,
    /// Bytes up to which the teacher's features are held; beyond, they are computed anew at every step. Changes no
    /// weight, only memory and time.
    #[serde(skip)]
    pub hold: u64,
    /// Licence of the resulting weights as an SPDX expression, or `proprietary`; `None` for the teacher's.
    pub licence: Option<String>,
}

impl DistillConfig {
    /// Settings that suit a student of preset `tiny` on two cores.
    pub fn new(name: impl Into<String>, teacher: impl Into<PathBuf>) -> Self {
        Self {
            recipe: Recipe { validation: 0.1, ..Recipe::default() },
            teacher: teacher.into(),
            compute: Compute::default(),
            modalities: None,
            name: name.into(),
            encoders: 1.0,
            hold: 2 << 30,
            licence: None,
        }
    }

    /// Checks the ranges.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.recipe.check()?;
        if !(self.encoders.is_finite() && self.encoders >= 0.0) {
            let value = self.encoders.to_string();
            return Err(TrainError::Setting { setting: "encoders", value, expected: "0 or more".into() });
        }
        Ok(())
    }
}
