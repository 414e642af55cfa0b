//! `metrics.plot`: draws what was measured in training.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_train::read_measures;

use crate::{errors, plots};

/// Arguments of `metrics.plot`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// A `metrics.jsonl`, also of a run that still goes on.
    metrics: PathBuf,
    /// Folder that gets the figures.
    out: PathBuf,
    /// Line above them; left out, where the metrics lie.
    #[serde(default)]
    title: Option<String>,
}

/// Answer of `metrics.plot`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// Steps that were measured.
    steps: usize,
    /// The figures: all measures on one, then each loss and probe alone; each as SVG and PNG.
    figures: Vec<String>,
}

/// The tool.
pub(crate) struct MetricsPlot;

impl Tool for MetricsPlot {
    const NAME: &'static str = "metrics.plot";
    const SUMMARY: &'static str = "Draws the losses, probes and other measures of a training run as SVG and PNG";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = host.about().base;
        let metrics = base.join(&arguments.metrics);
        let measures = read_measures(&metrics).map_err(|error| errors::train(&error))?;
        let title = arguments.title.unwrap_or_else(|| arguments.metrics.display().to_string());
        let figures = plots::draw(&measures, &title, &base.join(&arguments.out))?;
        if figures.is_empty() {
            let message = format!("{} holds no step with a number", metrics.display());
            return Err(
                NodeError::new("metrics.empty", message).hint("name the metrics.jsonl of a run that took a step")
            );
        }
        let figures = figures.iter().map(|path| path.display().to_string()).collect();
        Ok(Answer { steps: measures.len(), figures })
    }
}
