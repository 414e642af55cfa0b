//! `stac.search` and `raster.chips` inside of a tool: it sees the very pixels that a workflow's model sees.

use serde_json::Value;
use skysense_abi::{Fault, Host, Node, NodeError, NodePlan, PlanInput, PlanInputs, RunInput, RunInputs};

use crate::nodes::raster_chips::RasterChips;
use crate::nodes::stac_search::StacSearch;
use crate::training::PlannedProbe;

/// What a search with these settings finds.
///
/// # Errors
/// Settings that are none of `stac.search`, and whatever keeps it from searching.
pub(crate) fn found(search: &Value, host: &Host) -> Result<PlanInput, NodeError> {
    let plan = StacSearch::plan(settings::<StacSearch>(search)?, &PlanInputs::default(), host).map_err(first)?;
    Ok(PlanInput::new("item", plan.schema, plan.facts, plan.rows))
}

/// The chips of what a search finds, with what was planned of them.
///
/// # Errors
/// As [`found`], and the same of `raster.chips`.
pub(crate) fn read_chips(search: &Value, chips: &Value, host: &Host) -> Result<(PlanInput, RunInput), NodeError> {
    let inputs = PlanInputs::default().with("items", found(search, host)?);
    let plan: NodePlan = RasterChips::plan(settings::<RasterChips>(chips)?, &inputs, host).map_err(first)?;
    let planned = PlanInput::new("chip", plan.schema.clone(), plan.facts.clone(), plan.rows.clone());
    let batches = RasterChips::run(settings::<RasterChips>(chips)?, plan, RunInputs::default(), host.clone())?;
    let batches = RunInput::new("chip", planned.schema.clone(), batches);
    Ok((planned, batches))
}

/// Chips with their labels, both found by searches: settings of the search for images, of the chips, of the search for labels.
///
/// # Errors
/// As [`read_chips`], and labels that do not fit.
pub(crate) fn labelled_chips(
    (search, chips, labels): (&Value, &Value, &Value),
    label_asset: Option<&str>,
    ignore: &[u8],
    host: &Host,
) -> Result<(PlannedProbe, RunInput), NodeError> {
    let (chips, batches) = read_chips(search, chips, host)?;
    let labels = found(labels, host)?;
    Ok((PlannedProbe::of(&chips, &labels, label_asset, ignore).map_err(first)?, batches))
}

fn settings<N: Node>(value: &Value) -> Result<N::Settings, NodeError> {
    serde_json::from_value(value.clone())
        .map_err(|error| NodeError::from_error("arguments.invalid", &error).at("node", N::NAME))
}

/// Faults of planning as one error.
pub(crate) fn first(faults: Vec<Fault>) -> NodeError {
    let mut faults = faults.into_iter();
    let Some(fault) = faults.next() else {
        return NodeError::new("plan.invalid", "the plan failed and did not say why");
    };
    let mut error = NodeError::new(fault.code, fault.message).at("setting", fault.field);
    error.hint = fault.hint;
    faults.fold(error, |error, fault| error.because(fault.message))
}
