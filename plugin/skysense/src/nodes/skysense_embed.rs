//! `skysense.embed`: feature maps of chips.

use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};

use crate::apply::{self, Settings, Task, limits};

const DOC: &str = concat!(
    "\
Runs the encoders and the fusion of a SkySense model, and gives the fused features of each pixel.

## Columns
In: `chip`, and a `model` that is still to be trained. Out: `feature`: for each chip `[channel, height, width]` on the \
10 m grid, and where at least one input was valid.",
    limits!()
);

const EXAMPLE: &str = "\
features:
  uses: skysense.embed
  from: chips
  with: {model: models/tiny}
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
        apply::plan(Task::Features, &settings, inputs, host)
    }

    fn run(settings: Settings, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        apply::run(Task::Features, &settings, plan, inputs, host)
    }
}
