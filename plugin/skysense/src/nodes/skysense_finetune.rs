//! `skysense.finetune`: trains a model for a task on labelled chips.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::Exists;
use skysense_contract::{Class, HeadKind, Quantity, Task};
use skysense_edges::{ChipFacts, model_schema};
use skysense_train::loss::ClassWeights;
use skysense_train::{
    DetectConfig, EarlyStopping, FinetuneConfig, Samples, SpooledSamples, Start, TrainError, Trained, export,
    export_detector, finetune, planned_contract, planned_detector, train_detector,
};

use crate::allocator::Keeping;
use crate::apply::{chip_facts, most_dates, named_chips, offers, paired, planned_offers};
use crate::chips::{access, item_rows};
use crate::errors;
use crate::settings::{path, planned};
use crate::training::{
    CalendarSetting, Checkpointing, Holdout, LabelDates, LabelReader, LabelSource, LoraSetting, ObjectSource,
    ObjectsSetting, Place, PlannedSplit, Precision, ShapesSetting, SplitSetting, Teller, Truth, Wanted, calendar,
    compute, cpu, detection_samples, hr_scale, labelled, object_classes, object_sources, of_no_use, placed,
    spool_folder, spooled_bytes, taken, task_classes, task_sources, tell_detector, train_together, training_chips,
    unused,
};

const DOC: &str = "\
Trains a SkySense model for a task on chips and labels, and writes it as a model package: ONNX graphs, weights, \
contract and a probe. Labels are rasters, or vector layers that are burnt onto the grid (`shapes`). Chips and labels are paired by place, and by \
time only with `label_dates: match`; classes are those that the label items name. The plan gives the contract, so the nodes behind know bands, chip size and classes before anything \
is trained. A run that was killed goes on from its checkpoint to the same weights.

## Tasks
`segmentation`: a class for each pixel. `regression`: a number for each pixel, of a raster of numbers. `classification`: \
one class for each chip, the commonest of its labelled pixels; `multi_label`: any classes, those that have `chip_share` of \
them. `change`: a class for each pixel from chips of two times, of which the lowest value means no change; the port \
`before` brings the earlier ones. `detection`, `oriented_detection`: objects as upright or rotated boxes on high-resolution \
chips, from files of objects (GeoJSON and other vector layers, COCO JSON, DOTA text; docs/DETECTION.md).

## Columns
In: `chip`, for change those of an earlier time too, and `item` with the labels. Out: `model`, one row.

## Several processes
Under `skysense run --processes`, `torchrun` or Slurm each process takes its share of every batch, and gradients are added \
up: see DISTRIBUTED.md. Rank 0 writes the package.

## Limits
Labelled chips wait in a file in the run's folder, so that memory does not grow with them: held are the chips of a step and, of each chip, \
what is known of its pixels (up to eight bytes for one of 10 m). The file has chips as they came and as they are fed, in the type of the pixels. `seconds` makes the weights depend on the speed of the machine; `steps` does \
not. Chips that touch the `holdout` are not learned from, so a score there is honest.";

const EXAMPLE: &str = "\
model:
  uses: skysense.finetune
  from: {chips: chips, labels: labels}
  with:
    preset: tiny
    steps: 400
    holdout: {share: 0.25, side: east}
    out: models/crops
";

