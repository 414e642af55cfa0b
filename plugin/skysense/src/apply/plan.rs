//! What a node that applies a model promises.

use serde_json::json;
use skysense_abi::{Fault, Host, NodePlan, PlanInputs};

use super::fit::{Settings, fit, plan_facts};
use super::maps::{BATCH, Task};

/// The plan of a node that applies a model to chips.
///
/// # Errors
/// A model that cannot be read, one without a head where probabilities are asked for, and every misfit of the chips.
pub(crate) fn plan(task: Task, settings: &Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
    let fit = fit(settings, inputs, host)?;
    let contract = &fit.contract;
    let channels = match (task, &contract.head) {
        (Task::Features, _) => contract.channels,
        (Task::Probabilities, Some(head)) => head.classes.len(),
        (Task::Probabilities, None) => {
            let message = format!("model {} has no head: it gives features only", contract.name);
            return Err(Fault::new("/model", "model.headless", message)
                .hint(match contract.graphs.contains_key(&skysense_contract::Module::Fusion) {
                    true => "use skysense.embed, or train a head with skysense.finetune",
                    false => "use skysense.embed: an encoder alone has no head, and none can be trained on it",
                })
                .into());
        }
    };
    let side = contract.chip_size;
    let batch = settings.batch.unwrap_or(BATCH).max(1);
    let bytes = (batch * side * side * (4 * channels + 1)) as u64;
    Ok(NodePlan::new(task.schema(channels, side))
        .facts(plan_facts(&fit, channels))
        .state(json!(fit.state))
        .memory(fit.working_bytes(batch), bytes)
        .cost("model_chips", fit.chips.chips() as f64, ""))
}
