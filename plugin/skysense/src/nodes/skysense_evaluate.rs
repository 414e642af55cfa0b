//! `skysense.evaluate`: holds predictions against labels, and writes a report.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::Access;
use skysense_contract::{Class, Task};
use skysense_edges::{ChipBatch, ItemFacts, MapBatch, MapFacts, MetricBuilder, MetricRow, PixelsRef, metric_schema};
use skysense_grid::{ChipGrid, Window};
use skysense_metric::{Bootstrap, MetricError};
use skysense_raster::{Blender, Rows as Blended};
use skysense_train::Labels;

use crate::apply::Rows;
use crate::chips::item_rows;
use crate::errors;
use crate::evaluate::{Counts, Evaluation, Of, Shown, Worst, page};
use crate::settings::{path, planned};
use crate::training::{Holdout, LabelReader, LabelSource, Truth, task_sources};

const DOC: &str = "\
Holds predictions against labels: scores of the task with intervals from whole squares of the map that are drawn anew, \
scores of each class, a confusion matrix, how sure the model was, errors by place, and the worst chips as pictures. Pixels \
are scored as a map has them: chips are blended as `stac.write` blends them, and each pixel counts once. Whole chips are \
scored one by one.

## Columns
In: `prediction`, `item` with the labels, and optionally the `chip`s, for pictures of what the model saw. Out: `metric`, a \
row for each score.

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            out: "evaluation.html".into(),
            label_asset: None,
            ignore: Vec::new(),
            chip_share: 0.1,
            part: None,
            block: 32,
            replicates: 1000,
            worst: 6,
            compare: None,
        }
    }
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    maps: MapFacts,
    labels: Vec<LabelSource>,
}

/// The node.
pub(crate) struct SkysenseEvaluate;

impl Node for SkysenseEvaluate {
    const NAME: &'static str = "skysense.evaluate";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Holds predictions against labels, and writes a report")
            .input("maps", &["prediction"], "what a model says")
            .input("labels", &["item"], "items with a label raster")
            .optional_input("chips", &["chip"], "what the model saw, for pictures of the worst chips")
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
        let facts: ItemFacts = serde_json::from_value(labels.facts.clone()).unwrap_or_default();
        let access = Access::new(facts.allow_paths.into_iter().map(PathBuf::from));
        let sources = task_sources(&item_rows(labels)?, settings.label_asset.as_deref(), &access, task)?;
        let mut faults = Vec::new();
        let known = |class: &&Class| maps.classes.iter().any(|other| other.value == class.value);
        let classes: Vec<&Class> = sources.iter().flat_map(|source| &source.classes).collect();
        if task != Task::Regression && !classes.iter().any(|class| known(class)) {
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
        if settings.part.is_some_and(|part| part.window(&maps.chips.geobox).is_none()) {
            faults.push(Fault::new("/part", "settings.invalid", "the strip has no pixel, expected a share above 0"));
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
            .facts(json!({"report": path(&host.about().base, &settings.out)}))
            .memory(held + strip + 2 * blocks * counts + (64 << 20), 1 << 16)
            .state(json!(State { maps, labels: sources })))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let state: State = planned(plan.state)?;
        let (maps, chips) = (inputs.require("maps")?, inputs.take("chips"));
        Ok(Box::new(std::iter::once_with(move || evaluate(&settings, &state, (maps, chips), &host))))
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
    (maps, chips): (RunInput, Option<RunInput>),
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    let facts = &state.maps;
    let task = task(facts).map_err(|faults| errors::joined("facts.invalid", &faults))?;
    let mut judge = Judge::new(settings, state, task)?;
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
            let seen = pictures.as_mut().map(|rows| rows.at(&window, maps.chip(row))).transpose()?;
            judge.show(&maps, row, &window, seen.as_ref())?;
            if task.of_chips() {
                judge.chip(maps.values(row), maps.valid(row), &window)?;
                continue;
            }
            if open.as_ref().is_none_or(|(period, _)| period != maps.period(row)) {
                if let Some((_, blender)) = open.take() {
                    judge.rows(&blender.finish())?;
                }
                open = Some((maps.period(row).to_owned(), Blender::new(grid.clone(), facts.channels)));
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
    let found = judge.evaluation(settings, state, task, host)?;
    if found.count == 0 {
        return Err(NodeError::new("evaluate.empty", "no labelled pixel of the part has a prediction")
            .hint("check that labels and chips lie at the same place, and `part` and `ignore`"));
    }
    let other = settings.compare.as_deref().map(|file| read(&path(&host.about().base, file))).transpose()?;
    write(&path(&host.about().base, &settings.out), &found, &judge.worst, other.as_ref(), host)?;
    let mut rows = MetricBuilder::default();
    for score in &found.scores {
        if let Some(value) = score.value {
            rows.push(MetricRow { step: 1, name: score.name.clone(), value });
        }
    }
    rows.finish().map_err(|error| errors::edge(&error))
}

/// Writes report and data, each under another name first.
fn write(
    out: &Path,
    found: &Evaluation,
    worst: &Worst,
    other: Option<&Evaluation>,
    host: &Host,
) -> Result<(), NodeError> {
    let data = out.with_extension("json");
    let json = serde_json::to_string_pretty(found).map_err(|error| NodeError::from_error("output.write", &error))?;
    let io = |error: std::io::Error| NodeError::from_error("output.write", &error).at("file", out.display());
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    for (file, text) in [(data.as_path(), json), (out, page(found, worst, other))] {
        let part = file.with_added_extension("part");
        std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, file)).map_err(io)?;
    }
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

/// Counts what a model says against what is true.
struct Judge<'a> {
    facts: &'a MapFacts,
    labels: LabelReader,
    truth: Truth,
    counts: Counts,
    /// The strip that is scored.
    part: Option<Window>,
    worst: Worst,
}