/// Settings of `skysense.finetune`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// What is learned. The package's contract has it as the kind of its head.
    #[schemars(with = "String", extend("enum" = Task::ALL.map(Task::name)))]
    task: Task,
    /// What is put on the features: `light`, or for segmentation and regression `uper`, UPerNet on a pyramid of them.
    #[schemars(with = "String", extend("enum" = ["light", "uper"]))]
    head: HeadKind,
    /// Name of what a regression learns; left out, that of the label asset.
    quantity: Option<String>,
    /// Share of a chip's labelled pixels from which on it has a class, of `multi_label`.
    #[schemars(range(min = 0, max = 1))]
    chip_share: f64,
    /// Architecture to train from nothing, such as `tiny`.
    preset: String,
    /// Folder of a model package to start from, in place of a preset.
    start: Option<String>,
    /// Which tokens carry the encoding of the day of the year, for a preset: `s2_only`, as in the official code, `all`, as in
    /// the paper's equation, or `none`; left out, `s2_only`. A package at `start` brings its own.
    calendar: Option<CalendarSetting>,
    /// Name of the model.
    name: String,
    /// Folder that gets the package; left out, it stays in the run's folder.
    out: Option<String>,
    /// What becomes of a package that is there: `fail` or `replace`.
    exists: Exists,
    /// Key of the asset that holds the labels; left out, the one with the role `labels` or with classes.
    label_asset: Option<String>,
    /// Which objects are learned, where the task is to find some.
    objects: ObjectsSetting,
    /// How shapes of vector layers become pixels, where labels are such.
    shapes: ShapesSetting,
    /// Which labels belong to the chips of a period: `any` of the place, or with `match` those whose time overlaps it.
    label_dates: LabelDates,
    /// Which places train, validate and are kept for a test, where that is given; left out, `holdout` and `validation` say it.
    split: Option<SplitSetting>,
    /// Label values that are not learned, beside those that mean no data.
    ignore: Vec<u8>,
    /// Steps of the optimiser; left out, 300.
    #[schemars(range(min = 1))]
    steps: Option<usize>,
    /// How often each sample is seen on the average; in place of `steps`.
    epochs: Option<f64>,
    /// Seconds that training may take: steps are cut to what fits.
    seconds: Option<f64>,
    /// Samples of one step.
    #[schemars(range(min = 1))]
    batch: usize,
    /// Peak learning rate.
    learning_rate: Option<f64>,
    /// `equal` favours the overall accuracy, `balanced` rare classes.
    class_weights: Weights,
    /// Whether probabilities are calibrated: what the head gives is divided by the temperature that suits the blocks that
    /// validate. Classes stay as they are.
    calibrate: bool,
    /// What the learning rate is multiplied with from block to block of the encoders towards their input: 0.75, say, leaves
    /// pretrained layers near it mostly as they are. 1 is one rate for all.
    #[schemars(range(min = 0, max = 1))]
    layer_decay: f64,
    /// Ends training where what validates gets no better.
    early_stopping: Option<Stopping>,
    /// Whether only the head learns.
    frozen: bool,
    /// Adapters of low rank that learn in place of the encoder, which stays as it is; in the package they are added to its
    /// weights.
    lora: Option<LoraSetting>,
    /// Whether prototypes by region of the package at `start` are used, where it has some. They stay as they are; what is
    /// projected to them and from them learns. Without, the model has none.
    prototypes: bool,
    /// Where training runs: `cpu`, or `cuda`, `rocm`, `vulkan`, `metal`, `wgpu` where the plugin was built with that
    /// feature, with a number as in `cuda:1` where there are several. Another device never takes its place.
    device: String,
    /// What activations and products are computed in; weights are kept in single precision.
    precision: Precision,
    /// What is kept for the backward pass: `blocks` takes less memory and more time, and gives the same weights but for rounding.
    checkpointing: Checkpointing,
    /// Seed of weights, order and augmentation.
    seed: u64,
    /// A strip along one side of the grid that no training chip touches.
    holdout: Option<Holdout>,
    /// Share of the training pixels that validate, in whole blocks of the map.
    #[schemars(range(min = 0, max = 0.9))]
    validation: f64,
    /// Licence of the weights as an SPDX expression, or `proprietary`.
    licence: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            task: Task::Segmentation,
            head: HeadKind::Light,
            quantity: None,
            chip_share: 0.1,
            preset: "tiny".into(),
            start: None,
            calendar: None,
            name: "skysense-finetuned".into(),
            out: None,
            exists: Exists::Fail,
            label_asset: None,
            objects: ObjectsSetting::default(),
            shapes: ShapesSetting::default(),
            label_dates: LabelDates::Any,
            split: None,
            ignore: Vec::new(),
            steps: None,
            epochs: None,
            seconds: None,
            batch: 4,
            learning_rate: None,
            class_weights: Weights::Equal,
            calibrate: false,
            layer_decay: 1.0,
            early_stopping: None,
            frozen: false,
            lora: None,
            prototypes: true,
            device: cpu(),
            precision: Precision::F32,
            checkpointing: Checkpointing::Off,
            seed: 0,
            holdout: None,
            validation: 0.2,
            licence: "proprietary".into(),
        }
    }
}

