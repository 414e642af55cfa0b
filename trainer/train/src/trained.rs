//! What a run gives.

use crate::dataset::Prepared;
use crate::network::Network;
use crate::setup::Setup;
use crate::tasks::TaskScores;
use crate::{Curve, FinetuneConfig};
use skysense_contract::Head;
use skysense_metric::Temperature;

/// A trained model and how it did. [`crate::export()`] writes it as a package.
#[derive(Debug)]
pub struct Trained {
    /// Scores over the pixels that trained.
    pub training: TaskScores,
    /// Scores over the blocks that did not; `None` without such.
    pub validation: Option<TaskScores>,
    /// What logits are divided by, where that was asked for and something validates.
    pub calibration: Option<Temperature>,
    /// Steps of the run: those asked for, or what fitted into the time budget.
    pub steps: usize,
    /// Loss of each step.
    pub losses: Vec<f32>,
    /// The same in few points, with scores on the way.
    pub curve: Curve,
    /// How long it took, without what an earlier part of a resumed run took.
    pub seconds: f64,
    /// How places were divided, in words.
    pub(crate) split: String,
    pub(crate) network: Network,
    pub(crate) setup: Setup,
    pub(crate) config: FinetuneConfig,
    /// What the contract says of the head.
    pub(crate) head: Head,
    /// The sample that becomes the package's probe.
    pub(crate) probe: Prepared,
}
