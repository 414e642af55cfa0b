//! What pretraining tells of each step, by name.

use std::collections::BTreeMap;

/// The numbers of one step. Sinks write them as they come: what a step has no number for is absent, so a sink must not
/// expect the same names at every step.
///
/// | name | what it is |
/// | --- | --- |
/// | `loss` | the weighted sum of all terms |
/// | `loss.pixel`, `loss.object`, `loss.image` | the mean of that level over modalities and the fused feature |
/// | `loss.pixel.hr`, `.s2`, `.s1`, `.fused` (and so for `object`, `image`) | one level of one modality |
/// | `loss.alignment` | the mean over ordered pairs of modalities |
/// | `validation.loss`, `validation.loss.pixel` … | the same on places that nothing is learned from, where there are some, now and then |
/// | `learning_rate`, `weight_decay`, `teacher_momentum`, `teacher_temperature` | the schedules at this step |
/// | `gradient_norm` | of all parameters together, before clipping |
/// | `teacher_entropy`, `teacher_entropy.hr` … | mean entropy of single targets of the teacher, as a share of `log K` |
/// | `teacher_spread`, `teacher_spread.hr` … | entropy of the mean target, as a share of `log K` |
/// | `waiting` | share of the step's time spent waiting for places |
/// | `places_per_second`, `step_seconds` | speed, waiting counted |
/// | `skipped` | places left out so far because they could not be read, those before a kill counted |
///
/// A teacher whose targets are all alike has a spread near 0; one whose targets say nothing has an entropy near 1. Either
/// is a collapse.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures {
    /// Steps done, this one counted.
    pub step: usize,
    /// Steps of the run.
    pub steps: usize,
    /// Passes over the places, in parts of one.
    pub epoch: f64,
    /// By name.
    pub values: BTreeMap<String, f64>,
}