/// When training ends early.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stopping {
    /// Steps between looks.
    #[schemars(range(min = 1))]
    every: usize,
    /// Looks without a better score after which it ends.
    #[schemars(range(min = 1))]
    patience: usize,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { every: 50, patience: 4 }
    }
}

/// How classes are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weights {
    /// All alike.
    Equal,
    /// Rare classes more.
    Balanced,
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    chips: ChipFacts,
    /// Those of the earlier time, where the task compares two.
    before: Option<ChipFacts>,
    labels: Vec<LabelSource>,
    classes: Vec<Class>,
    split: Option<PlannedSplit>,
}

/// What a run that learns objects must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct DetectionState {
    chips: ChipFacts,
    labels: Vec<ObjectSource>,
    classes: Vec<Class>,
    split: Option<PlannedSplit>,
}

/// The node.
pub(crate) struct SkysenseFinetune;

impl Node for SkysenseFinetune {
    const NAME: &'static str = "skysense.finetune";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Trains a model for a task on labelled chips")
            .input("chips", &["chip"], "the chips to learn from")
            .optional_input("before", &["chip"], "chips of an earlier time, for change")
            .input("labels", &["item"], "items with a label raster, a vector layer, or a file of objects")
            .optional_input("images", &["item"], "the images that files of objects name, where they tell pixels")
            .output("model")
            .together()
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let chips = chip_facts(inputs)?;
        let mut unused = of_no_use(settings.task, &settings, inputs);
        if settings.split.is_some() && settings.validation != Settings::default().validation {
            let message = format!("validation is {}, and `split` says what validates", settings.validation);
            unused.push(Fault::new("/validation", "settings.unused", message).hint("leave `validation` out"));
        }
        if !unused.is_empty() {
            return Err(unused);
        }
        if settings.task.of_objects() {
            return plan_detector(&settings, chips, inputs, host);
        }
        let labels = inputs.require("labels")?;
        let access = access([labels]);
        let before = earlier(&settings, &chips, inputs)?;
        let rows = item_rows(labels)?;
        let crs = &chips.geobox.crs;
        let (asset, task) = (settings.label_asset.as_deref(), settings.task);
        let mut sources = task_sources(&rows, &access, Wanted { asset, task, shapes: Some((&settings.shapes, crs)) })?;
        let classes = task_classes(&sources, &settings.ignore, task)?;
        let undated = settings.label_dates.faults(&sources, &chips);
        if !undated.is_empty() {
            return Err(undated);
        }
        let split = match &settings.split {
            Some(split) => Some(split.plan(&host.about().base, (&rows, &mut sources), crs)?),
            None => None,
        };
        let reader = LabelReader::open(&sources, &classes, crs).map_err(Fault::from)?;
        if !reader.touches(&chips.geobox) {
            let items: Vec<&str> = sources.iter().map(|source| source.item.as_str()).take(3).collect();
            let message = format!("the labels of {} lie outside of the chips' grid", items.join(", "));
            return Err(Fault::new("", "label.outside", message).hint("search labels of the chips' area").into());
        }
        let samples = training_chips(&chips, settings.holdout.as_ref());
        let config = config(&settings, (&classes, &sources), samples, host)?;
        let mut offers = offers(&chips)?;
        if let Some(before) = &before {
            most_dates(&mut offers, before)?;
        }
        let contract = planned_contract(&offers, &config).map_err(|error| at_setting(&error))?;
        let out = settings.out.as_deref().map(|out| path(&host.about().base, out));
        if let Some(fault) = taken(out.as_deref(), settings.exists) {
            return Err(fault.into());
        }
        let times = if before.is_some() { 2 } else { 1 };
        let (working, spooled) = spooled_bytes(&chips, samples, settings.batch);
        let facts = json!({"contract": contract, "path": out, "holdout": held(&settings, &chips)});
        Ok(NodePlan::new(model_schema())
            .facts(facts)
            .cost("training_chips", samples as f64, "")
            .cost("training_steps", config.recipe.steps as f64, "")
            .cost("scratch", (times * spooled) as f64, "bytes")
            .memory(times * working, 1 << 20)
            .state(json!(State { chips, before, labels: sources, classes, split })))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        if settings.task.of_objects() {
            let (state, chips) = (planned(plan.state)?, inputs.require("chips")?);
            return Ok(Box::new(std::iter::once_with(move || detector(&settings, &state, chips, &host))));
        }
        let (state, chips) = (planned(plan.state)?, (inputs.require("chips")?, inputs.take("before")));
        Ok(Box::new(std::iter::once_with(move || train(&settings, &state, chips, &host))))
    }
}

