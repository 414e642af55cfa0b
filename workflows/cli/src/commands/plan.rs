//! `skysense plan`: what a run would do, before a pixel is read.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use skysense_engine::{PlanOptions, plan};

use super::Subcommand;
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    options::{LimitOptions, ParamOptions},
    progress::Progress,
};

/// Options of `plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The workflow
    file: PathBuf,
    #[command(flatten)]
    params: ParamOptions,
    #[command(flatten)]
    limits: LimitOptions,
}

impl Subcommand for Plan {
    const NAME: &'static str = "plan";
    const ABOUT: &'static str = "Say what a run would read, hold in memory and write";
    const DETAILS: &'static str = "Searches catalogs and reads headers, no pixels: items and dates, chips, requests and \
        bytes, memory, and the columns and grid of each edge.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let spec = context.spec(&self.file, &self.params.params, false)?;
        let mut options = PlanOptions::default();
        options.memory = self.limits.memory;
        options.threads = self.limits.threads;
        options.cancel = context.cancel.clone();
        let progress = Progress::new(context.options.progress, &[]);
        options.events = Arc::new(progress.clone());
        let plan = plan(&spec, context.plugins(), &options);
        progress.finish();
        let plan = plan?;
        context.answer(&plan.to_json(), || plan.to_string())?;
        Ok(Exit::Ok)
    }
}