impl<'a> Judge<'a> {
    fn new(settings: &Settings, state: &'a State, task: Task) -> Result<Self, NodeError> {
        let facts = &state.maps;
        let scored = facts.classes.iter().filter(|class| !settings.ignore.contains(&class.value));
        let class = |class: &skysense_edges::ClassFacts| Class {
            value: class.value,
            name: class.name.clone(),
            color: class.color.clone(),
        };
        let classes: Vec<Class> = scored.map(class).collect();
        Ok(Self {
            facts,
            labels: LabelReader::open(&state.labels, &classes)?,
            truth: Truth { task, share: settings.chip_share },
            counts: Counts::new(task, facts.classes.len(), settings.block).map_err(|error| wrong(&error))?,
            part: settings.part.and_then(|part| part.window(&facts.chips.geobox)),
            worst: Worst::new(settings.worst),
        })
    }

    fn inside(&self, x: i64, y: i64) -> bool {
        self.part.as_ref().is_none_or(|p| x >= p.x && x < p.right() && y >= p.y && y < p.bottom())
    }

    fn index(&self, value: u8) -> Option<usize> {
        self.facts.classes.iter().position(|class| class.value == value)
    }

    /// Counts finished rows of a map.
    fn rows(&mut self, rows: &Blended) -> Result<(), NodeError> {
        if rows.height == 0 {
            return Ok(());
        }
        let window = Window { x: 0, y: rows.y as i64, width: rows.width, height: rows.height };
        let Some(labels) = self.truth.of(&self.labels, &self.facts.chips.geobox, &window)? else { return Ok(()) };
        let area = rows.width * rows.height;
        for at in (0..area).filter(|at| rows.valid[*at] != 0) {
            let (x, y) = ((at % rows.width) as i64, (rows.y + at / rows.width) as i64);
            if !self.inside(x, y) {
                continue;
            }
            let place = [x as f64, y as f64];
            let given = || rows.values.iter().skip(at).step_by(area).map(|value| f64::from(*value));
            let counted = match &labels {
                Labels::Values(values) if values[at].is_finite() => {
                    self.counts.value(place, f64::from(values[at]), given().next().unwrap_or(f64::NAN))
                }
                Labels::Classes(values) => match self.index(values[at]).filter(|_| values[at] != self.labels.ignored())
                {
                    Some(class) => self.counts.class(place, class, &given().collect::<Vec<_>>()),
                    None => Ok(()),
                },
                _ => Ok(()),
            };
            counted.map_err(|error| wrong(&error))?;
        }
        Ok(())
    }

    /// Counts a whole chip by its centre.
    fn chip(&mut self, values: &[f32], valid: &[u8], window: &Window) -> Result<(), NodeError> {
        let (x, y) = (window.x + window.width as i64 / 2, window.y + window.height as i64 / 2);
        let Some(seen) = valid.iter().position(|valid| *valid != 0).filter(|_| self.inside(x, y)) else {
            return Ok(());
        };
        let Some(Labels::Chip(has)) = self.truth.of(&self.labels, &self.facts.chips.geobox, window)? else {
            return Ok(());
        };
        let place = [x as f64, y as f64];
        let given: Vec<f64> = values.iter().skip(seen).step_by(valid.len()).map(|value| f64::from(*value)).collect();
        let counted = match self.truth.task {
            Task::MultiLabel => {
                let truth: Vec<bool> = self.facts.classes.iter().map(|class| has.contains(&class.value)).collect();
                self.counts.labels(place, &truth, &given)
            }
            _ => match has.first().and_then(|value| self.index(*value)) {
                Some(class) => self.counts.class(place, class, &given),
                None => Ok(()),
            },
        };
        counted.map_err(|error| wrong(&error))
    }

