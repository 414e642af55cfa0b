//! `objects.write`: outlines of objects as vector files with STAC items.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs};
use skysense_catalog::{AssetRecord, Bbox, Exists, FeatureRow, ItemRecord, ModelRecord, parse_datetime};
use skysense_contract::Task;
use skysense_edges::{ObjectBatch, ObjectFacts, ObjectRow, Period, raster_schema};

use crate::errors;
use crate::objects::{Format, Layer, write_layer};
use crate::publish::{Destination, model_record, package, software};
use crate::settings::planned;

const DOC: &str = "\
Writes the objects of each period as FlatGeobuf, GeoPackage or GeoParquet, in the reference system of the grid, with a STAC \
item for each period and a collection around them. Everything is made in a hidden folder and moved to its place when it is \
whole; the same objects give the same bytes.

## Columns
In: `object`, and optionally the `model` that found them, for provenance. Out: `raster`, one row for each item.

## Limits
A layer has the fields class, class_value, score, period and chip. FlatGeobuf keeps features in the order of its index of \
places, the others by falling score.";

const EXAMPLE: &str = "\
ships:
  uses: objects.write
  from: found
  with: {href: out/, collection: ships, formats: [flatgeobuf, geopackage]}
";

/// Settings of `objects.write`.
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
    /// Which files are written.
    #[serde(default = "all_formats")]
    #[schemars(length(min = 1))]
    formats: Vec<Format>,
    /// What becomes of output that is there: `fail`, `replace` or `append`.
    #[serde(default)]
    exists: Exists,
}

fn other() -> String {
    "other".into()
}

fn all_formats() -> Vec<Format> {
    vec![Format::Flatgeobuf, Format::Geopackage, Format::Geoparquet]
}

/// The node.
pub(crate) struct ObjectsWrite;

impl Node for ObjectsWrite {
    const NAME: &'static str = "objects.write";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Writes objects as vector files with STAC items")
            .input("objects", &["object"], "the objects to write")
            .optional_input("model", &["model"], "the model that found them, where an earlier node trains it")
            .output("raster")
            .doc(DOC)
            .example(EXAMPLE)
            .impure()
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let facts: ObjectFacts = serde_json::from_value(inputs.require("objects")?.facts.clone()).map_err(|error| {
            vec![
                Fault::new("", "facts.invalid", format!("the facts of the objects cannot be read: {error}"))
                    .hint("connect skysense.detect"),
            ]
        })?;
        if settings.formats.is_empty() {
            return Err(Fault::new("/formats", "settings.invalid", "formats is empty, expected one or more").into());
        }
        let place = place(&settings, host)?;
        place.check(&facts.chips.periods)?;
        Ok(NodePlan::new(raster_schema())
            .facts(json!({"href": place.home(), "items": place.ids(&facts.chips.periods)}))
            .memory(64 << 20, 1 << 20)
            .state(json!(facts)))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let facts: ObjectFacts = planned(plan.state)?;
        let (objects, model) = (inputs.require("objects")?, inputs.take("model"));
        Ok(Box::new(std::iter::once_with(move || write(&settings, &facts, objects, model, &host))))
    }
}

fn place(settings: &Settings, host: &Host) -> Result<Destination, Vec<Fault>> {
    Destination::new(&settings.href, &settings.collection, settings.exists, host)
}

