//! `skysense.distill`: teaches a small model to give the features of a large one.

use std::path::Path;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::Exists;
use skysense_contract::{Modality, Package};
use skysense_edges::{ChipFacts, model_schema};
use skysense_train::{DistillConfig, Distilled, Start, TrainError, distill, export_student, planned_student};

use crate::allocator::Keeping;
use crate::apply::{chip_facts, offers, planned_offers};
use crate::errors;
use crate::settings::{ModalitySetting, path, planned};
use crate::training::{
    CalendarSetting, Checkpointing, Holdout, Place, Precision, Teller, calendar, compute, cpu, sample_bytes, taken,
    train_together, training_chips, unlabelled,
};

const DOC: &str = "\
Trains a student, a small SkySense model, to give the features that a teacher, a larger one, gives for the same chips, \
and writes it as a model package without a head: `skysense.embed` takes it, and `skysense.finetune` starts from it. No \
labels are needed. What teaches are the fused features and those of each modality's encoder that both models have, on \
the 10 m grid, through a linear projection to the teacher's channels that is not part of the package. The teacher sees \
all that the chips hold; with `modalities` the student sees less, and learns what the teacher knows of the rest too. \
The package's notes name the teacher with its checksum, and say how like the two are on blocks of the map that were \
held out. A run that was killed goes on from its checkpoint to the same weights.

## Columns
In: `chip`. Out: `model`, one row.

## Several processes
Under `skysense run --processes`, `torchrun` or Slurm each process takes its share of every batch, and gradients are added \
up: see DISTRIBUTED.md. The teacher looks at all chips in each of them.

## Limits
Chips must have all bands of the teacher and its chip size, and no modality that it does not take; what does not fit is \
told while planning. The teacher looks at every chip once before the first step. All chips are held in memory, the \
teacher's features of them up to `hold`. Prototypes of regions are not distilled. `seconds` makes the weights depend on \
the speed of the machine; `steps` does not. The teacher's licence goes with its features: the student has it unless \
`licence` says another.";

const EXAMPLE: &str = "\
student:
  uses: skysense.distill
  from: chips
  with:
    teacher: {package: models/small}
    preset: tiny
    steps: 600
    out: models/student
";

/// Settings of `skysense.distill`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The model whose features are learned.
    teacher: TeacherSetting,
    /// Architecture of the student, such as `tiny`.
    #[serde(default = "preset")]
    preset: String,
    /// Folder of a model package to start from, in place of a preset.
    #[serde(default)]
    start: Option<String>,
    /// Which tokens of the student carry the encoding of the day of the year, for a preset: `s2_only`, as in the official
    /// code, `all`, as in the paper's equation, or `none`; left out, `s2_only`. A package at `start` brings its own.
    #[serde(default)]
    calendar: Option<CalendarSetting>,
    /// What the student sees of the chips: some of `hr`, `s2`, `s1`; left out, all.
    #[serde(default)]
    modalities: Option<Vec<ModalitySetting>>,
    /// Name of the student.
    #[serde(default = "name")]
    name: String,
    /// Folder that gets the package; left out, it stays in the run's folder.
    #[serde(default)]
    out: Option<String>,
    /// What becomes of a package that is there: `fail` or `replace`.
    #[serde(default)]
    exists: Exists,
    /// Weight of the encoders' features beside the fused ones; 0 leaves them out.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    encoders: f64,
    /// Steps of the optimiser; left out, 300.
    #[serde(default)]
    #[schemars(range(min = 1))]
    steps: Option<usize>,
    /// Seconds that the steps may take: they are cut to what fits.
    #[serde(default)]
    seconds: Option<f64>,
    /// Samples of one step.
    #[serde(default = "four")]
    #[schemars(range(min = 1))]
    batch: usize,
    /// Peak learning rate.
    #[serde(default)]
    learning_rate: Option<f64>,
    /// Where training runs: `cpu`, or `cuda`, `rocm`, `vulkan`, `metal`, `wgpu` where the plugin was built with that
    /// feature, with a number as in `cuda:1` where there are several. Another device never takes its place.
    #[serde(default = "cpu")]
    device: String,
    /// What the student's activations and products are computed in; weights are kept in single precision, and the teacher
    /// looks in it.
    #[serde(default)]
    precision: Precision,
    /// What is kept for the backward pass: `blocks` takes less memory and more time, and gives the same weights but for
    /// rounding.
    #[serde(default)]
    checkpointing: Checkpointing,
    /// Seed of weights, order and augmentation.
    #[serde(default)]
    seed: u64,
    /// A strip along one side of the grid that no chip of the training touches: for scores of what is built on the
    /// student.
    #[serde(default)]
    holdout: Option<Holdout>,
    /// Share of the pixels that the student is measured on and does not learn from, in whole blocks of the map.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0, max = 0.9))]
    validation: f64,
    /// MiB of the teacher's features that are held in memory; where they are more, they are computed anew at every step.
    /// Changes no weight.
    #[serde(default = "gibibyte")]
    #[schemars(extend("x-skysense-execution" = true))]
    hold: u64,
    /// Licence of the weights as an SPDX expression, or `proprietary`; left out, the teacher's.
    #[serde(default)]
    licence: Option<String>,
}

