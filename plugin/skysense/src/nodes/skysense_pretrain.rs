//! `skysense.pretrain`: learns features from chips without labels and without a teacher that is there before.

use std::sync::Arc;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::Exists;
use skysense_edges::{ChipFacts, model_schema};
use skysense_train::pretrain::{
    HeldPlaces, Measures, PretrainConfig, PretrainCost, Pretrained, export_pretrained, planned_pretrained, pretrain,
    pretrain_cost,
};
use skysense_train::{Compute, Group, Hooks, Progress, Start, TrainError};

use crate::allocator::Keeping;
use crate::apply::{chip_facts, offers, planned_offers};
use crate::errors;
use crate::settings::{path, planned};
use crate::training::{
    Checkpointing, Heads, Holdout, Light, NormalisationSetting, Objects, Optimiser, Place, PlannedProbe, Precision,
    ProbeSetting, PrototypesSetting, Records, SideSetting, Teacher, Terms, Values, ViewsSetting, compute, held_places,
    keep_checkpoints, sample_bytes, show, taken, train_together, training_chips,
};

const DOC: &str = "\
Trains a SkySense model on chips without labels, as the paper does, and writes it as a model package without a head: \
`skysense.embed` takes it, `skysense.finetune` starts from it, `skysense.distill` has it teach a smaller one. A student \
and a teacher, its moving average, look at two views of each chip that are cropped, turned and thinned out in dates \
apart; the student learns to say what the teacher says of what both show: of pixels, of objects and of whole images, \
for each modality and for the fused features. Modalities are aligned with each other, and prototypes of the regions \
that chips lie in follow the fused features. `docs/PRETRAINING.md` has the method and the source of each value; each \
term can be left out with a weight of 0. A run that was killed goes on from its checkpoint to the same weights.

## Columns
In: `chip`. Out: `model`, one row.

## Several processes
Under `skysense run --processes`, `torchrun` or Slurm each process takes its share of every batch; centres, prototypes and \
the alignment are of all of it: see DISTRIBUTED.md.

## Limits
All chips are held in memory. `seconds` makes the weights depend on the speed of the machine; `steps` does not. Views \
are no larger than chips: with chips of 32 px and `views: {size: 16}` the two views of a chip lie apart, with views of the \
chips' own size they differ in turns, dates and light alone. Where chips and labels are connected for a probe, they are held \
too, and their features are measured by k-NN and a linear map every `probe.every` steps (docs/METRICS.md). The plan counts FLOP, memory and days at the speed that \
`tflops` assumes.";

const EXAMPLE: &str = "\
pretrained:
  uses: skysense.pretrain
  from: chips
  with:
    preset: tiny
    steps: 300
    views: {size: 16}
    terms: {alignment: 0.5}
    out: models/pretrained
";

