//! `skysense.reduce`: a model with integer products, calibrated on chips.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_contract::{BandRule, Package};
use skysense_edges::{ChipBatch, ChipFacts, model_schema};
use skysense_infer::{Model, ModuleRanges, Options, widen};
use skysense_train::Precision;

use crate::apply::{self, chip_input, fit, planned_offers};
use crate::errors;
use crate::reduction::{of_files, reduce};
use crate::settings::{path, planned};
use crate::training::model_row;

const DOC: &str = "\
Writes a package with integer products (`int8-static`) from one with f32 graphs. The inputs of the products are scaled by \
the least and largest values that are seen on the chips and on the package's own probe, so the chips should be of the \
kind that the model will meet: other seasons and areas than those of the map are better than a few chips of it. \
`skysense model reduce` makes the other precisions, which need no chips.

## Columns
In: `chip`. Out: `model`, one row.

## Limits
The first `chips` chips are seen, and the rest is not read. A modality that the chips lack is calibrated on the probe \
alone.";

const EXAMPLE: &str = "\
small:
  uses: skysense.reduce
  from: chips
  with: {model: models/crops, out: models/crops-int8}
";

/// Settings of `skysense.reduce`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Folder of the model package with f32 graphs.
    model: String,
    /// Folder that gets the new package; it must not exist.
    out: String,
    /// Chips that are seen, from the first on.
    #[serde(default = "chips")]
    #[schemars(range(min = 1))]
    chips: usize,
}

fn chips() -> usize {
    64
}

/// The node.
pub(crate) struct SkysenseReduce;

impl Node for SkysenseReduce {
    const NAME: &'static str = "skysense.reduce";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Makes a model smaller and calibrates it on chips")
            .input("chips", &["chip"], "the chips to calibrate on")
            .output("model")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let applied = apply::Settings { model: Some(settings.model.clone()), ..apply::Settings::default() };
        let fit = fit(&applied, inputs, host)?;
        if let Some(reduced) = fit.contract.reduced() {
            let message = format!("package {} is {} already", fit.contract.name, reduced.precision);
            return Err(Fault::new("/model", "model.reduced", message).hint("start from the float model").into());
        }
        let out = path(&host.about().base, &settings.out);
        if out.exists() {
            let message = format!("{} is already there", out.display());
            return Err(Fault::new("/out", "output.exists", message).hint("choose another folder").into());
        }
        let mut contract = fit.contract.clone();
        contract.name = format!("{}-{}", contract.name, Precision::Int8Static);
        let seen = settings.chips.max(1).min(fit.chips.chips());
        Ok(NodePlan::new(model_schema())
            .facts(json!({"contract": contract, "path": out}))
            .cost("calibration_chips", seen as f64, "")
            .memory(fit.working_bytes(1), 1 << 20)
            .state(json!(fit.chips)))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let (facts, chips): (ChipFacts, _) = (planned(plan.state)?, inputs.require("chips")?);
        Ok(Box::new(std::iter::once_with(move || made(&settings, &facts, chips, &host))))
    }
}

fn made(settings: &Settings, facts: &ChipFacts, chips: RunInput, host: &Host) -> Result<RecordBatch, NodeError> {
    let base = host.about().base;
    let out: PathBuf = path(&base, &settings.out);
    let package = Package::open(path(&base, &settings.model)).map_err(|error| errors::contract(&error))?;
    // A run that goes on after it was killed finds the package that it had finished itself.
    let finished = host.about().resumed.then(|| Package::open(&out).ok()).flatten();
    let from = &package.contract().weights_sha256;
    if let Some(finished) =
        finished.filter(|made| made.contract().reduced().is_some_and(|note| note.from_weights_sha256 == *from))
    {
        return model_row(&finished, host);
    }
    let answer = reduce(&package, Precision::Int8Static, out.clone(), host, |watched| {
        let (mut seen, _) = of_files(watched, &[watched.probe()])?;
        let count = see(watched, facts, chips, settings.chips.max(1), host, &mut seen)?;
        let Some(count) = count else {
            return Err(NodeError::new("chips.none", "no chip came to calibrate on")
                .hint("look at the area and the period of the chips"));
        };
        Ok((seen, format!("least and largest values of inputs; chips of a workflow: {count}, probe: 1")))
    })?;
    host.log(Level::Info, format!("{} of {}", answer.precision, answer.calibration.as_deref().unwrap_or_default()));
    model_row(&Package::open(&out).map_err(|error| errors::contract(&error))?, host)
}

/// Runs chips through the watched graphs; gives how many, or `None` where there were none.
fn see(
    watched: &Package,
    facts: &ChipFacts,
    chips: RunInput,
    most: usize,
    host: &Host,
    seen: &mut ModuleRanges,
) -> Result<Option<usize>, NodeError> {
    let offers = planned_offers(facts)?;
    let binding = watched.contract().bind(&offers, BandRule::All).map_err(|error| errors::contract(&error))?;
    let options = Options {
        threads: host.about().threads,
        dates: offers.iter().map(|(modality, offer)| (*modality, offer.dates)).collect(),
        binding: Some(binding),
        ..Options::default()
    };
    let model = Model::load(watched.clone(), options).map_err(|error| errors::infer(&error))?;
    let (context, headed) = (watched.contract().geo_context.as_ref(), watched.contract().head.is_some());
    let mut count = 0;
    'all: for batch in chips {
        let batch = batch?;
        let batch = ChipBatch::try_new(&batch).map_err(|error| errors::edge(&error))?;
        for row in 0..batch.len() {
            host.check_cancelled()?;
            let input = chip_input(&batch, row, &facts.geobox, context)?;
            let run = if headed { model.predict(&[input]) } else { model.features(&[input]) };
            let _maps = run.map_err(|error| errors::infer(&error).at("chip", batch.chip(row)))?;
            count += 1;
            host.progress(count as u64, Some(most.min(facts.chips()) as u64), "chips");
            if count == most {
                break 'all;
            }
        }
    }
    widen(seen, model.ranges());
    Ok((count > 0).then_some(count))
}