fn write(
    settings: &Settings,
    facts: &ObjectFacts,
    objects: RunInput,
    model: Option<RunInput>,
    host: &Host,
) -> Result<RecordBatch, NodeError> {
    let place = place(settings, host)
        .map_err(|faults| errors::joined("plan.invalid", &faults).hint("plan the workflow again"))?;
    let periods = &facts.chips.periods;
    let publishing = place.begin(periods, host)?;
    let mut rows: BTreeMap<String, Vec<ObjectRow>> = BTreeMap::new();
    for batch in objects {
        host.check_cancelled()?;
        let batch = ObjectBatch::try_new(&batch?, facts.classes.len()).map_err(|error| errors::edge(&error))?;
        batch.rows().for_each(|row| rows.entry(row.period.clone()).or_default().push(row));
    }
    let task = if facts.rotated { Task::OrientedDetection } else { Task::Detection };
    let model = package(model, &facts.model)?.map(|package| model_record(&package, &facts.model, task.mlm()));
    let title = settings.title.as_deref();
    let mut records = Vec::new();
    for period in periods {
        let mut own = rows.remove(&period.name).unwrap_or_default();
        own.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chip.cmp(&b.chip)));
        let id = place.id(period);
        let made = publishing.folder(&id).map_err(|error| errors::catalog(&error))?;
        let assets = files(settings, facts, period, &own, &made)?;
        let about = (id, place.title(title, period));
        records.push(record(facts, period, about, (assets, own.len()), model.clone(), host)?);
        host.count("objects", own.len() as u64);
    }
    if let Some(period) = rows.keys().next() {
        let message = format!("an object is of period {period:?}, which the plan does not have");
        return Err(NodeError::new("objects.period", message));
    }
    let otherwise = format!("Objects found by the model {}", facts.model.name);
    let collection = place.record(title, settings.description.as_deref(), otherwise, &settings.license);
    let published = publishing.finish(&collection, &records).map_err(|error| errors::catalog(&error))?;
    place.rows(&published.items, periods, host)
}

/// Writes the files of a period into the folder of its item.
fn files(
    settings: &Settings,
    facts: &ObjectFacts,
    period: &Period,
    objects: &[ObjectRow],
    folder: &Path,
) -> Result<Vec<AssetRecord>, NodeError> {
    let class = |row: &ObjectRow| {
        let class = &facts.classes[row.class as usize];
        (class.value, class.name.clone())
    };
    let rows: Vec<FeatureRow> = objects
        .iter()
        .map(|row| FeatureRow {
            corners: row.corners,
            class: class(row),
            score: row.score,
            period: row.period.clone(),
            chip: row.chip,
        })
        .collect();
    let layer = Layer {
        name: "objects",
        title: "Objects",
        crs: &facts.chips.geobox.crs,
        classes: &facts.classes,
        changed: &period.end,
    };
    write_layer(layer, &settings.formats, &rows, folder)
}

fn record(
    facts: &ObjectFacts,
    period: &Period,
    (id, title): (String, String),
    (assets, count): (Vec<AssetRecord>, usize),
    model: Option<ModelRecord>,
    host: &Host,
) -> Result<ItemRecord, NodeError> {
    let outline = skysense_raster::footprint(&facts.chips.geobox).map_err(|error| errors::raster(&error))?;
    let moment = |text: &str| parse_datetime(text).unwrap_or_default();
    let (sources, decisions) = facts.chips.sources(period);
    let mut properties = Map::new();
    properties.insert("skysense:period".into(), json!(period.name));
    properties.insert("skysense:objects".into(), json!(count));
    properties.insert("skysense:rotated".into(), json!(facts.rotated));
    properties.insert("skysense:decisions".into(), json!(decisions));
    if !facts.absent_bands.is_empty() {
        properties.insert("skysense:absent_bands".into(), json!(facts.absent_bands));
    }
    let chips = &facts.chips;
    Ok(ItemRecord {
        id,
        title,
        interval: (moment(&period.start), moment(&period.end)),
        geometry: outline.geometry(),
        bbox: Bbox(outline.bbox),
        assets,
        derived_from: sources.iter().map(|item| item.address().to_owned()).collect(),
        lineage: format!(
            "{} items, brought onto one grid and cut into chips of {} px of 10 m that overlap by {} px. Model {} ({}): {} \
             objects, those of chips that overlap taken once.",
            sources.len(),
            chips.chip_size,
            chips.overlap,
            facts.model.name,
            facts.model.preset,
            count
        ),
        software: software(),
        workflow_sha256: host.about().workflow_sha256,
        model,
        properties,
    })
}
