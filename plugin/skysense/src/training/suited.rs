//! Which settings of a training its task has a use for: what would be passed over in silence is refused.

use serde::Serialize;
use serde_json::json;
use skysense_abi::{Fault, PlanInputs};
use skysense_contract::Task;

/// Whether a task has no use for something.
type Without = fn(Task) -> bool;

/// A setting, the tasks that have no use for it, and why.
const SETTINGS: [(&str, Without, &str); 13] = [
    ("head", Task::of_objects, "a detector has stages of its own"),
    ("calendar", Task::of_objects, "a detector looks at one image and knows no dates"),
    ("quantity", |task| task != Task::Regression, "only a regression has a quantity"),
    ("chip_share", |task| task != Task::MultiLabel, "only chips with any number of classes ask for a share"),
    ("objects", |task| !task.of_objects(), "only detection learns objects"),
    ("ignore", without_values, "there are no values of classes; `objects: {classes: […]}` names the objects to learn"),
    ("class_weights", without_values, "there are no classes of pixels or chips that could weigh more"),
    ("calibrate", without_values, "there are no probabilities of classes"),
    ("shapes", Task::of_objects, "`objects` says what of a layer is learned"),
    ("label_dates", Task::of_objects, "objects are paired with chips by place"),
    ("lora", Task::of_objects, "the encoder of a detector learns as a whole, or with `frozen` not at all"),
    ("layer_decay", Task::of_objects, "one rate holds for all layers of a detector"),
    ("early_stopping", Task::of_objects, "a detector takes all its steps"),
];

/// Ports, the tasks that have no use for them, and why. What compares two times has its own words for `before`.
const PORTS: [(&str, Without, &str); 2] = [
    ("images", |task| !task.of_objects(), "only files of objects name images"),
    ("before", Task::of_objects, "a detector looks at one time"),
];

fn without_values(task: Task) -> bool {
    task.of_objects() || task == Task::Regression
}

/// Settings that differ from the usual ones and ports that are connected although the task has no use for them.
pub(crate) fn of_no_use<S: Serialize + Default>(task: Task, settings: &S, inputs: &PlanInputs) -> Vec<Fault> {
    let mut faults = unused(task, settings);
    for (port, _, reason) in PORTS.iter().filter(|(port, without, _)| without(task) && inputs.get(port).is_some()) {
        let message = format!("something is connected to `{port}`, expected nothing for {task}: {reason}");
        faults.push(Fault::new("", "settings.unused", message).hint(format!("leave the port `{port}` out")));
    }
    faults
}

fn unused<S: Serialize + Default>(task: Task, settings: &S) -> Vec<Fault> {
    let (given, usual) = (json!(settings), json!(S::default()));
    let unused = SETTINGS.iter().filter(|(name, without, _)| without(task) && given[name] != usual[name]);
    let fault = |(name, _, reason): &(&str, Without, &str)| {
        let message = format!("{name} is {}, expected none for {task}: {reason}", given[name]);
        Fault::new(format!("/{name}"), "settings.unused", message).hint(format!("leave `{name}` out"))
    };
    unused.map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Serialize)]
    struct Settings {
        head: u8,
        quantity: Option<&'static str>,
        chip_share: f64,
        calibrate: bool,
        ignore: Vec<u8>,
        steps: u8,
    }

    #[test]
    fn what_a_task_would_pass_over_is_named() {
        let given =
            Settings { head: 1, quantity: Some("cover"), chip_share: 0.2, calibrate: true, ignore: vec![3], steps: 9 };
        let named = |task| unused(task, &given).into_iter().map(|fault| fault.field).collect::<Vec<_>>();
        assert_eq!(named(Task::Segmentation), ["/quantity", "/chip_share"]);
        assert_eq!(named(Task::MultiLabel), ["/quantity"]);
        assert_eq!(named(Task::Regression), ["/chip_share", "/ignore", "/calibrate"]);
        assert_eq!(named(Task::Detection), ["/head", "/quantity", "/chip_share", "/ignore", "/calibrate"]);
        assert!(Task::ALL.iter().all(|task| unused(*task, &Settings::default()).is_empty()));
        let told = &unused(Task::Segmentation, &given)[0];
        assert!(told.message.contains("quantity is \"cover\"") && told.message.contains("segmentation"), "{told:?}");
    }
}
