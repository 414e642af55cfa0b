//! `skysense graph`: the workflow as a Mermaid flowchart.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Subcommand;
use crate::{context::Context, exit::Exit, failure::Failure, options::ParamOptions};

/// Options of `graph`.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// The workflow
    file: PathBuf,
    #[command(flatten)]
    params: ParamOptions,
}

impl Subcommand for Graph {
    const NAME: &'static str = "graph";
    const ABOUT: &'static str = "Draw a workflow as a Mermaid flowchart";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let spec = context.spec(&self.file, &self.params.params, true)?;
        let mermaid = spec.mermaid(context.types());
        let node =
            |node: &skysense_engine::NodeSpec| json!({"name": node.name, "uses": node.uses, "inputs": node.inputs});
        let nodes: Vec<_> = spec.nodes.iter().map(node).collect();
        context.answer(&json!({"nodes": nodes, "mermaid": mermaid}), || mermaid.clone())?;
        Ok(Exit::Ok)
    }
}