/// Chips of the earlier time, where the task compares two.
fn earlier(settings: &Settings, chips: &ChipFacts, inputs: &PlanInputs) -> Result<Option<ChipFacts>, Vec<Fault>> {
    match (settings.task.compares(), inputs.get("before").is_some()) {
        (true, true) => Ok(Some(paired(chips, &named_chips(inputs, "before")?)?)),
        (false, false) => Ok(None),
        (true, false) => {
            let message = "change compares two times, and chips of one are there";
            let hint = "connect the chips of the earlier time to the port `before`";
            Err(Fault::new("/task", "chips.times", message).hint(hint).into())
        }
        (false, true) => {
            let message = format!("{} looks at one time, and chips of two are there", settings.task);
            Err(Fault::new("/task", "chips.times", message).hint("leave `before` out, or set `task: change`").into())
        }
    }
}

/// West, south, east and north of what is kept back, in degrees.
fn held(settings: &Settings, chips: &ChipFacts) -> Option<[f64; 4]> {
    let strip = settings.holdout?.window(&chips.geobox)?;
    let strip = chips.geobox.window(&strip).ok()?;
    skysense_raster::footprint(&strip).ok().map(|outline| outline.bbox)
}

/// What training says of its settings, at the setting that it is of.
fn at_setting(error: &TrainError) -> Vec<Fault> {
    let field = match error {
        TrainError::Preset { .. } => "/preset".to_owned(),
        // What chips offer is no setting of this node.
        TrainError::Setting { setting: "offers", .. } => String::new(),
        TrainError::Setting { setting, .. } if !setting.contains(',') => format!("/{setting}"),
        _ => String::new(),
    };
    vec![Fault { field, ..Fault::from(errors::train(error)) }]
}

