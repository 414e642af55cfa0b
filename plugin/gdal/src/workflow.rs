//! From a workflow's file to what its `stac.write` would write: planned, and nothing of it done.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use skysense_edges::MapFacts;
use skysense_engine::{Bindings, Event, Events, NodeTypes, Plan, PlanOptions, PlannedNode, Spec, plan};
use skysense_grid::ChipGrid;
use skysense_maps::Layer;

use crate::name::Name;
use crate::options::Options;
use crate::place;
use crate::plugins::plugins;

/// The node whose rasters are read.
const WRITER: &str = "stac.write";
/// The port through which a node is told which chips are wanted.
pub(crate) const ONLY: &str = "only";

/// A planned workflow, and the rasters of one of its writers.
pub(crate) struct Workflow {
    pub(crate) plan: Plan,
    /// Names of all writers.
    pub(crate) writers: Vec<String>,
    /// The one whose rasters these are.
    pub(crate) writer: String,
    /// The node that it reads.
    pub(crate) source: String,
    /// Kind of that edge: `feature` or `prediction`.
    pub(crate) kind: String,
    pub(crate) facts: MapFacts,
    pub(crate) grid: ChipGrid,
    pub(crate) layers: Vec<Layer>,
    /// What was left out while planning, for the reader.
    pub(crate) warnings: Vec<String>,
}

/// A workflow that is read and checked, and what tells it from others.
pub(crate) struct Checked {
    spec: Spec,
    writers: Vec<String>,
    writer: String,
    /// Equal for equal workflows with equal values.
    pub(crate) identity: String,
}

fn types() -> Result<&'static NodeTypes, String> {
    static TYPES: OnceLock<NodeTypes> = OnceLock::new();
    let types = TYPES.get_or_init(|| plugins().node_types());
    if !types.is_empty() {
        return Ok(types);
    }
    let refused: Vec<String> =
        plugins().refused().iter().map(|it| format!("\n  caused by: {}: {}", it.path.display(), it.reason)).collect();
    let looked: Vec<String> = place::own_folders().iter().map(|folder| folder.display().to_string()).collect();
    Err(format!(
        "no plugin of skysense was found beside this driver ({}){}\n  hint: keep the driver beside the command, or set SKYSENSE_PLUGIN_PATH",
        looked.join(", "),
        refused.concat()
    ))
}

/// Reads and checks a workflow's file.
///
/// # Errors
/// In words: every mistake in it, or that there is nothing to read in it.
pub(crate) fn check(name: &Name, options: &Options) -> Result<Checked, String> {
    let types = types()?;
    // Two that stand in different folders may mean different files by one name.
    let file = std::path::absolute(&name.file).map_err(|error| format!("{}: {error}", name.file.display()))?;
    let mut params: Vec<(String, String)> = name.params.iter().chain(&options.params).cloned().collect();
    let open = Spec::load(&file, types, &Bindings::of_process(&params).open()).map_err(|faults| faults.to_string())?;
    let mut lacking = false;
    for param in &open.declared {
        let given = !param.default.is_null() || params.iter().any(|(given, _)| *given == param.name);
        let place = !param.fills.is_empty() && param.fills.iter().all(|it| it.uses == WRITER && it.pointer == "/href");
        lacking |= !given;
        // Nothing is written, so it does not matter where to.
        if !given && place {
            params.push((param.name.clone(), nowhere()));
        }
    }
    let whole = || Spec::load(&file, types, &Bindings::of_process(&params)).map_err(|faults| faults.to_string());
    let mut spec = if lacking { whole()? } else { open };
    let writers: Vec<String> =
        spec.nodes.iter().filter(|node| node.uses == WRITER).map(|node| node.name.clone()).collect();
    let file = file.display();
    let wanted = name.part("node").or(options.node.as_deref());
    let writer = match wanted {
        None => writers.first().cloned().ok_or_else(|| {
            format!("{file} has no {WRITER}: its rasters are those that {WRITER} would write\n  hint: add one behind the node whose map you want")
        })?,
        Some(wanted) => writers.iter().find(|name| *name == wanted).cloned().ok_or_else(|| {
            format!("{file} has no {WRITER} called `{wanted}`; it has {}", listed(&writers))
        })?,
    };
    let mut needed = BTreeSet::from([writer.clone()]);
    // Nodes stand behind what they read.
    for node in spec.nodes.iter().rev() {
        if needed.contains(&node.name) {
            needed.extend(node.inputs.iter().map(|edge| edge.from.clone()));
        }
    }
    spec.nodes.retain(|node| needed.contains(&node.name));
    for node in spec.nodes.iter_mut().filter(|node| node.name == writer) {
        // Output that is there is no hindrance to reading what would be written.
        node.settings["href"] = json!(nowhere());
    }
    let settings: Vec<_> = spec.nodes.iter().map(|node| json!([node.name, node.uses, node.settings])).collect();
    let identity = json!([spec.file, spec.folder, spec.hash, settings, writer, options.threads, options.device]);
    Ok(Checked { spec, writers, writer, identity: identity.to_string() })
}

