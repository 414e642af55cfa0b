//! `skysense verify`: whether an item still is what its run wrote.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Subcommand, path_text, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The STAC item
    #[arg(value_parser = path_text)]
    item: PathBuf,
}

impl Subcommand for Verify {
    const NAME: &'static str = "verify";
    const ABOUT: &'static str = "Check an item's sizes, checksums, links and its model's probe";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let answer = context.call("verify.item", &json!({"item": self.item}))?;
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(if answer["ok"] == json!(false) { Exit::Workflow } else { Exit::Ok })
    }
}
