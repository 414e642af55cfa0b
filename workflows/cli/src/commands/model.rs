//! `skysense model`: what a model package holds, packages of published weights, and what a preset costs.

mod import;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Subcommand, model_cost::Cost, model_reduce::Reduce, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `model`.
#[derive(Debug, Args)]
pub(crate) struct Model {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the contract of a model package and run its probe
    Inspect {
        /// Folder of the package
        model: PathBuf,
    },
    /// Count parameters, FLOPs, memory and GPU days of a preset, without making a model
    Cost(Box<Cost>),
    /// Make a model package of published weights
    Import(Box<import::Import>),
    /// Write a package with weights in 16 or 8 bit, and measure it against the original
    Reduce(Box<Reduce>),
}

impl Subcommand for Model {
    const NAME: &'static str = "model";
    const ABOUT: &'static str =
        "Look into a model package, make one of published weights, or count what a preset costs";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let model = match self.what {
            What::Inspect { model } => model,
            What::Cost(cost) => return cost.run(context),
            What::Import(import) => return import.run(context),
            What::Reduce(reduce) => return reduce.run(context),
        };
        let answer = context.call("model.inspect", &json!({"model": model}))?;
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(if answer["ok"] == json!(false) { Exit::Data } else { Exit::Ok })
    }
}
