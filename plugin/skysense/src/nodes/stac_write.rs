//! `stac.write`: blends maps of chips into COGs and publishes them as STAC items.

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::{Exists, FeatureRow, Publishing};
use skysense_contract::Task;
use skysense_edges::{MapBatch, MapFacts, raster_schema};
use skysense_grid::ChipGrid;
use skysense_maps::{FeatureType, Layer, Output, layers};
use skysense_raster::{Blender, CogWriter};

use crate::errors;
use crate::maps::{Describe, PeriodWriter, WrittenMap, describe};
use crate::objects::{Format, Layer as VectorLayer, chip_rows, task_of_chips, write_layer};
use crate::publish::{Destination, package, software};

const DOC: &str = "\
Blends the overlapping maps of chips without seams, while it holds one row of chips, and writes a set of Cloud \
Optimized GeoTIFFs and a STAC item for each period, and a collection around them. Everything is made in a hidden \
folder and moved to its place when it is whole.

## Columns
In: `prediction` or `feature`, and optionally the `model` that made them, for provenance. Out: `raster`, one row \
for each item.

## Polygons
Where classes are those of whole chips, `polygons` writes the chips as a vector layer beside the maps, with the fields class, \
class_value, score, period and chip; of `multi_label` a chip stands there once for each class of probability 0.5 or more.

## Limits
Probabilities and entropy are stored in 250 steps with scale and offset; pixels without any valid input are nodata. \
While a file is made, its rows lie uncompressed beside it. `exists` says what becomes of output that is there.";

const EXAMPLE: &str = "\
map:
  uses: stac.write
  from: classes
  with:
    href: out/
    collection: crop-map
    outputs: [class, probability]
    exists: replace
";

/// Settings of `stac.write`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Folder that gets `collection.json` and a folder for each item.
    href: String,
    /// Id of the collection; items are named after it and their period.
    collection: String,
    /// Title for people; left out, the collection's id.
    #[serde(default)]
    title: Option<String>,
    /// What the collection holds, in a sentence.
    #[serde(default)]
    description: Option<String>,
    /// Licence as an SPDX expression, or `other`.
    #[serde(default = "other")]
    license: String,
    /// What is written of a prediction; left out, the class, of a quantity its value, and of classes of which a chip may have
    /// any their probabilities.
    #[serde(default)]
    outputs: Option<Vec<Output>>,
    /// Vector formats in which chips are written as polygons beside the maps, with the class of each, where classes are those
    /// of whole chips; none where left out.
    #[serde(default)]
    polygons: Vec<Format>,
    /// Type in which features are stored.
    #[serde(default)]
    dtype: FeatureType,
    /// What becomes of output that is there: `fail`, `replace` or `append`.
    #[serde(default)]
    exists: Exists,
}

/// Kind of the edge that carries features.
const FEATURE: &str = "feature";

fn other() -> String {
    "other".into()
}

/// The node.
pub(crate) struct StacWrite;

