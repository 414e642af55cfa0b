//! `skysense check`: every mistake of workflow files at once.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use skysense_engine::{Bindings, Faults, Spec};
use skysense_serve::check_triggers;

use super::Subcommand;
use crate::{context::Context, exit::Exit, failure::Failure, options::ParamOptions, output};

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Workflows
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    params: ParamOptions,
}

impl Subcommand for Check {
    const NAME: &'static str = "check";
    const ABOUT: &'static str = "Report every mistake in workflow files";
    const DETAILS: &'static str = "Reads the files and asks plugins for their node types, nothing else. Params without a value are let through. \
        With --json each file that is right comes with its name, doc and params: type, default, bounds, values, and the \
        settings that each fills.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let bindings = Bindings::of_process(&self.params.params).open();
        let mut files: Vec<Value> = Vec::new();
        let mut words = String::new();
        let mut wrong = Faults::default();
        for file in &self.files {
            let spec = Spec::load(file, context.types(), &bindings).and_then(|spec| {
                let faults: Faults = check_triggers(&spec).into_iter().collect();
                if faults.is_empty() { Ok(spec) } else { Err(faults.sorted()) }
            });
            match spec {
                Ok(spec) => {
                    words.push_str(&format!("{}: ok, {} nodes\n", file.display(), spec.nodes.len()));
                    let nodes: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
                    files.push(json!({
                        "file": file, "ok": true, "name": spec.name, "doc": spec.doc, "params": spec.declared,
                        "hash": spec.hash, "nodes": nodes, "faults": [],
                    }));
                }
                Err(faults) => {
                    files.push(json!({"file": file, "ok": false, "faults": faults}));
                    wrong.append(faults);
                }
            }
        }
        let failure = (!wrong.is_empty()).then(|| Failure::from(wrong));
        if context.options.json {
            let exit = failure.as_ref().map_or(Exit::Ok, Failure::exit).code();
            output::json(&json!({"ok": failure.is_none(), "exit": exit, "files": files}))?;
        } else if !words.is_empty() {
            output::data(&words)?;
        }
        // With --json the faults are on stdout already; they are not printed there twice.
        Ok(failure.map_or(Exit::Ok, |failure| failure.print(false)))
    }
}