/// The settings of training.
fn config(
    settings: &Settings,
    (classes, sources): (&[Class], &[LabelSource]),
    samples: usize,
    host: &Host,
) -> Result<FinetuneConfig, Vec<Fault>> {
    if settings.steps.is_some() && settings.epochs.is_some() {
        return Err(Fault::new("/epochs", "settings.invalid", "steps and epochs are both given: keep one").into());
    }
    if settings.epochs.is_some_and(|epochs| !(epochs.is_finite() && epochs > 0.0)) {
        return Err(Fault::new(
            "/epochs",
            "settings.invalid",
            format!("epochs is {:?}, expected more than 0", settings.epochs),
        )
        .into());
    }
    let ignored = unused(classes).map_err(|message| vec![Fault::new("/ignore", "label.classes", message)])?;
    let mut config = FinetuneConfig::new(&settings.name, classes.to_vec());
    config.task = settings.task;
    config.head = settings.head;
    if settings.task == Task::Regression {
        let named = settings.quantity.clone().or_else(|| sources.first().map(|source| source.asset.clone()));
        let unit = sources.iter().find_map(|source| source.unit.clone()).unwrap_or_default();
        let unnamed = Quantity::unnamed();
        config.quantity = Some(Quantity { name: named.unwrap_or_else(|| unnamed.name.clone()), unit, ..unnamed });
    }
    config.recipe.start = match &settings.start {
        Some(start) => Start::Package(path(&host.about().base, start)),
        None => Start::Preset(settings.preset.clone()),
    };
    config.recipe.calendar = calendar(settings.calendar, settings.start.as_deref(), config.recipe.calendar)?;
    config.ignore = vec![ignored];
    let of_epochs = |epochs: f64| ((epochs * samples as f64 / settings.batch.max(1) as f64).ceil() as usize).max(1);
    // With a time budget alone, time and not a count of steps is the limit.
    let open = if settings.seconds.is_some() { 5000 } else { config.recipe.steps };
    config.recipe.steps = settings.steps.or(settings.epochs.map(of_epochs)).unwrap_or(open);
    config.recipe.seconds = settings.seconds;
    config.recipe.batch = settings.batch;
    config.recipe.learning_rate = settings.learning_rate.unwrap_or(config.recipe.learning_rate);
    config.class_weights = match settings.class_weights {
        Weights::Equal => ClassWeights::Equal,
        Weights::Balanced => ClassWeights::MedianFrequency,
    };
    config.calibrate = settings.calibrate;
    config.layer_decay = settings.layer_decay;
    config.early_stopping =
        settings.early_stopping.map(|Stopping { every, patience }| EarlyStopping { every, patience });
    config.frozen = settings.frozen;
    config.lora = settings.lora.map(Into::into);
    config.prototypes = settings.prototypes;
    config.compute = compute(&settings.device, settings.precision, settings.checkpointing)?;
    config.recipe.seed = settings.seed;
    config.recipe.validation = settings.validation;
    config.licence.clone_from(&settings.licence);
    Ok(config)
}

/// The plan of a training that learns objects.
fn plan_detector(
    settings: &Settings,
    chips: ChipFacts,
    inputs: &PlanInputs,
    host: &Host,
) -> Result<NodePlan, Vec<Fault>> {
    hr_scale(&chips)?;
    let (labels, images) = (inputs.require("labels")?, inputs.get("images"));
    let access = access([Some(labels), images].into_iter().flatten());
    let images = images.map(item_rows).transpose()?.unwrap_or_default();
    let sources = object_sources(&item_rows(labels)?, settings.label_asset.as_deref(), &images, &access)?;
    let fault = |message: String| vec![Fault::new("/label_asset", "label.objects", message)];
    let placed = placed(&sources, &settings.objects, &chips).map_err(fault)?;
    let classes = object_classes(&placed, &settings.objects.classes)?;
    let split = match &settings.split {
        Some(split) => Some(split.plan_places(&host.about().base, &chips.geobox.crs)?),
        None => None,
    };
    let samples = training_chips(&chips, settings.holdout.as_ref());
    let config = detect_config(settings, &classes, samples, host)?;
    let contract = planned_detector(&offers(&chips)?, &config).map_err(|error| at_setting(&error))?;
    let out = settings.out.as_deref().map(|out| path(&host.about().base, out));
    if let Some(fault) = taken(out.as_deref(), settings.exists) {
        return Err(fault.into());
    }
    let (working, spooled) = spooled_bytes(&chips, samples, settings.batch);
    Ok(NodePlan::new(model_schema())
        .facts(json!({"contract": contract, "path": out, "holdout": held(settings, &chips)}))
        .cost("training_chips", samples as f64, "")
        .cost("training_objects", placed.len() as f64, "")
        .cost("training_steps", config.recipe.steps as f64, "")
        .cost("scratch", spooled as f64, "bytes")
        .memory(working, 1 << 20)
        .state(json!(DetectionState { chips, labels: sources, classes, split })))
}

/// The settings of a training that learns objects.
fn detect_config(
    settings: &Settings,
    classes: &[Class],
    samples: usize,
    host: &Host,
) -> Result<DetectConfig, Vec<Fault>> {
    let common = config(settings, (classes, &[]), samples, host)?;
    let rotated = settings.task == Task::OrientedDetection;
    Ok(DetectConfig {
        recipe: common.recipe,
        frozen: common.frozen,
        compute: common.compute,
        licence: common.licence,
        ..DetectConfig::new(&settings.name, classes.to_vec(), rotated)
    })
}