impl Node for StacWrite {
    const NAME: &'static str = "stac.write";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Writes maps as COGs with STAC items")
            .input("maps", &["prediction", "feature"], "the maps to write")
            .optional_input("model", &["model"], "the model that made them, where an earlier node trains it")
            .output("raster")
            .doc(DOC)
            .example(EXAMPLE)
            .impure()
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let job = Job::new(&settings, &inputs.require("maps")?.kind, inputs.require("maps")?.facts.clone(), host)?;
        let periods = &job.facts.chips.periods;
        job.place.check(periods)?;
        let ids = job.place.ids(periods);
        let (overlap, wanted) = (job.facts.chips.overlap, 2 * job.facts.margin);
        if overlap < wanted && job.grid.len() > 1 {
            host.log(Level::Warn, format!(
                "chips overlap by {overlap} px, and the model sees less around the outer {} px of a chip: seams may show; set `overlap` of raster.chips to {wanted} or more",
                job.facts.margin
            ));
        }
        let pixels = (job.grid.geobox().width * job.grid.geobox().height) as f64;
        let bytes: usize = job.layers.iter().map(Layer::pixel_bytes).sum();
        let one_map = pixels * bytes as f64;
        let largest = job
            .layers
            .iter()
            .map(|layer| CogWriter::scratch_bytes(&layer.spec(job.grid.geobox().clone())))
            .sum::<u64>();
        let row = (job.grid.size() * job.grid.geobox().width * bytes) as u64;
        let working = Blender::bytes(&job.grid, job.facts.channels) as u64 + 2 * row + (64 << 20);
        Ok(NodePlan::new(raster_schema())
            .facts(json!({"href": job.place.home(), "items": ids, "layers": job.layers}))
            .cost("written", one_map * ids.len() as f64, "bytes")
            .cost("scratch", largest as f64, "bytes")
            .memory(working, 1 << 20)
            .state(json!({"kind": inputs.require("maps")?.kind, "facts": inputs.require("maps")?.facts})))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let kind = plan.state["kind"].as_str().unwrap_or_default().to_owned();
        let job = Job::new(&settings, &kind, plan.state["facts"].clone(), &host)
            .map_err(|faults| errors::joined("plan.invalid", &faults).hint("plan the workflow again"))?;
        let maps = inputs.require("maps")?;
        let model = inputs.take("model");
        let mut work = Some((job, maps, model, settings, host));
        // The work is done when the first batch is asked for, so that the engine sees progress and can cancel.
        Ok(Box::new(std::iter::from_fn(move || {
            work.take().map(|(job, maps, model, settings, host)| job.write(maps, model, &settings, &host))
        })))
    }
}

/// What is to be written.
struct Job {
    kind: String,
    facts: MapFacts,
    layers: Vec<Layer>,
    grid: ChipGrid,
    place: Destination,
    /// The task, where its chips are written as polygons.
    of_chips: Option<Task>,
}

impl Job {
    fn new(settings: &Settings, kind: &str, facts: serde_json::Value, host: &Host) -> Result<Self, Vec<Fault>> {
        let facts: MapFacts = serde_json::from_value(facts).map_err(|error| {
            vec![
                Fault::new("", "facts.invalid", format!("the facts of the maps cannot be read: {error}"))
                    .hint("connect skysense.segment or skysense.embed"),
            ]
        })?;
        let features = kind == FEATURE;
        let mut faults = Vec::new();
        if !features && settings.outputs.as_ref().is_some_and(Vec::is_empty) {
            faults.push(Fault::new(
                "/outputs",
                "settings.invalid",
                "outputs is empty, expected class, probability, entropy or value",
            ));
        }
        let layers = layers(&facts, settings.outputs.as_deref(), settings.dtype, features);
        if let Err(message) = &layers {
            faults.push(Fault::new("/outputs", "settings.invalid", message));
        }
        let of_chips = task_of_chips(&facts).filter(|_| !features && !settings.polygons.is_empty());
        if !settings.polygons.is_empty() && of_chips.is_none() {
            let task = if features { "features" } else { facts.task.as_str() };
            let message = format!("polygons is given, and {task} of pixels have no class of a whole chip");
            faults.push(Fault::new("/polygons", "settings.invalid", message).hint(
                "leave `polygons` out, or connect a model of \
                                                                          classification or multi_label",
            ));
        }
        let place = Destination::new(&settings.href, &settings.collection, settings.exists, host)
            .map_err(|more| faults.extend(more))
            .ok();
        let grid = ChipGrid::new(facts.chips.geobox.clone(), facts.chips.chip_size, facts.chips.overlap);
        match (grid, layers, place) {
            (Ok(grid), Ok(layers), Some(place)) if faults.is_empty() => {
                Ok(Self { kind: kind.to_owned(), facts, layers, grid, place, of_chips })
            }
            (Err(error), ..) => Err(vec![Fault::new("", "facts.invalid", error.to_string())]),
            _ => Err(faults),
        }
    }

