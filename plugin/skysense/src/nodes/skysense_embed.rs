//! `skysense.embed`: feature maps of chips.

use serde_json::json;
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_edges::feature_schema;

use crate::apply::{self, Settings, Task};

const DOC: &str = "\
Runs the encoders and the fusion of a SkySense model, and gives the fused features of each pixel.

## Columns
In: `chip`, and a `model` that is still to be trained. Out: `feature`: for each chip `[channel, height, width]` on the \
10 m grid, and where at least one input was valid.

## Limits
Any subset of the model's modalities and dates runs; bands are bound by name, and a band, unit, chip size or \
number of dates that does not fit is told while planning. Pixels go from Arrow to ONNX Runtime without a copy. \
On the CPU the same chips give the same bytes for any `batch` and `threads`.";

const EXAMPLE: &str = "\
features:
  uses: skysense.embed
  from: chips
  with: {model: models/tiny, device: cpu}
";

/// The node.
pub(crate) struct SkysenseEmbed;

impl Node for SkysenseEmbed {
    const NAME: &'static str = "skysense.embed";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives the fused features of a SkySense model for each pixel")
            .input("chips", &["chip"], "the chips to run the model on")
            .optional_input("model", &["model"], "a model that an earlier node trains")
            .output("feature")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let fit = apply::fit(&settings, inputs, host)?;
        let channels = fit.contract.channels;
        let side = fit.contract.chip_size;
        let batch = settings.batch.unwrap_or(8).max(1);
        let bytes = (batch * side * side * (4 * channels + 1)) as u64;
        let plan = NodePlan::new(feature_schema(channels, side))
            .facts(apply::plan_facts(&fit, channels))
            .state(json!(fit.state));
        Ok(plan.memory(fit.working_bytes(batch), bytes).cost("model_chips", fit.chips.chips() as f64, ""))
    }

    fn run(settings: Settings, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        apply::run(Task::Features, &settings, plan, inputs, host)
    }
}
