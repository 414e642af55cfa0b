//! `skysense runs`: runs that were, and going on with one.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use skysense_engine::{ProcessSurroundings, Surroundings, runs};

use super::{
    Subcommand,
    run::{finish, run_options},
};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    options::{DeviceOptions, LimitOptions, RunsOptions},
    progress::Progress,
    together::{Task, TogetherOptions},
};

/// Options of `runs`.
#[derive(Debug, Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the runs, the latest first
    List {
        #[command(flatten)]
        runs: RunsOptions,
    },
    /// Show what a run planned and did
    Show {
        /// Its id, the beginning of its id, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        #[command(flatten)]
        runs: RunsOptions,
    },
    /// Go on with a run that was interrupted, cancelled or that failed
    Resume {
        /// Its id, the beginning of its id, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        #[command(flatten)]
        limits: LimitOptions,
        #[command(flatten)]
        devices: DeviceOptions,
        #[command(flatten)]
        runs: RunsOptions,
        #[command(flatten)]
        together: TogetherOptions,
    },
}

impl Subcommand for Runs {
    const NAME: &'static str = "runs";
    const ABOUT: &'static str = "List, show and resume runs";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::List { runs } => list(&runs, context),
            What::Show { run, runs } => show(&run, &runs, context),
            What::Resume { run, limits, devices, runs, together } => {
                let role = match together.task(context)? {
                    Task::Be(role) => role,
                    Task::Ended(exit) => return Ok(exit),
                };
                let progress = Progress::of_role(role, context, &[]);
                let secret = |name: &str| ProcessSurroundings.secret(name);
                let limits = runs::Limits::of_plan(&secret).memory(limits.memory).threads(limits.threads);
                let options = run_options(runs, devices, role, context);
                let report = runs::resume(&run, context.plugins(), &options, limits, Arc::new(progress.clone()));
                progress.finish();
                finish(&report?, role, context)
            }
        }
    }
}

fn list(folder: &RunsOptions, context: &Context) -> Result<Exit, Failure> {
    let all = runs::list(&folder.runs_dir)?;
    context.answer(&json!({"runs": all}), || {
        if all.is_empty() {
            return format!("no runs in {}", folder.runs_dir.display());
        }
        let line = |run: &runs::RunSummary| {
            let status = serde_json::to_value(run.status).unwrap_or_default();
            format!("{}  {:11}  {}  {}\n", run.run, status.as_str().unwrap_or_default(), run.started, run.workflow)
        };
        all.iter().map(line).collect()
    })?;
    Ok(Exit::Ok)
}

fn show(run: &str, folder: &RunsOptions, context: &Context) -> Result<Exit, Failure> {
    let details = runs::show(&folder.runs_dir, run)?;
    context.answer(&details, || {
        let summary = serde_json::to_value(&details.summary).unwrap_or_default();
        let mut words = outline(&summary, 0);
        let Some(report) = &details.report else { return words + "report: none, the run did not end\n" };
        for part in ["seconds", "outputs", "counts", "skipped", "decisions", "memory", "error"] {
            let value = &report[part];
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !empty {
                words.push_str(&outline(&json!({part: value}), 0));
            }
        }
        words
    })?;
    Ok(Exit::Ok)
}

/// A JSON value for people: one line for each plain value, indented below its name.
pub(super) fn outline(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let plain = |value: &Value| match value {
        Value::Object(fields) if !fields.is_empty() => None,
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => None,
        // Sentences are told apart by lines.
        Value::Array(items) if items.iter().any(|item| item.as_str().is_some_and(|text| text.contains(", "))) => None,
        Value::Array(items) => {
            let words: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            Some(words.join(", "))
        }
        Value::String(text) => Some(text.replace('\n', &format!("\n{pad}  "))),
        other => Some(other.to_string()),
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match plain(value) {
                Some(text) => format!("{pad}{name}: {text}\n"),
                None => format!("{pad}{name}:\n{}", outline(value, indent + 2)),
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| match plain(item) {
                Some(text) => format!("{pad}- {text}\n"),
                None => format!("{pad}-\n{}", outline(item, indent + 2)),
            })
            .collect(),
        other => format!("{pad}{}\n", plain(other).unwrap_or_default()),
    }
}