/// Trains a detector.
fn detector(
    settings: &Settings,
    state: &DetectionState,
    chips: RunInput,
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    train_together(settings.out.as_deref(), host, |together, target| {
        let fault = |message: String| NodeError::new("label.objects", message);
        let placed = placed(&state.labels, &settings.objects, &state.chips).map_err(fault)?;
        let rotated = settings.task == Task::OrientedDetection;
        let labels = (&placed[..], &state.classes[..], rotated);
        let places = (settings.holdout.as_ref(), state.split.as_ref());
        let samples = detection_samples(chips, &state.chips, labels, places, host)?;
        host.count("training_samples", samples.count() as u64);
        let config = detect_config(settings, &state.classes, samples.count(), host);
        let mut config = config.map_err(|faults| errors::joined("settings.invalid", &faults))?;
        config.recipe.checkpoint = host.scratch().map(|scratch| scratch.join("checkpoints"));
        let offers = planned_offers(&state.chips)?;
        let keeping = Keeping::new();
        let trained = train_detector(&samples, &offers, &config, &mut Teller(host, together.group()));
        let trained = trained.map_err(|error| errors::train(&error))?;
        drop(samples);
        drop(keeping);
        tell_detector(&trained, host);
        Ok(move || {
            let place = Place { target: &target, named: settings.out.is_some(), exists: settings.exists };
            place.write(Some(&state.chips), host, |folder, context| export_detector(&trained, folder, context))
        })
    })
}

fn train(
    settings: &Settings,
    state: &State,
    chips: (RunInput, Option<RunInput>),
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    train_together(settings.out.as_deref(), host, |together, target| {
        let crs = &state.chips.geobox.crs;
        let labels = LabelReader::open(&state.labels, &state.classes, crs)?.with_split(state.split.as_ref(), crs)?;
        let truth = Truth { task: settings.task, share: settings.chip_share };
        let mut samples = SpooledSamples::new(&spool_folder(host)).map_err(|error| errors::train(&error))?;
        let known = (&labels, truth, settings.label_dates);
        labelled(chips, &state.chips, known, settings.holdout.as_ref(), host, &mut |sample| {
            samples.push(sample).map_err(|error| errors::train(&error))
        })?;
        host.count("training_samples", samples.count() as u64);
        if samples.is_empty() {
            return Err(NodeError::new("train.labels", "no chip has both pixels and labels outside of the holdout")
                .hint(
                    "make the holdout smaller, or check that labels and chips are of the same place, and with \
                       `label_dates: match` of the same time",
                ));
        }
        let config = config(settings, (&state.classes, &state.labels), samples.count(), host);
        let mut config = config.map_err(|faults| errors::joined("settings.invalid", &faults))?;
        config.recipe.checkpoint = host.scratch().map(|scratch| scratch.join("checkpoints"));
        let mut offers = planned_offers(&state.chips)?;
        if let Some(before) = &state.before {
            most_dates(&mut offers, before).map_err(|faults| errors::joined("facts.invalid", &faults))?;
        }
        let keeping = Keeping::new();
        let trained = finetune(&samples, &offers, &config, &mut Teller(host, together.group()));
        let trained = trained.map_err(|error| errors::train(&error))?;
        drop(samples);
        drop(keeping);
        tell(&trained, host);
        Ok(move || {
            let place = Place { target: &target, named: settings.out.is_some(), exists: settings.exists };
            place.write(Some(&state.chips), host, |folder, context| export(&trained, folder, context))
        })
    })
}

fn tell(trained: &Trained, host: &Host) {
    let validation = trained
        .validation
        .as_ref()
        .map_or_else(String::new, |scores| format!("; in blocks that were not learned from {}", scores.headline()));
    let training = trained.training.headline();
    host.log(Level::Info, format!("{} steps: where it learned {training}{validation}", trained.steps));
    let scores = BTreeMap::from([("training", Some(&trained.training)), ("validation", trained.validation.as_ref())]);
    host.report("decision", &json!({"what": "training", "value": scores, "why": format!("{} steps", trained.steps)}));
}