    fn write(
        self,
        maps: RunInput,
        model: Option<RunInput>,
        settings: &Settings,
        host: &Host,
    ) -> Result<RecordBatch, NodeError> {
        let periods = &self.facts.chips.periods;
        let publishing = self.place.begin(periods, host)?;
        let (written, polygons) = self.blend(maps, &publishing, host)?;
        let about = self.provenance(model, host)?;
        let mut records = Vec::new();
        let title = settings.title.as_deref();
        for (period, map) in periods.iter().zip(&written) {
            let (id, title) = (self.place.id(period), self.place.title(title, period));
            let mut record = describe(&about, &id, &title, period, map).map_err(|error| errors::raster(&error))?;
            if self.of_chips.is_some() {
                let folder = publishing.folder(&id).map_err(|error| errors::catalog(&error))?;
                let rows: Vec<FeatureRow> = polygons.iter().filter(|row| row.period == period.name).cloned().collect();
                let layer = VectorLayer {
                    name: "chips",
                    title: "Classes of chips",
                    crs: &self.facts.chips.geobox.crs,
                    classes: &self.facts.classes,
                    changed: &period.end,
                };
                record.assets.extend(write_layer(layer, &settings.polygons, &rows, &folder)?);
            }
            records.push(record);
        }
        host.check_cancelled()?;
        let otherwise = format!("Maps made by the model {}", self.facts.model.name);
        let collection = self.place.record(title, settings.description.as_deref(), otherwise, &settings.license);
        let published = publishing.finish(&collection, &records).map_err(|error| errors::catalog(&error))?;
        self.place.rows(&published.items, periods, host)
    }

    /// Blends the maps of all periods into files; gives the outlines of chips, too, where these are written.
    fn blend(
        &self,
        maps: RunInput,
        publishing: &Publishing,
        host: &Host,
    ) -> Result<(Vec<WrittenMap>, Vec<FeatureRow>), NodeError> {
        let fault = |error: skysense_raster::RasterError| errors::raster(&error);
        let threads = host.about().threads.max(1);
        let periods = &self.facts.chips.periods;
        let begin = |place: usize| -> Result<PeriodWriter, NodeError> {
            let folder = publishing.folder(&self.place.id(&periods[place])).map_err(|error| errors::catalog(&error))?;
            PeriodWriter::create(&folder, &self.grid, &self.layers, self.facts.channels, threads).map_err(fault)
        };
        let mut written = Vec::with_capacity(periods.len());
        let mut polygons = Vec::new();
        let mut open = begin(0)?;
        let (mut done, total) = (0_u64, (self.grid.len() * periods.len()) as u64);
        for batch in maps {
            host.check_cancelled()?;
            let batch = batch?;
            let chips = if self.kind == FEATURE { MapBatch::features(&batch) } else { MapBatch::predictions(&batch) };
            let chips = chips.map_err(|error| errors::edge(&error))?;
            for row in 0..chips.len() {
                let name = chips.period(row);
                let place = periods.iter().position(|period| period.name == name).ok_or_else(|| {
                    NodeError::new("maps.period", format!("a chip is of period {name:?}, which the plan does not have"))
                })?;
                if place < written.len() {
                    return Err(NodeError::new(
                        "maps.order",
                        format!("a chip of period {name} came after a later period"),
                    ));
                }
                while written.len() < place {
                    let finished = std::mem::replace(&mut open, begin(written.len() + 1)?);
                    written.push(finished.finish().map_err(fault)?);
                }
                let window = chips.window(row).map_err(|error| errors::edge(&error))?;
                open.push(&window, chips.values(row), chips.valid(row)).map_err(fault)?;
                if let Some(task) = self.of_chips {
                    polygons.extend(chip_rows(&self.facts, task, &chips, row, &window));
                }
                done += 1;
            }
            host.progress(done, Some(total), "chips");
        }
        if done < total {
            host.log(Level::Warn, format!("{} of {total} chips did not come: their pixels are no data", total - done));
            host.count("missing_chips", total - done);
        }
        written.push(open.finish().map_err(fault)?);
        // Periods that no chip came for are written as what they are: without data.
        while written.len() < periods.len() {
            written.push(begin(written.len())?.finish().map_err(fault)?);
        }
        Ok((written, polygons))
    }

    fn provenance(&self, model: Option<RunInput>, host: &Host) -> Result<Describe<'_>, NodeError> {
        let model = package(model, &self.facts.model)?;
        Ok(Describe { facts: &self.facts, model, workflow_sha256: host.about().workflow_sha256, software: software() })
    }
}
