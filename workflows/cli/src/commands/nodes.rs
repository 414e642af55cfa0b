//! `skysense nodes`: what nodes there are, from their own declarations.

use clap::Args;
use serde_json::json;

use super::Subcommand;
use crate::{context::Context, exit::Exit, failure::Failure, reference};

/// Options of `nodes`.
#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// A node to explain; all are listed if left out
    name: Option<String>,
}

impl Subcommand for Nodes {
    const NAME: &'static str = "nodes";
    const ABOUT: &'static str = "List the node types, or explain one";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let types = context.types();
        let Some(name) = self.name else {
            if types.is_empty() {
                return Err(no_plugins());
            }
            let list = || {
                let width = types.names().map(str::len).max().unwrap_or_default();
                let line = |kind: &skysense_engine::NodeType| format!("{:width$}  {}\n", kind.name, kind.summary);
                types.iter().map(line).collect()
            };
            context.answer(&json!({"nodes": types.iter().collect::<Vec<_>>()}), list)?;
            return Ok(Exit::Ok);
        };
        let Some(kind) = types.get(&name) else {
            if types.is_empty() {
                return Err(no_plugins());
            }
            let hint = match types.nearest(&name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`skysense nodes` lists all".to_owned(),
            };
            return Err(Failure::usage(format!("there is no node type `{name}`")).hint(hint));
        };
        context.answer(kind, || reference::node_page(kind, 1))?;
        Ok(Exit::Ok)
    }
}

/// Without plugins there is nothing to list, and that is never what was meant.
pub(super) fn no_plugins() -> Failure {
    Failure::new(Exit::Resources, "no plugin was found").hint("`skysense doctor` says where plugins are looked for")
}
