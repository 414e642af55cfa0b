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
use skysense_edges::model_schema;
use skysense_train::pretrain::{
    Assumed, Measures, PretrainConfig, PretrainCost, Pretrained, export_pretrained, planned_pretrained, pretrain,
    pretrain_cost,
};
use skysense_train::{Compute, Group, Hooks, Progress, Start, TrainError};

use crate::allocator::Keeping;
use crate::errors;
use crate::settings::{path, planned};
use crate::training::{
    AssumedPlaces, CalendarSetting, Checkpointing, Heads, Holdout, Light, NormalisationSetting, Objects, Optimiser,
    Place, PlannedPlaces, PlannedProbe, Precision, ProbeSetting, PrototypesSetting, Records, SideSetting, Teacher,
    Terms, ValidationSetting, Values, ViewsSetting, calendar, compute, keep_checkpoints, show, taken, train_together,
};

const DOC: &str = "\
Trains a SkySense model on chips without labels, as the paper does, and writes it as a model package without a head: \
`skysense.embed` takes it, `skysense.finetune` starts from it, `skysense.distill` has it teach a smaller one. A student \
and a teacher, its moving average, look at two views of each chip that are cropped, turned and thinned out in dates \
apart; the student learns to say what the teacher says of what both show: of pixels, of objects and of whole images, \
for each modality and for the fused features. Modalities are aligned with each other, and prototypes of the regions \
that chips lie in follow the fused features. `docs/PRETRAINING.md` has the method and the source of each value; each \
term can be left out with a weight of 0. A run that was killed goes on from its checkpoint to the same weights.

It learns from chips of one grid, from samples of `raster.samples`, or from training shards: those that `data.write` writes \
before, or a folder named by `shards`. Samples of shards are read one at a time, in another order in each epoch; those that \
validate are not learned from, and their losses are told as `validation.loss`.

## Columns
In: `chip`, `sample` or `dataset`. Out: `model`, one row.

## Several processes
Under `skysense run --processes`, `torchrun` or Slurm each process takes its share of every batch; centres, prototypes and \
the alignment are of all of it: see DISTRIBUTED.md. Write shards in a run of one process before, and name them with `shards`.

## Limits
Chips and samples are held in memory, shards are not. `seconds` makes the weights depend on the speed of the machine; `steps` does not. Views \
are no larger than chips: with chips of 32 px and `views: {size: 16}` the two views of a chip lie apart, with views of the \
chips' own size they differ in turns, dates and light alone. Where chips and labels are connected for a probe, they are held \
too, and their features are measured by k-NN and a linear map every `probe.every` steps (docs/METRICS.md). The plan counts \
FLOP, memory, storage, what goes over the network, and days at the speed that `tflops` assumes, on as many `devices`; with \
`assume` it needs no places.";

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
    /// Folder of training shards to learn from, in place of the port `chips`.
    shards: Option<String>,
    /// How samples of shards that validate are looked at.
    #[schemars(extend("x-skysense-execution" = true))]
    validation: ValidationSetting,
    /// Places that a plan assumes, in place of the port `chips` and of `shards`; such a workflow cannot be run.
    assume: Option<AssumedPlaces>,
    /// Architecture to train from nothing, such as `tiny`; left out, that of the values.
    preset: Option<String>,
    /// Folder of a model package to go on from, in place of a preset.
    start: Option<String>,
    /// Which tokens carry the encoding of the day of the year, for a preset, as for `skysense.finetune`.
    calendar: Option<CalendarSetting>,
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
    /// Rounds that the chips of a step are dealt to, one after the other: less memory for the same step. The alignment of
    /// modalities and balanced targets, which are of the whole step, take a forward pass more then.
    #[schemars(range(min = 1))]
    accumulate: usize,
    /// Parts that the chips of a round are dealt to on the processor, side by side. Weights depend on it by rounding and by
    /// which branches drop, and not on the number of threads.
    #[schemars(range(min = 1))]
    parts: Option<usize>,
    /// Places that mean and deviation of the bands are measured on, where they come from the places.
    #[schemars(range(min = 1))]
    measured: Option<usize>,
    /// Threads that make views.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    loaders: Option<usize>,
    /// Steps between checkpoints.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    every: Option<usize>,
    /// Checkpoints that stay, beside the one with the lowest loss.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    keep: Option<usize>,
    /// Speed of a device in training that days in the plan assume, in 10¹² FLOP a second: 0.05 is two cores at `tiny`, 120
    /// about 40 % of an A100's peak in bf16.
    #[schemars(extend("x-skysense-execution" = true))]
    tflops: f64,
    /// Devices that the plan shares a batch out to; left out, as many as the run has processes.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    devices: Option<usize>,
    /// Licence of the weights as an SPDX expression, or `proprietary`.
    licence: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: Values::Small,
            shards: None,
            validation: ValidationSetting::default(),
            assume: None,
            calendar: None,
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
            parts: None,
            measured: None,
            loaders: None,
            every: None,
            keep: None,
            tflops: 0.05,
            devices: None,
            licence: "proprietary".into(),
        }
    }
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    places: PlannedPlaces,
    probe: Option<PlannedProbe>,
}

