//! `skysense run`: plans a workflow and does it.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use skysense_engine::{Outcome, PlanOptions, RunOptions, RunReport, plan, run};

use super::Subcommand;
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    options::{DeviceOptions, LimitOptions, ParamOptions, RunsOptions},
    output,
    progress::Progress,
};

/// Options of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The workflow
    file: PathBuf,
    #[command(flatten)]
    params: ParamOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    devices: DeviceOptions,
    #[command(flatten)]
    runs: RunsOptions,
}

impl Subcommand for Run {
    const NAME: &'static str = "run";
    const ABOUT: &'static str = "Plan a workflow and run it";
    const DETAILS: &'static str = "Prints the hrefs of what was written; with --json one object: run, outcome, outputs, \
        counts, skipped, report. Ctrl-C or SIGTERM ends the run cleanly, and `skysense runs resume` goes on with it; \
        twice ends it at once.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let spec = context.spec(&self.file, &self.params.params, false)?;
        let mut options = PlanOptions::default();
        options.memory = self.limits.memory;
        options.threads = self.limits.threads;
        options.cancel = context.cancel.clone();
        let plan = plan(&spec, context.plugins(), &options)?;
        let names: Vec<String> = plan.nodes.iter().map(|node| node.name.clone()).collect();
        let progress = Progress::new(context.options.progress, &names);
        let options = run_options(self.runs, self.devices, context);
        let report = run(plan, context.plugins(), &options, Arc::new(progress.clone()));
        progress.finish();
        finish(&report?, context)
    }
}

/// Options of a run that come from the command line.
pub(super) fn run_options(runs: RunsOptions, devices: DeviceOptions, context: &Context) -> RunOptions {
    let mut options = RunOptions::default();
    options.runs = runs.runs_dir;
    options.devices = devices.devices;
    options.cancel = context.cancel.clone();
    options
}

/// Prints what a run did; gives its exit.
///
/// # Errors
/// stdout cannot be written.
pub(super) fn finish(report: &RunReport, context: &Context) -> Result<Exit, Failure> {
    let href = |output: &serde_json::Value| output["href"].as_str().map(|href| format!("{href}\n"));
    let exit = match (&report.outcome, &report.error) {
        (Outcome::Done | Outcome::Partial, _) => Exit::Ok,
        (Outcome::Cancelled, _) => Exit::Cancelled,
        (Outcome::Failed, Some(error)) => Exit::of_code(&error.code),
        (Outcome::Failed, None) => Exit::Internal,
    };
    let printed =
        if context.options.json { output::json(report) } else { output_hrefs(report.outputs.iter().filter_map(href)) };
    output::note(&summary(report));
    // A reader that went away does not change how the run ended.
    printed.map_err(|failure| failure.instead_of_ok(exit))?;
    Ok(exit)
}

fn output_hrefs(hrefs: impl Iterator<Item = String>) -> Result<(), Failure> {
    let text: String = hrefs.collect();
    if text.is_empty() { Ok(()) } else { output::data(&text) }
}

/// A run in a few lines for people.
fn summary(report: &RunReport) -> String {
    let mut lines = Vec::new();
    if let Some(error) = report.error.as_ref().filter(|error| !error.is_cancelled()) {
        lines.push(format!("error: {error}"));
    }
    for skipped in &report.skipped {
        let text = |field: &str| skipped[field].as_str().unwrap_or_default().to_owned();
        let what: Vec<String> =
            ["node", "item", "asset"].into_iter().map(text).filter(|text| !text.is_empty()).collect();
        lines.push(format!("left out: {}: {}", what.join(" "), text("reason")));
    }
    let outcome = match report.outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Partial => format!("done, {} inputs left out", report.skipped.len()),
        Outcome::Failed => "failed".to_owned(),
        Outcome::Cancelled => "cancelled".to_owned(),
    };
    lines.push(format!(
        "run {}: {outcome} in {:.1} s, report in {}",
        report.run,
        report.seconds,
        report.report.display()
    ));
    if matches!(report.outcome, Outcome::Failed | Outcome::Cancelled) {
        lines.push(format!("hint: `skysense runs resume {}` goes on where it stopped", report.run));
    }
    lines.join("\n")
}
