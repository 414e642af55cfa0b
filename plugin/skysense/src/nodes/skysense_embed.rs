//! `skysense.embed`: feature maps of chips.

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};

use crate::apply::{self, BandsSetting, Task, limits};
use crate::settings::ModalitySetting;

const DOC: &str = concat!(
    "\
Runs the encoders and the fusion of a SkySense model, and gives the fused features of each pixel. A model without a \
fusion gives the features of its encoders side by side along the channels: `hr`, `s2` and `s1` in turn, zeros where a \
chip lacks a modality. With `modality` one encoder runs alone, of any model, and gives its own features of one date.

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

/// Settings of `skysense.embed`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Folder of the model package; left out, the model comes from the port `model`.
    model: Option<String>,
    /// Gives the features of the encoder of `hr`, `s2` or `s1` alone, of chips with one date of it; left out, what the model
    /// gives.
    modality: Option<ModalitySetting>,
    /// `all`: the chips must have all bands of the model. `subset`: the model's patch embedding takes the bands that are
    /// there and is rescaled; what was left out stands in the output.
    bands: BandsSetting,
    /// `auto`, `cpu`, `cuda` or `cuda:1`. A device that is named and not there is an error. Not part of the workflow's hash.
    #[schemars(extend("x-skysense-execution" = true))]
    device: Option<String>,
    /// Chips that are run at once; left out, what suits the device. Changes no pixel.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    batch: Option<usize>,
    /// Threads of the runtime; left out, as many as the run has. Changes no pixel.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    threads: Option<usize>,
}

impl Settings {
    fn split(self) -> (Task, apply::Settings) {
        let Self { model, modality, bands, device, batch, threads } = self;
        (
            Task::Features(modality.map(Into::into)),
            apply::Settings { model, bands, flips: false, device, batch, threads },
        )
    }
}

/// The node.
pub(crate) struct SkysenseEmbed;

impl Node for SkysenseEmbed {
    const NAME: &'static str = "skysense.embed";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives the features of a SkySense model for each pixel")
            .input("chips", &["chip"], "the chips to run the model on")
            .optional_input("model", &["model"], "a model that an earlier node trains")
            .output("feature")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let (task, settings) = settings.split();
        apply::plan(task, &settings, inputs, host)
    }

    fn run(settings: Settings, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let (task, settings) = settings.split();
        apply::run(task, &settings, plan, inputs, host)
    }
}
