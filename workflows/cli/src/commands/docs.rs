//! `skysense docs`: writes the generated references, or says whether they are up to date.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Subcommand, nodes::no_plugins};
use crate::{context::Context, exit::Exit, failure::Failure, reference};

/// Options of `docs`.
#[derive(Debug, Args)]
pub(crate) struct Docs {
    /// Root of the project
    #[arg(default_value = ".")]
    root: PathBuf,
    /// Only say which files are out of date
    #[arg(long)]
    check: bool,
}

impl Subcommand for Docs {
    const NAME: &'static str = "docs";
    const ABOUT: &'static str = "Write the generated references of the project";
    const HIDDEN: bool = true;

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        if context.types().is_empty() {
            return Err(no_plugins());
        }
        let mut changed = Vec::new();
        for (file, text) in reference::files(context.types()) {
            let path = self.root.join(file);
            if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
                continue;
            }
            changed.push(file);
            if !self.check {
                let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                folder
                    .and_then(|()| std::fs::write(&path, text))
                    .map_err(|error| Failure::file("write", &path, &error))?;
            }
        }
        let stale = self.check && !changed.is_empty();
        context.answer(&json!({"ok": !stale, "changed": changed}), || match (changed.is_empty(), self.check) {
            (true, _) => "up to date".to_owned(),
            (false, true) => format!("out of date: {}\nhint: run `skysense docs`", changed.join(", ")),
            (false, false) => format!("written: {}", changed.join(", ")),
        })?;
        Ok(if stale { Exit::Workflow } else { Exit::Ok })
    }
}