/// Settings of `skysense.pretrain`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The set of values that all other settings are changes of: `small` or `paper`.
    values: Values,
    /// Architecture to train from nothing, such as `tiny`; left out, that of the values.
    preset: Option<String>,
    /// Folder of a model package to go on from, in place of a preset.
    start: Option<String>,
    /// Name of the model.
    name: String,
    /// Folder that gets the package; left out, it stays in the run's folder.
    out: Option<String>,
    /// What becomes of a package that is there: `fail` or `replace`.
    exists: Exists,
    /// Folder that gets what is measured at each step, for programs and for TensorBoard, and figures of it; left out, it
    /// stands beside `out` with `-metrics` behind its name.
    #[schemars(extend("x-skysense-execution" = true))]
    metrics: Option<String>,
    /// How the chips and labels that are connected for a probe are used.
    #[schemars(extend("x-skysense-execution" = true))]
    probe: ProbeSetting,
    /// Steps of the optimiser.
    #[schemars(range(min = 1))]
    steps: Option<usize>,
    /// How often each chip is seen on the average; in place of `steps`.
    epochs: Option<f64>,
    /// Seconds that the steps may take: they are cut to what fits.
    seconds: Option<f64>,
    /// Chips of one step.
    #[schemars(range(min = 1))]
    batch: Option<usize>,
    /// Peak learning rate.
    learning_rate: Option<f64>,
    /// The rest of the optimiser.
    optimiser: Optimiser,
    /// The teacher and the temperatures.
    teacher: Teacher,
    /// Projections that features are compared through.
    heads: Heads,
    /// Weights of the terms of the loss.
    terms: Terms,
    /// How pixels become objects.
    objects: Objects,
    /// Prototypes of regions.
    prototypes: PrototypesSetting,
    /// What views are.
    views: ViewsSetting,
    /// What is varied in the light of high-resolution images.
    light: Light,
    /// Where mean and deviation of the bands come from, for a preset.
    normalisation: Option<NormalisationSetting>,
    /// Which of the two networks becomes the model.
    export: Option<SideSetting>,
    /// Seed of weights, order and views.
    seed: u64,
    /// A strip along one side of the grid that no chip of the training touches.
    holdout: Option<Holdout>,
    /// Where training runs, as for `skysense.finetune`.
    device: String,
    /// What activations and products are computed in; left out, that of the values.
    precision: Option<Precision>,
    /// What is kept for the backward pass; left out, that of the values.
    checkpointing: Option<Checkpointing>,
    /// Parts that the chips of a step are dealt to, one after the other: less memory for the same step.
    #[schemars(range(min = 1))]
    accumulate: usize,
    /// Threads that make views.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    loaders: Option<usize>,
    /// Steps between checkpoints.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    every: Option<usize>,
    /// Checkpoints that stay, beside the one with the lowest loss.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    keep: Option<usize>,
    /// Speed in training that days in the plan assume, in 10¹² FLOP a second: 0.05 is two cores at `tiny`, 120 about
    /// 40 % of an A100's peak in bf16.
    #[schemars(extend("x-skysense-execution" = true))]
    tflops: f64,
    /// Licence of the weights as an SPDX expression, or `proprietary`.
    licence: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: Values::Small,
            preset: None,
            start: None,
            name: "skysense-pretrained".into(),
            out: None,
            exists: Exists::Fail,
            metrics: None,
            probe: ProbeSetting::default(),
            steps: None,
            epochs: None,
            seconds: None,
            batch: None,
            learning_rate: None,
            optimiser: Optimiser::default(),
            teacher: Teacher::default(),
            heads: Heads::default(),
            terms: Terms::default(),
            objects: Objects::default(),
            prototypes: PrototypesSetting::default(),
            views: ViewsSetting::default(),
            light: Light::default(),
            normalisation: None,
            export: None,
            seed: 0,
            holdout: None,
            device: "cpu".into(),
            precision: None,
            checkpointing: None,
            accumulate: 1,
            loaders: None,
            every: None,
            keep: None,
            tflops: 0.05,
            licence: "proprietary".into(),
        }
    }
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    chips: ChipFacts,
    probe: Option<PlannedProbe>,
}

/// The node.
pub(crate) struct SkysensePretrain;

impl Node for SkysensePretrain {
    const NAME: &'static str = "skysense.pretrain";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Learns features from chips without labels")
            .input("chips", &["chip"], "the chips to learn from; they need no labels")
            .optional_input("probe", &["chip"], "labelled chips that the features are measured on")
            .optional_input("labels", &["item"], "items with a label raster, for the probe")
            .output("model")
            .together()
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let chips = chip_facts(inputs)?;
        let samples = training_chips(&chips, settings.holdout.as_ref());
        let config = config(&settings, samples, host)?;
        let offers = offers(&chips)?;
        let told = |error: TrainError| vec![fault(&error)];
        let contract = planned_pretrained(&offers, chips.chip_size, &config).map_err(told)?;
        let cost = pretrain_cost(&offers, chips.chip_size, &config, settings.tflops).map_err(told)?;
        let out = settings.out.as_deref().map(|out| path(&host.about().base, out));
        if let Some(fault) = taken(out.as_deref(), settings.exists) {
            return Err(fault.into());
        }
        let probe = match (inputs.get("probe"), inputs.get("labels")) {
            (Some(probe), Some(labels)) => Some(settings.probe.planned(probe, labels)?),
            (None, None) => None,
            _ => {
                let message = "a probe needs both labelled chips and labels";
                return Err(Fault::new("", "input.missing", message).hint("connect both ports, or neither").into());
            }
        };
        let PretrainCost { weight_bytes, activation_bytes, checkpoint_bytes, .. } = cost;
        let working = sample_bytes(&chips, samples, config.recipe.batch)
            .saturating_add(weight_bytes)
            .saturating_add(activation_bytes)
            .saturating_add(probe.as_ref().map_or(0, |probe| probe.bytes()));
        // The newest ones, the best one, and the one that is being written.
        let checkpoints = checkpoint_bytes.saturating_mul(config.keep as u64 + 2);
        let facts = json!({"contract": contract, "path": out});
        Ok(NodePlan::new(model_schema())
            .facts(facts)
            .cost("training_chips", samples as f64, "")
            .cost("training_steps", config.recipe.steps as f64, "")
            .cost("parameters", cost.parameters as f64, "")
            .cost("training_flop", cost.flop, "FLOP")
            .cost("device_days", cost.device_days, "days")
            .cost("checkpoint_storage", checkpoints as f64, "bytes")
            .cost("sample_storage", (cost.place_bytes as f64) * samples as f64, "bytes")
            .memory(working, 1 << 20)
            .state(json!(State { chips, probe })))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let (state, chips): (State, _) = (planned(plan.state)?, inputs.require("chips")?);
        let probe = inputs.take("probe");
        Ok(Box::new(std::iter::once_with(move || train(&settings, &state, (chips, probe), &host))))
    }
}

