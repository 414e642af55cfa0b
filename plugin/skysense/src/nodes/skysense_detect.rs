//! `skysense.detect`: objects as outlines on the map.

use std::collections::BTreeMap;

use serde_json::json;
use skysense_abi::{
    BatchStream, DeviceLease, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_edges::{ChipBatch, ObjectBuilder, ObjectFacts, ObjectRow, object_schema};
use skysense_grid::{GeoBox, Window};
use skysense_infer::{Detector, Found, MergeRule, merged};

use crate::apply::{ModelState, Settings, chip_input, fit, limits, map_facts, open, planned_offers, say};
use crate::errors;
use crate::settings::planned;

const DOC: &str = concat!(
    "\
Runs a SkySense detector on high-resolution chips, and gives the objects that it finds as outlines in coordinates of the \
grid: upright ones, or rotated ones where the model was trained for that. Where chips overlap, an object that several of \
them see is given once: the whole one of the highest score, so overlap chips by more than the largest object.

## Columns
In: `chip`, and a `model` that is still to be trained. Out: `object`: number of the chip, period, class, score, and four \
corners.",
    limits!(),
    " All objects of a period are held in memory."
);

const EXAMPLE: &str = "\
found:
  uses: skysense.detect
  from: chips
  with: {model: models/ships}
";

/// Chips whose rim cuts an object: it comes nearer than so many pixels.
const RIM: f64 = 2.0;

/// The node.
pub(crate) struct SkysenseDetect;

impl Node for SkysenseDetect {
    const NAME: &'static str = "skysense.detect";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Finds objects")
            .input("chips", &["chip"], "the chips to look at")
            .optional_input("model", &["model"], "the model, where an earlier node trains it")
            .output("object")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        if settings.flips {
            let message = "flips is true, and boxes of flipped chips are not brought together";
            return Err(Fault::new("/flips", "settings.invalid", message).hint("leave it out").into());
        }
        let fit = fit(&settings, inputs, host)?;
        let contract = &fit.contract;
        let Some(detector) = contract.head.as_ref().and_then(|head| head.detector.as_ref()) else {
            let message = format!("model {} finds no objects", contract.name);
            return Err(Fault::new("/model", "model.detector", message)
                .hint("train a detector with skysense.finetune, or use skysense.segment or skysense.embed")
                .into());
        };
        let maps = map_facts(&fit, contract.channels);
        let facts = ObjectFacts {
            chips: maps.chips,
            model: maps.model,
            classes: maps.classes,
            rotated: detector.rotated,
            absent_bands: maps.absent_bands,
        };
        let regions = (detector.proposals.count * contract.channels * detector.pool.pow(2) * 4) as u64;
        // Maps at a quarter of the image's side, some of them at a time, in the encoder and on the levels.
        let side: usize = contract.modalities.values().map(|input| contract.chip_size * input.scale).sum();
        let maps_bytes = (side * side * contract.channels * 4 * 6) as u64;
        Ok(NodePlan::new(object_schema())
            .facts(json!(facts))
            .state(json!(fit.state))
            .memory(fit.working_bytes(1) + maps_bytes + 3 * regions, 1 << 20)
            .cost("model_chips", fit.chips.chips() as f64, ""))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let state: ModelState = planned(plan.state)?;
        let facts: ObjectFacts = planned(plan.facts)?;
        let offers = planned_offers(&facts.chips)?;
        let (package, options, device) = open(&settings, (&state, &offers, None), &mut inputs, &host)?;
        let detector = Detector::load(package, options).map_err(|error| errors::infer(&error))?;
        say(detector.record(), &host);
        let chips = inputs.require("chips")?;
        let search = Search { detector, facts, host, _device: device };
        Ok(Box::new(std::iter::once_with(move || search.run(chips))))
    }
}

struct Search {
    detector: Detector,
    facts: ObjectFacts,
    host: Host,
    _device: DeviceLease,
}

/// What was found in a chip, in its pixels.
struct InChip {
    chip: u32,
    window: Window,
    found: Vec<Found>,
}

impl Search {
    fn run(self, chips: RunInput) -> Result<arrow::array::RecordBatch, NodeError> {
        let total = self.facts.chips.chips() as u64;
        let mut by_period: BTreeMap<String, Vec<InChip>> = BTreeMap::new();
        let mut done = 0;
        for batch in chips {
            let chips = ChipBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
            for row in 0..chips.len() {
                self.host.check_cancelled()?;
                let input = chip_input(&chips, row, &self.facts.chips.geobox, None)?;
                let at = |error| errors::infer(&error).at("chip", chips.chip(row)).at("period", chips.period(row));
                let found = self.detector.detect(&[input]).map_err(at)?.pop().unwrap_or_default();
                let window = chips.window(row).map_err(|error| errors::edge(&error))?;
                let seen = InChip { chip: chips.chip(row), window, found };
                by_period.entry(chips.period(row).to_owned()).or_default().push(seen);
                done += 1;
                self.host.progress(done, Some(total), "chips");
            }
        }
        let scale = self.detector.side() / self.detector.package().contract().chip_size;
        let image = self.facts.chips.geobox.finer(scale);
        let image = image.map_err(|error| NodeError::from_error("chips.window", &error))?;
        let mut rows = ObjectBuilder::default();
        let mut count = 0_u64;
        for period in &self.facts.chips.periods {
            let mut chips = by_period.remove(&period.name).unwrap_or_default();
            // Whatever order they came in, equal scores are settled by the order of chips.
            chips.sort_by_key(|seen| seen.chip);
            for row in self.merge(&chips, (scale, &image), &period.name)? {
                rows.push(row);
                count += 1;
            }
        }
        self.host.count("objects", count);
        self.host.log(Level::Info, format!("{count} objects in {done} chips"));
        rows.finish().map_err(|error| errors::edge(&error))
    }

    /// The objects of a period, each once, in coordinates of the map.
    fn merge(
        &self,
        chips: &[InChip],
        (scale, image): (usize, &GeoBox),
        period: &str,
    ) -> Result<Vec<ObjectRow>, NodeError> {
        let seen: Vec<([f64; 2], f64, &[Found])> = chips
            .iter()
            .map(|seen| {
                let corner = [seen.window.x, seen.window.y].map(|at| (at * scale as i64) as f64);
                (corner, (seen.window.width * scale) as f64, seen.found.as_slice())
            })
            .collect();
        let stages = self.detector.stages();
        let rule = MergeRule { rotated: stages.rotated, iou: stages.iou, margin: RIM };
        let kept = merged(&seen, rule).map_err(|error| NodeError::from_error("objects.merge", &error))?;
        let row = |(place, corners, found): (usize, [[f64; 2]; 4], Found)| ObjectRow {
            chip: chips[place].chip,
            period: period.to_owned(),
            class: found.class as u32,
            score: f64::from(found.score),
            corners: corners.map(|[column, row]| image.transform.apply(column, row).into()),
        };
        Ok(kept.into_iter().map(row).collect())
    }
}
