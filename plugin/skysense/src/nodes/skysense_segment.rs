//! `skysense.segment`: what a head says, as maps.

use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};

use crate::apply::{self, Settings, Task, limits};

const DOC: &str = concat!(
    "\
Runs a SkySense model with a head, and gives what the head's task says for each pixel: the probability of each class, \
or the value of a quantity. Where the task is one of whole chips all pixels of a chip are alike; where it compares two \
times, the port `before` brings the chips of the earlier one.

## Columns
In: `chip`, and a `model` that is still to be trained. Out: `prediction`: for each chip `[class, height, width]` on the \
10 m grid, and where at least one input was valid.",
    limits!()
);

const EXAMPLE: &str = "\
classes:
  uses: skysense.segment
  from: chips
  with: {model: models/tiny}
";

/// The node.
pub(crate) struct SkysenseSegment;

impl Node for SkysenseSegment {
    const NAME: &'static str = "skysense.segment";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives what a model's head says for each pixel: probabilities of classes, or a value")
            .input("chips", &["chip"], "the chips to run the model on")
            .optional_input("before", &["chip"], "chips of an earlier time, for a model that compares two")
            .optional_input("model", &["model"], "a model that an earlier node trains")
            .output("prediction")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        apply::plan(Task::Answers, &settings, inputs, host)
    }

    fn run(settings: Settings, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        apply::run(Task::Answers, &settings, plan, inputs, host)
    }
}
