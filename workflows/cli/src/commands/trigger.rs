//! `skysense trigger`: does by hand what triggers do, beside a service or without one.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::{Value, json};
use skysense_serve::{Looked, RunFilter, RunState, Workflow, backfill, fire, now, test_trigger};

use super::{Subcommand, serve::StateOptions};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `trigger`.
#[derive(Debug, Args)]
pub(crate) struct Trigger {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the triggers, and where they stand
    List {
        #[command(flatten)]
        state: StateOptions,
    },
    /// Say what a trigger would find now, and change nothing
    Test {
        #[command(flatten)]
        state: StateOptions,
        /// The trigger
        #[arg(value_name = "WORKFLOW/TRIGGER")]
        name: String,
    },
    /// Fire a trigger: with items or other files, or with this moment
    Fire {
        #[command(flatten)]
        state: StateOptions,
        /// The trigger
        #[arg(value_name = "WORKFLOW/TRIGGER")]
        name: String,
        /// STAC items, item collections, or other files
        files: Vec<PathBuf>,
    },
    /// Take in what there is of a period; what is known is not run again
    Backfill {
        #[command(flatten)]
        state: StateOptions,
        /// The trigger
        #[arg(value_name = "WORKFLOW/TRIGGER")]
        name: String,
        /// The period, as 2021-01-01/2021-06-30
        period: String,
    },
    /// List what failed for good: runs, and what triggers could not use
    Dead {
        #[command(flatten)]
        state: StateOptions,
    },
    /// Queue a run again that is dead or was cancelled
    Retry {
        #[command(flatten)]
        state: StateOptions,
        /// Its id, or `all` for all dead ones
        run: String,
    },
}

impl Subcommand for Trigger {
    const NAME: &'static str = "trigger";
    const ABOUT: &'static str = "Do by hand what triggers do";
    const DETAILS: &'static str =
        "Works on the state of a service, whether it runs or not: a running one takes up at once what was fired.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::List { state } => list(&state, context),
            What::Test { state, name } => {
                let (workflow, trigger) = find(&state, &name, context)?;
                let found = test_trigger(&state.store()?, &workflow, &trigger, &|| context.cancel.is_cancelled())?;
                context.answer(&json!({"ok": true, "events": found}), || {
                    found.iter().map(|line| format!("{line}\n")).collect()
                })?;
                Ok(Exit::Ok)
            }
            What::Fire { state, name, files } => {
                let (workflow, trigger) = find(&state, &name, context)?;
                answer(&fire(&state.store()?, &workflow, &trigger, &files)?, context)
            }
            What::Backfill { state, name, period } => {
                let (workflow, trigger) = find(&state, &name, context)?;
                let stop = || context.cancel.is_cancelled();
                answer(&backfill(&state.store()?, &workflow, &trigger, &period, &stop)?, context)
            }
            What::Dead { state } => dead(&state, context),
            What::Retry { state, run } => retry(&state, &run, context),
        }
    }
}

/// A trigger by `workflow/trigger`.
fn find(state: &StateOptions, name: &str, context: &Context) -> Result<(Arc<Workflow>, String), Failure> {
    let library = state.library(context)?;
    let known = || -> Vec<String> {
        let all = library.all();
        all.iter()
            .flat_map(|one| one.spec.triggers.iter().map(|trigger| format!("{}/{}", one.name, trigger.name)))
            .collect()
    };
    let parts = name.split_once('/');
    let found = parts.and_then(|(workflow, trigger)| {
        let workflow = library.get(workflow)?;
        workflow.spec.triggers.iter().any(|one| one.name == trigger).then(|| (workflow.clone(), trigger.to_owned()))
    });
    match found {
        Some(found) => Ok(found),
        // What is wrong may be why it is not there.
        None if !library.faults().is_empty() => Err(library.faults().into()),
        None => {
            Err(Failure::usage(format!("there is no trigger `{name}`"))
                .hint(format!("there are: {}", known().join(", "))))
        }
    }
}

fn answer(looked: &Looked, context: &Context) -> Result<Exit, Failure> {
    context.answer(&json!({"ok": true, "taken": looked}), || {
        let mut words =
            format!("{} new, {} known, {} not wanted\n", looked.accepted.new, looked.accepted.known, looked.unwanted);
        for (subject, reason) in &looked.skipped {
            words.push_str(&format!("left out: {subject}: {reason}\n"));
        }
        words
    })?;
    Ok(Exit::Ok)
}

fn list(state: &StateOptions, context: &Context) -> Result<Exit, Failure> {
    let (library, store) = (state.library(context)?, state.store()?);
    let mut all: Vec<Value> = Vec::new();
    let mut words = String::new();
    for workflow in library.all() {
        for trigger in &workflow.spec.triggers {
            let stands = store.trigger(&workflow.name, &trigger.name)?;
            let paused = store.is_paused(&workflow.name)?;
            let error = stands.error.as_deref().map(|error| format!("  failing: {error}")).unwrap_or_default();
            let pause = if paused { "  paused" } else { "" };
            words.push_str(&format!("{}/{}  {}{pause}{error}\n", workflow.name, trigger.name, trigger.uses));
            all.push(json!({
                "workflow": workflow.name, "trigger": trigger.name, "uses": trigger.uses, "with": trigger.with,
                "paused": paused, "state": stands,
            }));
        }
    }
    context.answer(&json!({"ok": true, "triggers": all}), || words)?;
    Ok(Exit::Ok)
}

fn dead(state: &StateOptions, context: &Context) -> Result<Exit, Failure> {
    let store = state.store()?;
    let runs = store.runs(&RunFilter { state: Some(RunState::Dead), limit: Some(10_000), ..RunFilter::default() })?;
    let skips = store.skips(10_000)?;
    context.answer(&json!({"ok": true, "runs": runs, "skipped": skips}), || {
        let mut words = String::new();
        for run in &runs {
            let message = run.error.as_ref().and_then(|error| error["message"].as_str()).unwrap_or_default();
            words.push_str(&format!("run {}  {}  {}  {message}\n", run.id, run.workflow, run.key));
        }
        for skip in &skips {
            words.push_str(&format!(
                "left out by {}/{}: {}: {}\n",
                skip.workflow, skip.trigger, skip.subject, skip.reason
            ));
        }
        words
    })?;
    Ok(Exit::Ok)
}

fn retry(state: &StateOptions, run: &str, context: &Context) -> Result<Exit, Failure> {
    let store = state.store()?;
    let ids = if run == "all" {
        let filter = RunFilter { state: Some(RunState::Dead), limit: Some(10_000), ..RunFilter::default() };
        store.runs(&filter)?.into_iter().map(|run| run.id).collect()
    } else {
        vec![run.to_owned()]
    };
    for id in &ids {
        store.retry(id, now())?;
    }
    context.answer(&json!({"ok": true, "runs": ids}), || ids.iter().map(|id| format!("{id}\n")).collect())?;
    Ok(Exit::Ok)
}
