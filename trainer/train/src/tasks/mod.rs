//! What a task is in training: a file for each, and one table.
//!
//! A task says which head goes on the features, what a step goes down, and how what comes out is scored. The loop, samples,
//! split and export are the same for all.

mod change;
mod kept;
mod regression;
mod scene;
mod scores;
mod segmentation;

use burn::tensor::{Device, Tensor};
use skysense_contract::{Head as HeadRecord, HeadKind, Quantity, Task};
use skysense_metric::Temperature;
use skysense_model::{
    ChangeHeadConfig, Head, HeadConfig, PixelHeadConfig, SceneHeadConfig, SegmentationHeadConfig, SkySenseConfig,
    UperHeadConfig,
};

use crate::dataset::Prepared;
use crate::{FinetuneConfig, TrainError};

pub use scores::{ChangeScores, ChipScores, TaskScores, ValueScores};
pub(crate) use segmentation::{pixel_weight, pixels};

/// Channels of the light head's hidden map; our choice.
const HIDDEN: usize = 64;

/// What a task asks of training.
pub(crate) trait Objective: Send + Sync {
    /// What samples weigh together in the loss of a step; of those that weigh nothing nothing is learned.
    fn weight(&self, samples: &[&Prepared]) -> f64;

    /// Whether anything is learned of a sample.
    fn trains(&self, sample: &Prepared) -> bool {
        sample.trains()
    }

    /// Mean loss `[1]` of a part of a step by [`Objective::weight`], for features `[batch, channel, height, width]` of all its
    /// samples; where the task compares two times, of both along the channels.
    fn loss(&self, head: &Head, features: Tensor<4>, part: &Part<'_>) -> Tensor<1>;

    /// What collects scores.
    fn tally(&self) -> Box<dyn Tally>;

    /// What the contract says of the head, with what only the samples tell.
    fn record(&self, head: HeadRecord) -> HeadRecord {
        head
    }
}

/// A part of a step.
pub(crate) struct Part<'a> {
    pub(crate) samples: &'a [&'a Prepared],
    /// Where the features are.
    pub(crate) device: &'a Device,
}

/// Collects scores of one part of the samples: that which trains, or that which validates.
pub(crate) trait Tally {
    /// Adds what the head gives for a sample, `[channel, height, width]`, of which only what `validates` says counts.
    fn add(&mut self, sample: &Prepared, output: &[f32], validates: bool);

    /// What was found.
    fn scores(&self) -> TaskScores;

    /// What logits are best divided by, where they become probabilities.
    fn temperature(&self) -> Option<Temperature> {
        None
    }
}

/// The light head for classes of pixels on an encoder.
pub(crate) fn segmentation_head(encoder: &SkySenseConfig, classes: usize) -> SegmentationHeadConfig {
    SegmentationHeadConfig { channels: encoder.channels(), hidden: HIDDEN, classes }
}

/// The head of a task on features of so many channels; `decoded` ones are those of UPerNet's pyramid already.
pub(crate) fn head(record: &HeadRecord, channels: usize, decoded: bool) -> HeadConfig {
    let classes = record.channels();
    match (record.task, record.kind) {
        (Task::Classification | Task::MultiLabel, _) => HeadConfig::Scene(SceneHeadConfig { channels, classes }),
        (Task::Change, _) => HeadConfig::Change(ChangeHeadConfig { channels, hidden: HIDDEN, classes }),
        (_, HeadKind::Uper) if decoded => HeadConfig::Pixel(PixelHeadConfig { channels, classes }),
        (_, HeadKind::Uper) => HeadConfig::Uper(UperHeadConfig { channels, hidden: HIDDEN, classes }),
        (_, HeadKind::Light) => HeadConfig::Light(SegmentationHeadConfig { channels, hidden: HIDDEN, classes }),
    }
}

/// What a run goes down.
///
/// # Errors
/// A task that is not trained here.
pub(crate) fn objective(config: &FinetuneConfig, ready: &[Prepared]) -> Result<Box<dyn Objective>, TrainError> {
    match config.task {
        Task::Segmentation => Ok(Box::new(segmentation::Segmentation::new(config, ready))),
        Task::Regression => {
            let quantity = config.quantity.clone().unwrap_or_else(Quantity::unnamed);
            Ok(Box::new(regression::Regression::new(&quantity, ready)))
        }
        Task::Classification => Ok(Box::new(scene::Scene::new(config, ready, false))),
        Task::MultiLabel => Ok(Box::new(scene::Scene::new(config, ready, true))),
        Task::Change => Ok(Box::new(change::Change::new(config, ready))),
        task => Err(TrainError::Setting {
            setting: "task",
            value: task.name().into(),
            expected: "segmentation, regression, classification, multi_label or change".into(),
        }),
    }
}
