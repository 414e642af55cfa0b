//! `skysense.evaluate`: holds predictions against labels, and writes a report.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::{write_json, write_whole};
use skysense_contract::{Class, EVALUATION_FILE, Package, Task};
use skysense_edges::{MapBatch, MapFacts, MetricBuilder, MetricRow, metric_schema};
use skysense_grid::ChipGrid;
use skysense_metric::Bootstrap;
use skysense_raster::Blender;
use skysense_train::Curve;

use crate::apply::Rows;
use crate::chips::{access, item_rows};
use crate::errors;
use crate::evaluate::{Evaluation, Judge, Of, Rules, page, wrong};
use crate::publish::package;
use crate::settings::{path, planned};
use crate::training::{
    Holdout, LabelDates, LabelSource, Part, PlannedSplit, ShapesSetting, SplitSetting, Truth, Wanted, task_sources,
    without_pixel,
};

const DOC: &str = "\
Holds predictions against labels: scores of the task with intervals from whole squares of the map that are drawn anew, \
scores of each class, a confusion matrix, how sure the model was, errors by place, and the worst chips as pictures. Pixels \
are scored as a map has them: chips are blended as `stac.write` blends them, and each pixel counts once. Whole chips are \
scored one by one.

## Columns
In: `prediction`, `item` with the labels, and optionally the `chip`s, for pictures of what the model saw, and the `model`, \
for the curve of its training and, with `card: true`, so that its card tells the evaluation. Out: `metric`, a row for each score.

## Limits
`out` gets the report, one HTML file without scripts and links, and the same as data beside it, ending in `.json`, which \
`compare` of another run reads. Name the `holdout` of the training as `part`, else what was learned is scored too.";

const EXAMPLE: &str = "\
scores:
  uses: skysense.evaluate
  from: {maps: classes, labels: labels}
  with: {part: {share: 0.3, side: east}, out: reports/crops.html}
";

/// Settings of `skysense.evaluate`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// HTML file of the report; what is there is overwritten.
    out: String,
    /// Key of the asset that holds the labels; left out, the one with the role `labels` or with classes.
    label_asset: Option<String>,
    /// Label values that are not scored, beside those that mean no data.
    ignore: Vec<u8>,
    /// Share of a chip's labelled pixels from which on it has a class, of `multi_label`.
    #[schemars(range(min = 0, max = 1))]
    chip_share: f64,
    /// How shapes of vector layers become pixels, as in `skysense.finetune`.
    shapes: ShapesSetting,
    /// Which labels belong to the maps of a period: `any` of the place, or with `match` those whose time overlaps it.
    label_dates: LabelDates,
    /// Which places train, validate and test, as in `skysense.finetune`: one part of them is scored.
    split: Option<SplitSetting>,
    /// The part of the `split` that is scored.
    split_part: Part,
    /// The strip that is scored, as `holdout` of `skysense.finetune`; left out, the whole map.
    part: Option<Holdout>,
    /// Side of the squares that intervals are drawn from, in pixels: at least as large as errors reach.
    #[schemars(range(min = 1))]
    block: usize,
    /// How often all squares are drawn anew; 0 gives no intervals.
    replicates: usize,
    /// Chips that are shown.
    worst: usize,
    /// `.json` of an evaluation that this one is compared with.
    compare: Option<String>,
    /// Whether the evaluation is put into the package of the model, too, whose card then tells it.
    card: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            out: "evaluation.html".into(),
            label_asset: None,
            ignore: Vec::new(),
            chip_share: 0.1,
            shapes: ShapesSetting::default(),
            label_dates: LabelDates::Any,
            split: None,
            split_part: Part::Test,
            part: None,
            block: 32,
            replicates: 1000,
            worst: 6,
            compare: None,
            card: false,
        }
    }
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    maps: MapFacts,
    labels: Vec<LabelSource>,
    split: Option<PlannedSplit>,
}

/// The node.
pub(crate) struct SkysenseEvaluate;

