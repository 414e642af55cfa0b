//! `skysense.segment`: probabilities of classes.

use serde_json::json;
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_edges::prediction_schema;

use crate::apply::{self, Settings, Task};

const DOC: &str = "\
Runs a SkySense model with a segmentation head, and gives the probability of each class for each pixel.

## Columns
In: `chip`, and a `model` that is still to be trained. Out: `prediction`: for each chip `[class, height, width]` on the \
10 m grid, and where at least one input was valid.

## Limits
Any subset of the model's modalities and dates runs; bands are bound by name, and a band, unit, chip size or \
number of dates that does not fit is told while planning. Pixels go from Arrow to ONNX Runtime without a copy. \
On the CPU the same chips give the same bytes for any `batch` and `threads`.";

const EXAMPLE: &str = "\
classes:
  uses: skysense.segment
  from: chips
  with: {model: models/tiny, device: cpu}
";

/// The node.
pub(crate) struct SkysenseSegment;

impl Node for SkysenseSegment {
    const NAME: &'static str = "skysense.segment";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives the probability of each class for each pixel")
            .input("chips", &["chip"], "the chips to run the model on")
            .optional_input("model", &["model"], "a model that an earlier node trains")
            .output("prediction")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let fit = apply::fit(&settings, inputs, host)?;
        let Some(head) = &fit.contract.head else {
            let message = format!("model {} has no head: it gives features only", fit.contract.name);
            return Err(Fault::new("/model", "model.headless", message)
                .hint("use skysense.embed, or train a head with skysense.finetune")
                .into());
        };
        let channels = head.classes.len();
        let side = fit.contract.chip_size;
        let batch = settings.batch.unwrap_or(8).max(1);
        let bytes = (batch * side * side * (4 * channels + 1)) as u64;
        let plan = NodePlan::new(prediction_schema(channels, side))
            .facts(apply::plan_facts(&fit, channels))
            .state(json!(fit.state));
        Ok(plan.memory(fit.working_bytes(batch), bytes).cost("model_chips", fit.chips.chips() as f64, ""))
    }

    fn run(settings: Settings, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        apply::run(Task::Probabilities, &settings, plan, inputs, host)
    }
}
