//! What a run is given: values for its params, made of the events that it is about.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skysense_catalog::write_json;

use crate::{Result, Run, ServeError, Store, StoredEvent, child::RunHome, ids, workflows::Workflow};

/// Params of a run, and the folder for what it writes.
#[derive(Debug, PartialEq)]
pub(crate) struct Material {
    pub(crate) params: Vec<(String, String)>,
    /// A folder that is this run's alone; what an attempt left there may be removed.
    pub(crate) out: Option<PathBuf>,
}

/// Writes what a run is given into its home.
pub(crate) fn prepare(
    store: &Store,
    workflow: &Workflow,
    run: &Run,
    home: &RunHome,
    results: &Path,
) -> Result<Material> {
    let given = run.params.iter().map(|(name, value)| (name.clone(), param_text(value)));
    let mut params: Vec<(String, String)> = given.collect();
    let Some(name) = &run.trigger else {
        // What was asked for twice is written twice, and cannot name a folder itself.
        let param = folder_param(workflow).filter(|param| !run.params.contains_key(*param));
        let out = param.map(|_| out_folder(results, run));
        params.extend(param.zip(out.as_ref()).map(|(param, out)| (param.to_owned(), format!("{}/", out.display()))));
        return Ok(Material { params, out });
    };
    let missing = || ServeError::missing("trigger", format!("{}/{name}", workflow.name));
    let rule = &workflow.trigger(name).ok_or_else(missing)?.run;
    let events = store.events_of((&run.workflow, name, &run.key), run.generation)?;
    home.make()?;
    if let Some(param) = &rule.items {
        let features: Vec<&Value> = events.iter().map(|event| &event.payload).collect();
        write_json(&home.items(), &json!({"type": "FeatureCollection", "features": features}))?;
        params.push((param.clone(), home.items().display().to_string()));
    }
    if let (Some(param), Some(file)) = (&rule.file, events.iter().find_map(|event| event.payload["file"].as_str())) {
        params.push((param.clone(), file.to_owned()));
    }
    let out = rule.out.as_ref().map(|param| (param, out_folder(results, run)));
    if let Some((param, out)) = &out {
        params.push(((*param).clone(), format!("{}/", out.display())));
    }
    if let (Some(param), Some(period)) = (&rule.period, period(&events)) {
        params.push((param.clone(), period));
    }
    if let Some(param) = &rule.key {
        params.push((param.clone(), run.key.clone()));
    }
    params.extend(rule.params.iter().map(|(name, value)| (name.clone(), param_text(value))));
    Ok(Material { params, out: out.map(|(_, out)| out) })
}

/// A value as `-p` takes it.
pub(crate) fn param_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(param_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// First and last moment of all events.
fn period(events: &[StoredEvent]) -> Option<String> {
    let start = events.iter().filter_map(|event| Some(&event.interval.as_ref()?.0)).min()?;
    let end = events.iter().filter_map(|event| Some(&event.interval.as_ref()?.1)).max()?;
    Some(if start == end { start.clone() } else { format!("{start}/{end}") })
}

/// The param that gets the folder of a run, where all triggers that name one name the same.
fn folder_param(workflow: &Workflow) -> Option<&str> {
    let mut named = workflow.triggers().iter().filter_map(|(_, trigger)| trigger.run.out.as_deref());
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// The folder that a run writes into. Two triggers of a workflow may have groups of one key; no trigger has the name of
/// what was asked for.
pub(crate) fn out_folder(results: &Path, run: &Run) -> PathBuf {
    let trigger = run.trigger.as_deref().unwrap_or("~asked");
    results.join(&run.workflow).join(trigger).join(folder_name(&run.key, run.generation))
}

/// The name of a folder for a group: readable, one for each key, and safe whatever the key holds.
pub(crate) fn folder_name(key: &str, generation: i64) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut name: String = key.chars().take(80).map(|c| if safe(c) { c } else { '-' }).collect();
    if name != key || name.starts_with('.') || name.is_empty() {
        name = format!("{}-{}", name.trim_start_matches('.'), &ids::id(&["key", key])[..8]);
    }
    if generation > 1 { format!("{name}~{generation}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_safe_and_of_one_key_alone() {
        assert_eq!(folder_name("2021-W07", 1), "2021-W07");
        assert_eq!(folder_name("2021-W07", 3), "2021-W07~3");
        let names: Vec<String> =
            ["a/b", "a-b", "a b", "..", "", "../../etc", ".hidden"].iter().map(|key| folder_name(key, 1)).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!name.contains('/') && !name.starts_with('.') && !name.is_empty(), "{name}");
            assert!(!names[..at].contains(name), "{name}");
        }
        assert!(folder_name(&"x".repeat(500), 1).len() < 100);
    }

    #[test]
    fn two_triggers_of_a_workflow_write_into_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        let run = |trigger: Option<&str>| {
            let new = crate::NewRun {
                trigger: trigger.map(str::to_owned),
                key: "2021-W07".into(),
                generation: 2,
                ..crate::NewRun::asked(&format!("{trigger:?}"), "map")
            };
            store.submit(&new, 0).unwrap();
            store.run(&new.id).unwrap()
        };
        let out = |trigger| out_folder(Path::new("/results"), &run(trigger));
        assert_eq!(out(Some("polled")), Path::new("/results/map/polled/2021-W07~2"));
        assert_eq!(out(Some("posted")), Path::new("/results/map/posted/2021-W07~2"));
        assert_eq!(out(None), Path::new("/results/map/~asked/2021-W07~2"));
    }

    #[test]
    fn values_are_written_as_the_command_line_takes_them() {
        for (value, expected) in
            [(json!("a"), "a"), (json!(5), "5"), (json!(true), "true"), (json!([5, 45.5, 6, 46]), "5,45.5,6,46")]
        {
            assert_eq!(param_text(&value), expected);
        }
    }
}