/// A folder that is not there.
fn nowhere() -> String {
    std::env::temp_dir().join("skysense-gdal-writes-nothing").display().to_string()
}

/// Plans a workflow.
///
/// # Errors
/// In words: every mistake that its nodes find, or why it cannot be computed in parts.
pub(crate) fn planned(checked: Checked, options: &Options) -> Result<Workflow, String> {
    let skipped = Arc::new(Skipped::default());
    let mut how = PlanOptions::default();
    how.threads = options.threads;
    how.guest = true;
    how.events = skipped.clone();
    let plan = plan(&checked.spec, plugins(), &how).map_err(|faults| faults.to_string())?;
    let unknown = |what: &str| {
        format!(
            "the plan of `{}` lacks {what}\n  hint: the plugin is of another version than this driver",
            checked.writer
        )
    };
    let writer = plan.node(&checked.writer).ok_or_else(|| unknown("the node"))?;
    let edge = writer.inputs.iter().find(|edge| edge.port == "maps").ok_or_else(|| unknown("its input"))?;
    let source = plan.node(&edge.from).ok_or_else(|| unknown("its input"))?;
    can_be_pulled(&plan, source)?;
    let facts: MapFacts =
        serde_json::from_value(source.plan.facts.clone()).map_err(|_| unknown("facts of the maps"))?;
    let layers: Vec<Layer> =
        serde_json::from_value(writer.plan.facts["layers"].clone()).map_err(|_| unknown("layers"))?;
    if layers.is_empty() || facts.chips.periods.is_empty() {
        return Err(unknown("a raster"));
    }
    let chips = &facts.chips;
    let grid =
        ChipGrid::new(chips.geobox.clone(), chips.chip_size, chips.overlap).map_err(|error| error.to_string())?;
    let (source, kind) = (source.name.clone(), source.output.clone());
    let warnings = skipped.taken();
    let (writers, writer) = (checked.writers, checked.writer);
    Ok(Workflow { plan, writers, writer, source, kind, facts, grid, layers, warnings })
}

/// Whether the maps of a node can be made a few chips at a time.
fn can_be_pulled(plan: &Plan, source: &PlannedNode) -> Result<(), String> {
    let mut told = false;
    let mut open = vec![source];
    while let Some(node) = open.pop() {
        let described = plugins().node(&node.uses).map(|(_, described)| described);
        told |= described.is_some_and(|it| it.doc.inputs.iter().any(|port| port.name == ONLY));
        if !["item", "source", "chip", "feature", "prediction"].contains(&node.output.as_str()) {
            return Err(format!(
                "node `{}` ({}) makes its {} of all chips, so no part of the map can be computed before\n  hint: run the workflow once with `skysense run`, and name the finished {} in it",
                node.name, node.uses, node.output, node.output
            ));
        }
        open.extend(node.inputs.iter().filter_map(|edge| plan.node(&edge.from)));
    }
    if told {
        Ok(())
    } else {
        Err("no node of the workflow can be told which chips are wanted\n  hint: its chips must come from raster.chips"
            .into())
    }
}

/// Names in a sentence.
pub(crate) fn listed(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Hears what is left out.
#[derive(Default)]
pub(crate) struct Skipped(Mutex<Vec<String>>);

impl Skipped {
    /// What was left out since this was last asked.
    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Events for Skipped {
    fn event(&self, event: &Event) {
        let Event::Record { kind, record, .. } = event else { return };
        if kind != "skipped" {
            return;
        }
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let mut told = format!("item {}", text("item"));
        if let Some(asset) = record["asset"].as_str() {
            told.push_str(&format!(", asset {asset}"));
        }
        told.push_str(&format!(", is left out: {}", text("reason")));
        for cause in record["causes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            told.push_str(&format!("\n  caused by: {cause}"));
        }
        if let Some(hint) = record["hint"].as_str() {
            told.push_str(&format!("\n  hint: {hint}"));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}
