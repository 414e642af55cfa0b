//! `skysense fmt`: the canonical form of workflow files.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};
use skysense_engine::{Source, format};

use super::Subcommand;
use crate::{context::Context, exit::Exit, failure::Failure, output};

/// Options of `fmt`.
#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// Workflows
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Rewrite the files instead of printing
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Only say which files are not in canonical form
    #[arg(long)]
    check: bool,
}

impl Subcommand for Fmt {
    const NAME: &'static str = "fmt";
    const ABOUT: &'static str = "Print workflows in canonical form, with their comments";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut files: Vec<Value> = Vec::new();
        let mut different = 0;
        for file in &self.files {
            let source = Source::read(file)?;
            let formatted = format(&source)?;
            let same = formatted == source.text();
            different += usize::from(!same);
            if self.write && !same {
                replace(file, &formatted)?;
            }
            if self.check && !same {
                output::note(&format!("{} is not in canonical form", file.display()));
            }
            if !self.write && !self.check && !context.options.json {
                output::data(&formatted)?;
            }
            files.push(json!({"file": file, "canonical": same, "text": formatted}));
        }
        if context.options.json {
            output::json(&json!({"ok": !self.check || different == 0, "files": files}))?;
        }
        if self.check && different > 0 {
            output::note("hint: `skysense fmt --write` rewrites them");
            return Ok(Exit::Workflow);
        }
        Ok(Exit::Ok)
    }
}

/// Writes beside the file and renames, so that a full disk does not eat the workflow.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file("write", file, &error);
    let target = file.canonicalize().map_err(failed)?;
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = target.with_file_name(name);
    let written = std::fs::File::create(&beside).and_then(|mut out| {
        out.write_all(text.as_bytes())?;
        out.set_permissions(std::fs::metadata(&target)?.permissions())?;
        out.sync_all()?;
        std::fs::rename(&beside, &target)
    });
    written.map_err(|error| {
        // What is left of the attempt is of no use; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&beside);
        failed(error)
    })
}