/// The model whose features are learned.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeacherSetting {
    /// Folder of its package.
    package: String,
}

fn preset() -> String {
    "tiny".into()
}

fn name() -> String {
    "skysense-distilled".into()
}

fn one() -> f64 {
    1.0
}

fn four() -> usize {
    4
}

fn tenth() -> f64 {
    0.1
}

fn gibibyte() -> u64 {
    1024
}

/// The node.
pub(crate) struct SkysenseDistill;

impl Node for SkysenseDistill {
    const NAME: &'static str = "skysense.distill";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Teaches a small model to give the features of a large one")
            .input("chips", &["chip"], "the chips to learn from; they need no labels")
            .output("model")
            .together()
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let chips = chip_facts(inputs)?;
        let config = config(&settings, host)?;
        let planned = planned_student(&offers(&chips)?, &config).map_err(|error| vec![fault(&settings, &error)])?;
        let out = settings.out.as_deref().map(|out| path(&host.about().base, out));
        if let Some(fault) = taken(out.as_deref(), settings.exists) {
            return Err(fault.into());
        }
        let real = |folder: &Path| std::fs::canonicalize(folder).ok();
        if out.as_deref().and_then(real).is_some_and(|out| Some(out) == real(&config.teacher)) {
            let message = "the student would take the place of its teacher";
            return Err(Fault::new("/out", "output.exists", message).hint("choose another folder").into());
        }
        let samples = training_chips(&chips, settings.holdout.as_ref());
        let of_samples = sample_bytes(&chips, samples, settings.batch);
        let features = |count: u64| count.saturating_mul(planned.feature_bytes);
        let held = features(samples as u64).min(config.hold);
        let of_teacher = 3 * Package::open(&config.teacher).map_or(0, |teacher| teacher.bytes());
        let of_batch = features((settings.batch as u64).saturating_mul(40).saturating_add(64));
        let working = of_samples.saturating_add(held).saturating_add(of_teacher).saturating_add(of_batch);
        let facts = json!({"contract": planned.contract, "path": out});
        Ok(NodePlan::new(model_schema())
            .facts(facts)
            .cost("training_chips", samples as f64, "")
            .cost("training_steps", config.recipe.steps as f64, "")
            .memory(working, 1 << 20)
            .state(json!(chips)))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let (facts, chips): (ChipFacts, _) = (planned(plan.state)?, inputs.require("chips")?);
        Ok(Box::new(std::iter::once_with(move || teach(&settings, &facts, chips, &host))))
    }
}

