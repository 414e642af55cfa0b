//! What a node that applies a model promises.

use serde_json::json;
use skysense_abi::{Fault, Host, NodePlan, PlanInputs};
use skysense_contract::Modality;

use super::fit::{Fit, Settings, fit, named_chips, paired, plan_facts};
use super::maps::{BATCH, Task};

/// The plan of a node that applies a model to chips.
///
/// # Errors
/// A model that cannot be read, one without a head where probabilities are asked for, and every misfit of the chips.
pub(crate) fn plan(task: Task, settings: &Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
    let fit = fit(settings, inputs, host)?;
    let before = match inputs.get("before") {
        Some(_) => Some(paired(&fit.chips, &named_chips(inputs, "before")?)?),
        None => None,
    };
    let compares = fit.contract.head.as_ref().is_some_and(|head| head.task.compares());
    if task == Task::Answers && compares != before.is_some() {
        let name = &fit.contract.name;
        let (message, hint) = match compares {
            true => (
                format!("model {name} compares two times, and chips of one are there"),
                "connect the chips of the earlier time to the port `before`",
            ),
            false => (format!("model {name} looks at one time, and chips of two are there"), "leave `before` out"),
        };
        return Err(Fault::new("", "chips.times", message).hint(hint).into());
    }
    let contract = &fit.contract;
    let channels = match (task, &contract.head) {
        (_, Some(head)) if head.detector.is_some() => {
            let message = format!("model {} finds objects: it gives no maps", contract.name);
            return Err(Fault::new("/model", "model.detector", message).hint("use skysense.detect").into());
        }
        (Task::Features(None), _) => contract.channels,
        (Task::Features(Some(modality)), _) => encoder_channels(&fit, modality)?,
        (Task::Answers, Some(head)) => head.channels(),
        (Task::Answers, None) => {
            let message = format!("model {} has no head: it gives features only", contract.name);
            return Err(Fault::new("/model", "model.headless", message)
                .hint(match contract.graphs.contains_key(&skysense_contract::Module::Fusion) {
                    true => "use skysense.embed, or train a head with skysense.finetune",
                    false => "use skysense.embed: encoders alone have no head, and none can be trained on them",
                })
                .into());
        }
    };
    let side = contract.chip_size;
    let batch = settings.batch.unwrap_or(BATCH).max(1);
    let bytes = (batch * side * side * (4 * channels + 1)) as u64;
    Ok(NodePlan::new(task.schema(channels, side))
        .facts(plan_facts(&fit, channels))
        .state(json!({"model": fit.state, "before": before}))
        .memory(fit.working_bytes(batch), bytes)
        .cost("model_chips", fit.chips.chips() as f64, ""))
}

/// Channels of what one encoder gives for the chips.
fn encoder_channels(fit: &Fit, modality: Modality) -> Result<usize, Vec<Fault>> {
    let Fit { contract, chips, .. } = fit;
    let names = |all: &mut dyn Iterator<Item = &str>| all.collect::<Vec<_>>().join(", ");
    let fault =
        |code: &str, message: String, hint: String| Err(Fault::new("/modality", code, message).hint(hint).into());
    let Some(facts) = chips.modalities.get(modality.name()) else {
        let known = names(&mut chips.modalities.keys().map(String::as_str));
        return fault("settings.modality", format!("the chips have no {modality}"), format!("they have {known}"));
    };
    let Some(channels) = contract.encoders.get(&modality) else {
        let message = format!("model {} does not say what its {modality} encoder gives", contract.name);
        let known = names(&mut contract.encoders.keys().map(|modality| modality.name()));
        let hint = match known.is_empty() {
            true => "make the package anew: this one was made before packages said so".into(),
            false => format!("it has encoders of {known}"),
        };
        return fault("settings.modality", message, hint);
    };
    if facts.dates > 1 {
        let message = format!("an encoder alone takes one date, and chips have up to {} of {modality}", facts.dates);
        return fault("settings.modality", message, "set `dates: {max: 1}` at the chips".into());
    }
    Ok(*channels)
}