    /// Keeps a chip as pictures if it is among the worst.
    fn show(
        &mut self,
        maps: &MapBatch,
        row: usize,
        window: &Window,
        seen: Option<&(ChipBatch, usize)>,
    ) -> Result<(), NodeError> {
        let (values, valid) = (maps.values(row), maps.valid(row));
        let (x, y) = (window.x + window.width as i64 / 2, window.y + window.height as i64 / 2);
        // Of whole chips the truth is one colour.
        if self.truth.task.of_chips() || !self.inside(x, y) {
            return Ok(());
        }
        let Some(labels) = self.truth.of(&self.labels, &self.facts.chips.geobox, window)? else { return Ok(()) };
        let area = valid.len();
        let color = |class: usize| colour(&self.facts.classes[class].color);
        let (mut truth, mut found) = (vec![GREY; area], vec![GREY; area]);
        let (mut count, mut error) = (0_u32, 0.0_f64);
        let range = match &labels {
            Labels::Values(known) => {
                let known = || known.iter().copied().filter(|value| value.is_finite());
                [known().fold(f32::INFINITY, f32::min), known().fold(f32::NEG_INFINITY, f32::max)]
            }
            _ => [0.0, 1.0],
        };
        for at in (0..area).filter(|at| valid[*at] != 0) {
            match &labels {
                Labels::Values(known) if known[at].is_finite() => {
                    count += 1;
                    error += f64::from(values[at] - known[at]).powi(2);
                    (truth[at], found[at]) = (shade(known[at], range), shade(values[at], range));
                }
                Labels::Classes(known) if known[at] != self.labels.ignored() => {
                    let Some(class) = self.index(known[at]) else { continue };
                    let given = values.iter().skip(at).step_by(area).enumerate();
                    let first = (0, f32::NEG_INFINITY);
                    let best = given.fold(first, |best, (class, v)| if *v > best.1 { (class, *v) } else { best }).0;
                    count += 1;
                    error += f64::from(u8::from(best != class));
                    (truth[at], found[at]) = (color(class), color(best));
                }
                _ => {}
            }
        }
        let error = error / f64::from(count.max(1));
        let error = if self.truth.task == Task::Regression { error.sqrt() } else { error };
        if count > 0 && self.worst.wants(error) {
            let mut pictures = Vec::new();
            pictures.extend(seen.and_then(|(chips, row)| Some(("seen", self.picture(chips, *row)?))));
            pictures.extend([("truth", truth), ("found", found)]);
            let (place, period) = ([window.x, window.y], maps.period(row).to_owned());
            self.worst.add(Shown { place, period, error, side: maps.side(), pictures });
        }
        Ok(())
    }

    /// The clearest date of Sentinel-2 in natural colours.
    fn picture(&self, chips: &ChipBatch, row: usize) -> Option<Vec<[u8; 3]>> {
        let bands = &self.facts.chips.modalities.get("s2")?.bands;
        let place = |name: &str| bands.iter().position(|band| band == name);
        let channels = [place("B04")?, place("B03")?, place("B02")?];
        let series = chips.series("s2", row)?;
        let PixelsRef::I16(pixels) = series.pixels else { return None };
        let area = self.facts.chips.chip_size.pow(2);
        let clear = |date: &usize| series.valid[date * area..][..area].iter().filter(|valid| **valid != 0).count();
        let date = (0..series.datetimes.len()).max_by_key(clear)?;
        // Reflectance of 0.3 is white.
        let byte = |value: i16| (f64::from(value) / 3000.0 * 255.0).clamp(0.0, 255.0) as u8;
        let pixel = |at: usize| channels.map(|band| byte(pixels[(date * bands.len() + band) * area + at]));
        Some((0..area).map(pixel).collect())
    }

    fn evaluation(&self, settings: &Settings, state: &State, task: Task, host: &Host) -> Result<Evaluation, NodeError> {
        let facts = self.facts;
        let part = match settings.part {
            Some(Holdout { share, side }) => format!("{:.0} % in the {side:?}", 100.0 * share).to_lowercase(),
            None => "the whole map".into(),
        };
        let about = Of {
            task: task.name().into(),
            model: facts.model.name.clone(),
            unit: facts.quantity.as_ref().map(|quantity| quantity.unit.clone()).unwrap_or_default(),
            labels: state.labels.iter().map(|source| source.item.clone()).collect(),
            part,
            block: settings.block,
            workflow_sha256: host.about().workflow_sha256,
        };
        let bootstrap = Bootstrap { replicates: settings.replicates.max(1), ..Bootstrap::default() };
        let mut found = self.counts.evaluation(about, &facts.classes, bootstrap).map_err(|error| wrong(&error))?;
        if settings.replicates == 0 {
            found.scores.iter_mut().for_each(|score| score.interval = None);
        }
        Ok(found)
    }
}

/// What has no label.
const GREY: [u8; 3] = [200, 200, 200];

/// `RRGGBB` as red, green and blue; grey where it is none.
fn colour(text: &str) -> [u8; 3] {
    let part = |at: usize| text.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(128);
    [part(0), part(2), part(4)]
}

/// A value from blue to yellow over a range.
fn shade(value: f32, [low, high]: [f32; 2]) -> [u8; 3] {
    let share = ((value - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
    let mix = |from: f32, to: f32| (from + (to - from) * share) as u8;
    [mix(40.0, 250.0), mix(60.0, 220.0), mix(140.0, 60.0)]
}

/// What cannot be counted is a mistake of the model's, such as a probability that is not a number.
fn wrong(error: &MetricError) -> NodeError {
    NodeError::from_error("evaluate.values", error)
}