/// The settings of the distillation.
fn config(settings: &Settings, host: &Host) -> Result<DistillConfig, Fault> {
    let base = host.about().base;
    let mut config = DistillConfig::new(&settings.name, path(&base, &settings.teacher.package));
    config.recipe.start = match &settings.start {
        Some(start) => Start::Package(path(&base, start)),
        None => Start::Preset(settings.preset.clone()),
    };
    config.modalities = settings.modalities.clone().map(|all| all.into_iter().map(Modality::from).collect());
    config.recipe.calendar = calendar(settings.calendar, settings.start.as_deref(), config.recipe.calendar)?;
    config.compute = compute(&settings.device, settings.precision, settings.checkpointing)?;
    config.encoders = settings.encoders;
    config.hold = settings.hold.saturating_mul(1 << 20);
    // With a time budget alone, time and not a count of steps is the limit.
    let open = if settings.seconds.is_some() { 5000 } else { config.recipe.steps };
    config.recipe.steps = settings.steps.unwrap_or(open);
    config.recipe.seconds = settings.seconds;
    config.recipe.batch = settings.batch;
    config.recipe.learning_rate = settings.learning_rate.unwrap_or(config.recipe.learning_rate);
    config.recipe.seed = settings.seed;
    config.recipe.validation = settings.validation;
    config.licence.clone_from(&settings.licence);
    Ok(config)
}

/// What does not fit, at the setting that can mend it.
fn fault(settings: &Settings, error: &TrainError) -> Fault {
    let field = match error {
        TrainError::Preset { .. } => "/preset".to_owned(),
        TrainError::Setting { setting, .. } if !setting.contains(',') => format!("/{setting}"),
        TrainError::Contract(skysense_contract::ContractError::Misfit { .. }) => String::new(),
        TrainError::Contract(_) | TrainError::Incomplete { .. } if settings.start.is_none() => {
            "/teacher/package".into()
        }
        _ => String::new(),
    };
    Fault { field, ..Fault::from(errors::train(error)) }
}

fn teach(settings: &Settings, facts: &ChipFacts, chips: RunInput, host: &Host) -> Result<RecordBatch, NodeError> {
    train_together(settings.out.as_deref(), host, |together, target| {
        let samples = unlabelled(chips, facts, settings.holdout.as_ref(), host)?;
        host.count("training_samples", samples.len() as u64);
        if samples.is_empty() {
            return Err(NodeError::new("train.pixels", "no chip outside of the holdout has pixels")
                .hint("make the holdout smaller, or search items of the area"));
        }
        let mut config = config(settings, host).map_err(|fault| errors::joined("settings.invalid", &[fault]))?;
        config.recipe.checkpoint = host.scratch().map(|scratch| scratch.join("checkpoints"));
        let offers = planned_offers(facts)?;
        let keeping = Keeping::new();
        let student = distill(&samples, &offers, &config, &mut Teller(host, together.group()))
            .map_err(|error| errors::train(&error))?;
        drop(samples);
        drop(keeping);
        tell(&student, host);
        Ok(move || {
            let place = Place { target: &target, named: settings.out.is_some(), exists: settings.exists };
            place.write(Some(facts), host, |folder, context| export_student(&student, folder, context))
        })
    })
}

fn tell(student: &Distilled, host: &Host) {
    let alike = student.held_out.get("fused").map_or_else(String::new, |fused| {
        format!(
            "; on {} pixels that were held out the cosine to the teacher is {:.3} (standardised {:.3}, a constant {:.3})",
            fused.positions, fused.cosine, fused.standardised, fused.constant
        )
    });
    host.log(Level::Info, format!("{} steps on {} chips{alike}", student.steps, student.samples));
    let value = json!({"held_out": student.held_out, "before": student.before});
    host.report(
        "decision",
        &json!({"what": "distillation", "value": value, "why": format!("{} steps", student.steps)}),
    );
}
