//! `stac.search` and `raster.chips` inside of a tool: it sees the very pixels that a workflow's model sees.

use serde_json::Value;
use skysense_abi::{Fault, Host, Node, NodeError, NodePlan, PlanInput, PlanInputs, RunInput, RunInputs};
use skysense_edges::ChipFacts;

use crate::nodes::raster_chips::RasterChips;
use crate::nodes::stac_search::StacSearch;

/// What a search with these settings finds.
///
/// # Errors
/// Settings that are none of `stac.search`, and whatever keeps it from searching.
pub(crate) fn found(search: &Value, host: &Host) -> Result<PlanInput, NodeError> {
    let plan = StacSearch::plan(settings::<StacSearch>(search)?, &PlanInputs::default(), host).map_err(first)?;
    Ok(PlanInput::new("item", plan.schema, plan.facts, plan.rows))
}

/// The chips of what a search finds, with the facts that were planned.
///
/// # Errors
/// As [`found`], and the same of `raster.chips`.
pub(crate) fn read_chips(search: &Value, chips: &Value, host: &Host) -> Result<(ChipFacts, RunInput), NodeError> {
    let inputs = PlanInputs::default().with("items", found(search, host)?);
    let plan: NodePlan = RasterChips::plan(settings::<RasterChips>(chips)?, &inputs, host).map_err(first)?;
    let facts: ChipFacts =
        serde_json::from_value(plan.facts.clone()).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
    let schema = plan.schema.clone();
    let batches = RasterChips::run(settings::<RasterChips>(chips)?, plan, RunInputs::default(), host.clone())?;
    Ok((facts, RunInput::new("chip", schema, batches)))
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
