//! `skysense run`: plans a workflow and does it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Args;
use serde_json::{Value, json};
use skysense_engine::{Event, Events, Outcome, Plan, PlanOptions, RunOptions, RunReport, plan, run};

use super::Subcommand;
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    options::{DeviceOptions, LimitOptions, ParamOptions, RunsOptions},
    output,
    progress::Progress,
    together::{Role, Task, TogetherOptions},
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
    #[command(flatten)]
    together: TogetherOptions,
}

impl Subcommand for Run {
    const NAME: &'static str = "run";
    const ABOUT: &'static str = "Plan a workflow and run it";
    const DETAILS: &'static str = "Prints the hrefs of what was written; with --json one object, also where no run \
        began: ok, exit, run, outcome, outputs, counts, skipped, report, and error or faults. Ctrl-C or SIGTERM ends the run cleanly, and `skysense runs resume` goes on with it; \
        twice ends it at once.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let role = match self.together.task(context)? {
            Task::Be(role) => role,
            Task::Ended(exit) => return Ok(exit),
        };
        let progress = Progress::of_role(role, context, &[]);
        let planning = Arc::new(Planning { progress, left_out: Mutex::default() });
        let plan = self.plan(context, role, planning.clone());
        planning.progress.finish();
        let plan = plan.map_err(|failure| failure.with(planning.report()))?;
        let names: Vec<String> = plan.nodes.iter().map(|node| node.name.clone()).collect();
        let progress = Progress::of_role(role, context, &names);
        let options = run_options(self.runs, self.devices, role, context);
        let report = run(plan, context.plugins(), &options, Arc::new(progress.clone()));
        progress.finish();
        finish(&report.map_err(|error| Failure::from(error).with(planning.report()))?, role, context)
    }
}

impl Run {
    fn plan(&self, context: &Context, role: Role, planning: Arc<Planning>) -> Result<Plan, Failure> {
        let spec = context.spec(&self.file, &self.params.params, false)?;
        let mut options = PlanOptions::default();
        options.memory = self.limits.memory;
        options.threads = self.limits.threads.or(role.threads());
        options.part = role.part;
        options.cancel = context.cancel.clone();
        options.events = planning;
        Ok(plan(&spec, context.plugins(), &options)?)
    }
}

/// Shows how planning goes, and keeps what it left out, for the answer where no run begins.
struct Planning {
    progress: Progress,
    left_out: Mutex<Vec<Value>>,
}

impl Planning {
    /// The answer's fields of a run that did not begin.
    fn report(&self) -> Value {
        let skipped = self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({"run": null, "outcome": Outcome::Failed, "outputs": [], "counts": {}, "skipped": skipped, "report": null})
    }
}

impl Events for Planning {
    fn event(&self, event: &Event) {
        if let Event::Record { node, kind, record } = event
            && kind == "skipped"
        {
            let mut left_out = json!({"node": node});
            if let (Value::Object(fields), Value::Object(record)) = (&mut left_out, record) {
                fields.extend(record.clone());
            }
            self.left_out.lock().unwrap_or_else(PoisonError::into_inner).push(left_out);
        }
        self.progress.event(event);
    }
}

/// Options of a run that come from the command line.
pub(super) fn run_options(runs: RunsOptions, devices: DeviceOptions, role: Role, context: &Context) -> RunOptions {
    let mut options = RunOptions::default();
    options.runs = runs.runs_dir;
    options.devices = devices.devices;
    options.cancel = context.cancel.clone();
    options.part = role.part;
    options
}

/// Prints what a run did; gives its exit.
///
/// # Errors
/// stdout cannot be written.
pub(super) fn finish(report: &RunReport, role: Role, context: &Context) -> Result<Exit, Failure> {
    let href = |output: &serde_json::Value| output["href"].as_str().map(|href| format!("{href}\n"));
    let exit = match (&report.outcome, &report.error) {
        (Outcome::Done | Outcome::Partial, _) => Exit::Ok,
        (Outcome::Cancelled, _) => Exit::Cancelled,
        (Outcome::Failed, Some(error)) => Exit::of_code(&error.code),
        (Outcome::Failed, None) => Exit::Internal,
    };
    if role.helps() {
        // Rank 0 answers for all; why this one ended may be what that one does not know.
        if let Some(error) = report.error.as_ref().filter(|error| !error.is_cancelled()) {
            output::note(&format!("error: rank {}: {error}", role.part.rank));
        }
        return Ok(exit);
    }
    let printed = if context.options.json {
        output::json(&answer(report, exit))
    } else {
        output_hrefs(report.outputs.iter().filter_map(href))
    };
    if output::speaks_lines() {
        // What was left out and what failed were events; this names the rest.
        output::line(
            &json!({"event": "report", "run": report.run, "outcome": report.outcome, "report": report.report}),
        );
    } else {
        output::note(&summary(report));
    }
    // A reader that went away does not change how the run ended.
    printed.map_err(|failure| failure.instead_of_ok(exit))?;
    Ok(exit)
}

/// The report in the shape that every answer has: `ok` and `exit` say how it went without reading on.
fn answer(report: &RunReport, exit: Exit) -> Value {
    let mut answer = json!({"ok": exit == Exit::Ok, "exit": exit.code()});
    if let (Value::Object(fields), Ok(Value::Object(report))) = (&mut answer, serde_json::to_value(report)) {
        fields.extend(report);
    }
    answer
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
        let causes = skipped["causes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.extend(causes.map(|cause| format!("  caused by: {cause}")));
        lines.extend(skipped["hint"].as_str().map(|hint| format!("  hint: {hint}")));
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
