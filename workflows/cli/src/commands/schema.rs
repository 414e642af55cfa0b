//! `skysense schema`: the JSON Schema of workflow files, for editors.

use clap::Args;

use super::{Subcommand, nodes::no_plugins};
use crate::{context::Context, exit::Exit, failure::Failure, output, reference};

/// Options of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

impl Subcommand for Schema {
    const NAME: &'static str = "schema";
    const ABOUT: &'static str = "Print the JSON Schema of workflow files, for editors";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        if context.types().is_empty() {
            return Err(no_plugins());
        }
        if context.options.json {
            output::json(&context.types().workflow_schema())?;
        } else {
            output::data(&reference::schema_text(context.types()))?;
        }
        Ok(Exit::Ok)
    }
}