/// The settings of pretraining on so many chips.
fn config(settings: &Settings, samples: usize, host: &Host) -> Result<PretrainConfig, Vec<Fault>> {
    let invalid = |field: &str, message: String| vec![Fault::new(field, "settings.invalid", message)];
    if settings.steps.is_some() && settings.epochs.is_some() {
        return Err(invalid("/epochs", "steps and epochs are both given: keep one".into()));
    }
    if settings.epochs.is_some_and(|epochs| !(epochs.is_finite() && epochs > 0.0)) {
        return Err(invalid("/epochs", format!("epochs is {:?}, expected more than 0", settings.epochs)));
    }
    let mut config = settings.values.config(&settings.name);
    if let Some(preset) = &settings.preset {
        config.recipe.start = Start::Preset(preset.clone());
    }
    if let Some(start) = &settings.start {
        config.recipe.start = Start::Package(path(&host.about().base, start));
    }
    config.recipe.batch = settings.batch.unwrap_or(config.recipe.batch);
    let of_epochs =
        |epochs: f64| ((epochs * samples as f64 / config.recipe.batch.max(1) as f64).ceil() as usize).max(1);
    // With a time budget alone, time and not a count of steps is the limit.
    let open = if settings.seconds.is_some() { 5000 } else { config.recipe.steps };
    config.recipe.steps = settings.steps.or(settings.epochs.map(of_epochs)).unwrap_or(open);
    config.recipe.seconds = settings.seconds;
    config.recipe.learning_rate = settings.learning_rate.unwrap_or(config.recipe.learning_rate);
    config.recipe.seed = settings.seed;
    config.recipe.every = settings.every.unwrap_or(config.recipe.every);
    config.recipe.normalisation = settings.normalisation.map_or(config.recipe.normalisation, Into::into);
    settings.optimiser.apply(&mut config);
    settings.teacher.apply(&mut config);
    settings.heads.apply(&mut config);
    settings.terms.apply(&mut config);
    settings.objects.apply(&mut config);
    settings.prototypes.apply(&mut config);
    settings.views.apply(&mut config);
    settings.light.apply(&mut config);
    config.export = settings.export.map_or(config.export, Into::into);
    let Compute { precision, checkpointing, .. } = config.compute;
    let precision = settings.precision.map_or(precision, Into::into);
    let checkpointing = settings.checkpointing.map_or(checkpointing, Into::into);
    config.compute = compute(&settings.device, precision, checkpointing)?;
    config.accumulate = settings.accumulate;
    config.loaders = settings.loaders.unwrap_or(config.loaders);
    config.keep = settings.keep.unwrap_or(config.keep);
    config.licence.clone_from(&settings.licence);
    Ok(config)
}