impl Node for SkysenseEvaluate {
    const NAME: &'static str = "skysense.evaluate";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Holds predictions against labels, and writes a report")
            .input("maps", &["prediction"], "what a model says")
            .input("labels", &["item"], "items with a label raster, or with a vector layer")
            .optional_input("chips", &["chip"], "what the model saw, for pictures of the worst chips")
            .optional_input(
                "model",
                &["model"],
                "the model, where an earlier node trains it: for its curve and its card",
            )
            .output("metric")
            .doc(DOC)
            .example(EXAMPLE)
            .impure()
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let maps: MapFacts = serde_json::from_value(inputs.require("maps")?.facts.clone()).map_err(|error| {
            let message = format!("the facts of the maps cannot be read: {error}");
            vec![Fault::new("", "facts.invalid", message).hint("connect skysense.segment")]
        })?;
        let task = task(&maps)?;
        let labels = inputs.require("labels")?;
        let access = access([labels]);
        let grid = &maps.chips.geobox;
        let wanted =
            Wanted { asset: settings.label_asset.as_deref(), task, shapes: Some((&settings.shapes, &grid.crs)) };
        let rows = item_rows(labels)?;
        let mut sources = task_sources(&rows, &access, wanted)?;
        let mut faults = settings.label_dates.faults(&sources, &maps.chips);
        let split = match &settings.split {
            Some(split) => Some(split.plan(&host.about().base, (&rows, &mut sources), &grid.crs)?),
            None => None,
        };
        let known = |class: &&Class| maps.classes.iter().any(|other| other.value == class.value);
        let classes: Vec<&Class> = sources.iter().flat_map(|source| &source.classes).collect();
        if task != Task::Regression && !classes.iter().any(known) {
            let names = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(", ");
            let message = format!(
                "the labels have no class of the model: they have {}, the model {}",
                names(&mut classes.iter().map(|class| format!("{} {}", class.value, class.name))),
                names(&mut maps.classes.iter().map(|class| format!("{} {}", class.value, class.name)))
            );
            faults.push(
                Fault::new("", "label.classes", message).hint("search the labels that the model was trained for"),
            );
        }
        if settings.block == 0 {
            faults.push(Fault::new("/block", "settings.invalid", "block is 0, expected 1 or more"));
        }
        if settings.card && maps.model.path.is_none() && inputs.get("model").is_none() {
            let message = "card is true, and it is not known which package made the maps";
            faults.push(Fault::new("/card", "settings.invalid", message).hint("connect the model to the port `model`"));
        }
        faults.extend(without_pixel("/part", settings.part, &maps.chips.geobox));
        let out = path(&host.about().base, &settings.out);
        if out == data_file(&out) {
            let message = format!("out is {:?}, which is where the data beside the report goes", settings.out);
            faults.push(
                Fault::new("/out", "settings.invalid", message)
                    .hint("name the HTML file; the data comes to lie beside it, ending in .json"),
            );
        }
        if let Some(file) = settings.compare.as_deref().map(|file| path(&host.about().base, file)) {
            faults.extend(read(&file).err().map(|error| Fault { field: "/compare".into(), ..Fault::from(error) }));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let grid = &maps.chips.geobox;
        let rows = ChipGrid::new(grid.clone(), maps.chips.chip_size, maps.chips.overlap);
        let held = rows.map_or(0, |grid| Blender::bytes(&grid, maps.channels)) as u64;
        let counts = maps.channels.pow(2) as u64 * 8;
        let blocks = (grid.width / settings.block + 2) as u64 * (grid.height / settings.block + 2) as u64;
        let strip = (grid.width * maps.chips.chip_size * (4 * maps.channels + 16)) as u64;
        Ok(NodePlan::new(metric_schema())
            .facts(json!({"report": out}))
            .memory(held + strip + 2 * blocks * counts + (64 << 20), 1 << 16)
            .state(json!(State { maps, labels: sources, split })))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let state: State = planned(plan.state)?;
        let (maps, chips, model) = (inputs.require("maps")?, inputs.take("chips"), inputs.take("model"));
        Ok(Box::new(std::iter::once_with(move || evaluate(&settings, &state, (maps, chips, model), &host))))
    }
}

fn task(maps: &MapFacts) -> Result<Task, Vec<Fault>> {
    let found = Task::ALL.into_iter().find(|task| task.name() == maps.task && !task.of_objects());
    found.ok_or_else(|| {
        let message = format!("predictions of {} are not scored here", maps.task);
        vec![Fault::new("", "facts.invalid", message).hint("connect skysense.segment")]
    })
}