/// The node.
pub(crate) struct SkysensePretrain;

impl Node for SkysensePretrain {
    const NAME: &'static str = "skysense.pretrain";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Learns features from chips without labels")
            .optional_input(
                "chips",
                &["chip", "sample", "dataset"],
                "what to learn from, without labels: chips, samples or training shards",
            )
            .optional_input("probe", &["chip"], "labelled chips that the features are measured on")
            .optional_input("labels", &["item"], "items with a label raster, for the probe")
            .output("model")
            .together()
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let shards = settings.shards.as_deref().map(|shards| path(&host.about().base, shards));
        let places = PlannedPlaces::new(inputs.get("chips"), shards.as_deref(), settings.assume.as_ref(), host)?;
        if settings.holdout.is_some() && places.chips().is_none() {
            let message = "a holdout is a strip of a grid of chips, and these places have no grid in common";
            let hint = "leave it out: shards have a part that validates (`validation` of data.write)";
            return Err(Fault::new("/holdout", "settings.invalid", message).hint(hint).into());
        }
        let samples = places.count(settings.holdout.as_ref());
        let config = config(&settings, samples, host)?;
        let offers = places.offers()?;
        let told = |error: TrainError| vec![fault(&error)];
        let contract = planned_pretrained(&offers, places.size(), &config).map_err(told)?;
        let devices = settings.devices.unwrap_or(host.about().processes);
        let assumed = Assumed { tflops: settings.tflops, devices };
        let cost = pretrain_cost(&offers, places.size(), &config, assumed).map_err(told)?;
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
        let batch = config.recipe.batch.div_ceil(devices.max(1));
        let working = places
            .bytes(settings.holdout.as_ref(), batch)
            .saturating_add(weight_bytes)
            .saturating_add(activation_bytes)
            .saturating_add(probe.as_ref().map_or(0, |probe| probe.bytes()));
        // The newest ones, the best one, and the one that is being written.
        let checkpoints = checkpoint_bytes.saturating_mul(config.keep as u64 + 2);
        let facts = json!({"contract": contract, "path": out});
        assumptions(&cost, assumed, &config, host);
        Ok(NodePlan::new(model_schema())
            .facts(facts)
            .cost("training_chips", samples as f64, "")
            .cost("training_steps", config.recipe.steps as f64, "")
            .cost("parameters", cost.parameters as f64, "")
            .cost("training_flop", cost.flop, "FLOP")
            .cost("device_days", cost.device_days, "days")
            .cost("wall_days", cost.wall_days, "days")
            .cost("device_memory", weight_bytes.saturating_add(activation_bytes) as f64, "bytes")
            .cost("gradients_sent", cost.sent_bytes, "bytes")
            .cost("places_read", cost.read_bytes, "bytes")
            .cost("checkpoint_storage", checkpoints as f64, "bytes")
            .cost("sample_storage", (cost.place_bytes as f64) * samples as f64, "bytes")
            .memory(working, 1 << 20)
            .state(json!(State { places, probe })))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let state: State = planned(plan.state)?;
        let (chips, probe) = (inputs.take("chips"), inputs.take("probe"));
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
    if settings.teacher.iterations_without_balance() {
        let message = "iterations are those of balanced targets, and targets is not balanced";
        return Err(invalid("/teacher/iterations", format!("{message}: write `targets: balanced`, or leave them out")));
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
    config.recipe.calendar = calendar(settings.calendar, settings.start.as_deref(), config.recipe.calendar)?;
    config.recipe.parts = settings.parts.unwrap_or(config.recipe.parts);
    config.measured = settings.measured.unwrap_or(config.measured);
    config.recipe.normalisation = settings.normalisation.map_or(config.recipe.normalisation, Into::into);
    settings.optimiser.apply(&mut config);
    settings.teacher.apply(&mut config);
    settings.heads.apply(&mut config);
    settings.terms.apply(&mut config);
    settings.objects.apply(&mut config);
    settings.prototypes.apply(&mut config);
    settings.views.apply(&mut config);
    settings.light.apply(&mut config);
    settings.validation.apply(&mut config);
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

/// What the numbers of a plan rest on.
fn assumptions(cost: &PretrainCost, Assumed { tflops, devices }: Assumed, config: &PretrainConfig, host: &Host) {
    let share = config.recipe.batch.div_ceil(devices.max(1));
    let decide = |what: &str, value: String, why: &str| {
        host.report("decision", &json!({"what": what, "value": value, "why": why}));
    };
    decide(
        "speed",
        format!("{tflops} TFLOP/s a device, {devices} devices"),
        "`tflops` and `devices`; FLOP are those of products, a backward pass as two forward passes, losses not counted; no \
         time is lost to waiting, to the network or to blocks that are computed again",
    );
    decide(
        "device memory",
        format!("{share} places a device, in {} rounds", config.accumulate),
        "weights of both networks, gradients and moments in single precision on every device, and the activations of its \
         share of a batch; nothing is sharded",
    );
    decide(
        "network",
        format!("{} of gradients a step", mib(cost.gradient_bytes)),
        "each device sends 2 · (N − 1) / N of its gradients in single precision at each step, in a ring; places are read once \
         for each time that they are seen, in the types of their pixels",
    );
    decide(
        "storage",
        format!("{} a place", mib(cost.place_bytes)),
        "pixels in their types and a byte of validity, not compressed",
    );
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
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
            "devices" => "/devices",
            "targets" => "/teacher",
            "validation" => "/validation",
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
        self.host.log(Level::Warn, format!("place {place} is left out: {why}"));
    }

    fn skipped_before(&mut self, places: usize) {
        self.host.count("skipped_places", places as u64);
        self.host.log(Level::Warn, format!("{places} places were left out before this run was broken off"));
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
    State { places: learned, probe: planned }: &State,
    (chips, probe): (Option<RunInput>, Option<RunInput>),
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    train_together(settings.out.as_deref(), host, |together, target| {
        let places = learned.read(chips, settings.holdout.as_ref(), host)?;
        host.count("training_samples", places.count() as u64);
        let config = config(settings, places.count(), host);
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
        let keeping = Keeping::new();
        let trained = pretrain(&*places, &config, &mut watch).map_err(|error| errors::train(&error))?;
        drop(places);
        drop(keeping);
        if let Some(records) = &watch.records {
            records.finish(&settings.name);
        }
        tell(&trained, host);
        Ok(move || {
            let place = Place { target: &target, named: settings.out.is_some(), exists: settings.exists };
            let package =
                place.write(learned.chips(), host, |folder, context| export_pretrained(&trained, folder, context))?;
            if let Some(checkpoints) = config.recipe.checkpoint.as_ref().filter(|_| settings.out.is_some()) {
                keep_checkpoints(checkpoints, &target, host);
            }
            Ok(package)
        })
    })
}

fn tell(trained: &Pretrained, host: &Host) {
    let [first, last] = [trained.losses.first(), trained.losses.last()].map(|loss| loss.copied().unwrap_or_default());
    let Pretrained { steps, places, regions, skipped, .. } = trained;
    host.log(
        Level::Info,
        format!("{steps} steps on {places} places in {regions} regions: loss {first:.3} to {last:.3}"),
    );
    let value =
        json!({"places": places, "skipped": skipped, "regions": regions, "first_loss": first, "last_loss": last});
    host.report("decision", &json!({"what": "pretraining", "value": value, "why": format!("{steps} steps")}));
}