/// What does not fit, at the setting that can mend it.
fn fault(error: &TrainError) -> Fault {
    let field = match error {
        TrainError::Preset { .. } => "/preset",
        TrainError::Contract(_) | TrainError::Incomplete { .. } => "/start",
        TrainError::Setting { setting, .. } => match *setting {
            "size" | "overlap" | "local_size" | "crops" | "dates" => "/views",
            "heads" => "/heads",
            "objects" => "/objects",
            "prototypes" => "/prototypes",
            "photometric" => "/light",
            "tflops" => "/tflops",
            "seconds" => "/seconds",
            _ => "",
        },
        _ => "",
    };
    Fault { field: field.into(), ..Fault::from(errors::train(error)) }
}

/// Tells the host of each step, and keeps its numbers where there is a folder for them.
struct Watch<'a> {
    host: &'a Host,
    group: Arc<dyn Group>,
    records: Option<Records<'a>>,
}

impl Hooks for Watch<'_> {
    fn progress(&mut self, progress: &Progress) {
        // The numbers of the step come with all that was measured.
        self.host.progress(progress.step as u64, Some(progress.steps as u64), "steps");
    }

    fn measured(&mut self, measures: &Measures) {
        show(self.host, measures);
        if let Some(records) = &mut self.records {
            records.keep(measures);
        }
    }

    fn skipped(&mut self, place: &str, why: &str) {
        self.host.count("skipped_places", 1);
        self.host.log(Level::Warn, format!("chip {place} is left out: {why}"));
    }

    fn group(&self) -> Arc<dyn Group> {
        self.group.clone()
    }

    fn cancelled(&self) -> bool {
        self.host.cancelled()
    }
}

fn train(
    settings: &Settings,
    State { chips: facts, probe: planned }: &State,
    (chips, probe): (RunInput, Option<RunInput>),
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    train_together(settings.out.as_deref(), host, |together, target| {
        let held = held_places(chips, facts, settings.holdout.as_ref(), host)?;
        host.count("training_samples", held.len() as u64);
        if held.is_empty() {
            return Err(NodeError::new("train.pixels", "no chip outside of the holdout has pixels")
                .hint("make the holdout smaller, or search items of the area"));
        }
        let config = config(settings, held.len(), host);
        let mut config = config.map_err(|faults| errors::joined("settings.invalid", &faults))?;
        config.recipe.checkpoint = host.scratch().map(|scratch| scratch.join("checkpoints"));
        if let (Some(planned), Some(chips)) = (planned, probe) {
            config.probing = Some(settings.probe.read(planned, chips, host)?);
        }
        let metrics = match (&settings.metrics, &settings.out) {
            (Some(folder), _) => Some(path(&host.about().base, folder)),
            (None, Some(out)) => Some(path(&host.about().base, &format!("{}-metrics", out.trim_end_matches('/')))),
            (None, None) => None,
        };
        // Rank 0 alone keeps numbers.
        let records = metrics.filter(|_| together.writes()).map(|folder| Records::new(host, &folder));
        let mut watch = Watch { host, group: together.group(), records };
        let places = HeldPlaces::new(held, planned_offers(facts)?, facts.chip_size);
        let keeping = Keeping::new();
        let trained = pretrain(&places, &config, &mut watch).map_err(|error| errors::train(&error))?;
        drop(places);
        drop(keeping);
        if let Some(records) = &watch.records {
            records.finish(&settings.name);
        }
        tell(&trained, host);
        Ok(move || {
            let place = Place { target: &target, named: settings.out.is_some(), exists: settings.exists };
            let package = place.write(facts, host, |folder, context| export_pretrained(&trained, folder, context))?;
            if let Some(checkpoints) = config.recipe.checkpoint.as_ref().filter(|_| settings.out.is_some()) {
                keep_checkpoints(checkpoints, &target, host);
            }
            Ok(package)
        })
    })
}

fn tell(trained: &Pretrained, host: &Host) {
    let [first, last] = [trained.losses.first(), trained.losses.last()].map(|loss| loss.copied().unwrap_or_default());
    let Pretrained { steps, places, regions, .. } = trained;
    host.log(
        Level::Info,
        format!("{steps} steps on {places} chips in {regions} regions: loss {first:.3} to {last:.3}"),
    );
    let value = json!({"places": places, "regions": regions, "first_loss": first, "last_loss": last});
    host.report("decision", &json!({"what": "pretraining", "value": value, "why": format!("{steps} steps")}));
}