fn read(file: &Path) -> Result<Evaluation, NodeError> {
    let fault = |error: String| NodeError::new("evaluation.file", error).at("file", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| fault(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| fault(format!("it is no evaluation: {error}")))
}

fn evaluate(
    settings: &Settings,
    state: &State,
    (maps, chips, model): (RunInput, Option<RunInput>, Option<RunInput>),
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    let facts = &state.maps;
    let task = task(facts).map_err(|faults| errors::joined("facts.invalid", &faults))?;
    let rules = Rules {
        truth: Truth { task, share: settings.chip_share },
        ignore: &settings.ignore,
        block: settings.block,
        strip: settings.part.and_then(|part| part.window(&facts.chips.geobox)),
        split: state.split.as_ref().map(|split| (split, settings.split_part)),
        dates: settings.label_dates,
        worst: settings.worst,
    };
    let mut judge = Judge::new(facts, &state.labels, rules)?;
    let grid = ChipGrid::new(facts.chips.geobox.clone(), facts.chips.chip_size, facts.chips.overlap);
    let grid = grid.map_err(|error| NodeError::from_error("facts.invalid", &error))?;
    let mut pictures = chips.map(Rows::new);
    let mut open: Option<(String, Blender)> = None;
    let (mut done, total) = (0, facts.chips.chips() as u64);
    for batch in maps {
        host.check_cancelled()?;
        let maps = MapBatch::predictions(&batch?).map_err(|error| errors::edge(&error))?;
        for row in 0..maps.len() {
            let window = maps.window(row).map_err(|error| errors::edge(&error))?;
            if !task.of_chips() && open.as_ref().is_none_or(|(period, _)| period != maps.period(row)) {
                if let Some((_, blender)) = open.take() {
                    judge.rows(&blender.finish())?;
                }
                open = Some((maps.period(row).to_owned(), Blender::new(grid.clone(), facts.channels)));
            }
            judge.of_period(maps.period(row));
            let seen = pictures.as_mut().map(|rows| rows.at(&window, maps.chip(row))).transpose()?;
            judge.show(&maps, row, &window, seen.as_ref())?;
            if task.of_chips() {
                judge.chip(maps.values(row), maps.valid(row), &window)?;
                continue;
            }
            if let Some((_, blender)) = &mut open
                && let Some(rows) =
                    blender.push(&window, maps.values(row), maps.valid(row)).map_err(|error| errors::raster(&error))?
            {
                judge.rows(&rows)?;
            }
        }
        done += maps.len() as u64;
        host.progress(done, Some(total), "chips");
    }
    if let Some((_, blender)) = open {
        judge.rows(&blender.finish())?;
    }
    // Only now, for what comes through another port first would wait for this one.
    let package = match package(model, &facts.model) {
        Ok(package) => package,
        Err(error) if settings.card => return Err(error),
        // Maps may outlive the package that made them; their report then has no curve.
        Err(_) => None,
    };
    let mut found = evaluation(&judge, settings, state, task, host)?;
    if found.count == 0 {
        return Err(NodeError::new("evaluate.empty", "no labelled pixel of the part has a prediction")
            .hint("check that labels and chips lie at the same place, and `part`, `split` and `ignore`"));
    }
    if let Some(package) = &package {
        found.about.weights_sha256.clone_from(&package.contract().weights_sha256);
    }
    let other = settings.compare.as_deref().map(|file| read(&path(&host.about().base, file))).transpose()?;
    let curve = package.as_ref().and_then(curve);
    let text = page(&found, &judge.worst, other.as_ref(), curve.as_ref());
    write(&path(&host.about().base, &settings.out), &found, &text, host)?;
    if let Some(package) = package.filter(|_| settings.card) {
        let file = package.folder().join(EVALUATION_FILE);
        write_json(&file, &json!(found)).map_err(|error| errors::catalog(&error))?;
    }
    let mut rows = MetricBuilder::default();
    for score in &found.scores {
        if let Some(value) = score.value {
            rows.push(MetricRow { step: 1, name: score.name.clone(), value });
        }
    }
    rows.finish().map_err(|error| errors::edge(&error))
}

/// How the model was trained, where its package says it.
fn curve(package: &Package) -> Option<Curve> {
    serde_json::from_value(package.contract().notes.get("curve")?.clone()).ok()
}

/// The file that gets what a report tells as data.
fn data_file(out: &Path) -> PathBuf {
    out.with_extension("json")
}

/// Writes report and data, each under another name first.
fn write(out: &Path, found: &Evaluation, text: &str, host: &Host) -> Result<(), NodeError> {
    let data = data_file(out);
    write_json(&data, &json!(found)).map_err(|error| errors::catalog(&error))?;
    write_whole(out, text.as_bytes()).map_err(|error| errors::catalog(&error))?;
    host.report("output", &json!({"href": out, "role": "report"}));
    host.report("output", &json!({"href": data, "role": "evaluation"}));
    let scores: serde_json::Map<String, serde_json::Value> =
        found.scores.iter().map(|score| (score.name.clone(), json!(score.value))).collect();
    host.report("decision", &json!({"what": "evaluation", "value": scores, "why": found.about.part}));
    let first = found.scores.first().and_then(|score| Some((&score.name, score.value?)));
    if let Some((name, value)) = first {
        host.log(Level::Info, format!("{name} {value:.4} of {}", found.count));
    }
    Ok(())
}

/// What was counted, and of what.
fn evaluation(
    judge: &Judge<'_>,
    settings: &Settings,
    state: &State,
    task: Task,
    host: &Host,
) -> Result<Evaluation, NodeError> {
    let facts = &state.maps;
    let part = match settings.part {
        Some(Holdout { share, side }) => format!("{:.0} % in the {side:?}", 100.0 * share).to_lowercase(),
        None => "the whole map".into(),
    };
    let part = match &state.split {
        Some(_) => format!("{part}, {} of the given split", json!(settings.split_part).as_str().unwrap_or_default()),
        None => part,
    };
    let about = Of {
        task: task.name().into(),
        model: facts.model.name.clone(),
        weights_sha256: String::new(),
        unit: facts.quantity.as_ref().map(|quantity| quantity.unit.clone()).unwrap_or_default(),
        labels: state.labels.iter().map(|source| source.item.clone()).collect(),
        part,
        block: settings.block,
        workflow_sha256: host.about().workflow_sha256,
    };
    let bootstrap = Bootstrap { replicates: settings.replicates.max(1), ..Bootstrap::default() };
    let mut found = judge.counts.evaluation(about, &facts.classes, bootstrap).map_err(|error| wrong(&error))?;
    if settings.replicates == 0 {
        found.scores.iter_mut().for_each(|score| score.interval = None);
    }
    Ok(found)
}
