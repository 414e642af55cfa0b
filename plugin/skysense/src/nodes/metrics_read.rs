//! `metrics.read`: what was measured in training, as rows.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs};
use skysense_edges::{MetricBuilder, MetricRow, metric_schema};
use skysense_train::pretrain::Measures;
use skysense_train::read_measures;

use crate::errors;
use crate::settings::path;

const DOC: &str = "\
Gives the numbers of a `metrics.jsonl`, which training writes step by step: a row for each number of each step, in the order \
of the steps. What is no number has no row. Connected behind the node that trains it waits until that has come to its end.

## Columns
Out: `step` int64, counted from 1, `name` text, such as `loss.image`, and `value` float64.

## Limits
The file is read as a whole, before the first row is given.";

const EXAMPLE: &str = "\
numbers: {uses: metrics.read, from: model, with: {metrics: models/pretrained-metrics/metrics.jsonl}}
";

/// Most rows of one batch.
const ROWS: usize = 1 << 16;

/// Settings of `metrics.read`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The `metrics.jsonl` of a training.
    metrics: String,
}

/// The node.
pub(crate) struct MetricsRead;

impl Node for MetricsRead {
    const NAME: &'static str = "metrics.read";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives what was measured in training, a row for each number")
            .optional_input("after", &["model"], "the node that trains, to be waited for")
            .output("metric")
            .doc(DOC)
            .example(EXAMPLE)
            .impure()
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let file = path(&host.about().base, &settings.metrics);
        if inputs.get("after").is_none() && !file.is_file() {
            let message = format!("{} is not there", file.display());
            let hint = "name the metrics.jsonl of a training, or connect the node that trains";
            return Err(Fault::new("/metrics", "metrics.file", message).hint(hint).into());
        }
        // All steps are held; a name and a number take about three times the bytes that they do in the file. A row is its
        // number, its step, and a name of some letters.
        let held = file.metadata().map_or(64 << 20, |about| 3 * about.len());
        Ok(NodePlan::new(metric_schema()).memory(held, 64 * ROWS as u64))
    }

    fn run(settings: Settings, _: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let file = path(&host.about().base, &settings.metrics);
        Ok(Box::new(Rows { file, after: inputs.take("after"), left: None }))
    }
}

/// The rows on their way out.
struct Rows {
    file: PathBuf,
    after: Option<RunInput>,
    /// Steps that are still to be given, once the file was read.
    left: Option<std::vec::IntoIter<Measures>>,
}

impl Rows {
    /// Waits for the node before, and reads the file.
    fn read(&mut self) -> Result<std::vec::IntoIter<Measures>, NodeError> {
        for batch in self.after.take().into_iter().flatten() {
            let _waited_for = batch?;
        }
        Ok(read_measures(&self.file).map_err(|error| errors::train(&error))?.into_iter())
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_none() {
            match self.read() {
                Ok(steps) => self.left = Some(steps),
                Err(error) => {
                    self.left = Some(Vec::new().into_iter());
                    return Some(Err(error));
                }
            }
        }
        let mut rows = MetricBuilder::default();
        while rows.len() < ROWS
            && let Some(measures) = self.left.as_mut()?.next()
        {
            let step = measures.step as i64;
            measures.values.into_iter().for_each(|(name, value)| rows.push(MetricRow { step, name, value }));
        }
        (!rows.is_empty()).then(|| rows.finish().map_err(|error| errors::edge(&error)))
    }
}
