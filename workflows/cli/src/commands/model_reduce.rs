//! `skysense model reduce`: a model package with smaller numbers.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{path_text, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `model reduce`.
#[derive(Debug, Args)]
pub(crate) struct Reduce {
    /// Folder of the package with f32 graphs
    #[arg(value_parser = path_text)]
    model: PathBuf,
    /// What to store: 16 bit floats, 8 bit weights, or 8 bit weights and inputs of products, whose scales follow from
    /// each input or from calibration
    #[arg(long, value_parser = ["fp16", "bf16", "int8", "int8-dynamic", "int8-static"])]
    to: String,
    /// Folder for the new package
    #[arg(short, long, value_parser = path_text)]
    out: PathBuf,
    /// Calibrate int8-static on these chips too, not on the probe alone: a safetensors file laid out as the
    /// package's probe, the output left out
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    samples: Vec<PathBuf>,
}

impl Reduce {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut arguments = json!({"model": self.model, "to": self.to, "out": self.out});
        if !self.samples.is_empty() {
            arguments["samples"] = json!(self.samples);
        }
        let answer = context.call("model.reduce", &arguments)?;
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(Exit::Ok)
    }
}
