//! `data.verify`: everything that is wrong with a folder of training shards.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_shards::{Part, verify};

use super::open;

/// Which folder.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the shards.
    data: PathBuf,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether nothing is wrong.
    ok: bool,
    path: PathBuf,
    /// Samples that the manifest counts.
    samples: usize,
    /// Bytes of all shards.
    bytes: u64,
    /// Everything that is wrong, each with its file and, where one alone is concerned, its sample.
    problems: Vec<String>,
}

/// The tool.
pub(crate) struct DataVerify;

impl Tool for DataVerify {
    const NAME: &'static str = "data.verify";
    const SUMMARY: &'static str =
        "Reads every byte of training shards, and names files and samples that are not what was written";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let shards = open(&arguments.data, host)?;
        let samples: usize = Part::ALL.into_iter().map(|part| shards.manifest().samples(part)).sum();
        let going_on = |done: usize| {
            host.progress(done as u64, Some(samples as u64), "samples");
            host.check_cancelled()
        };
        let found = verify(&shards, going_on)?;
        let problems = found.iter().map(|problem| {
            let file = problem.file.display().to_string();
            // What comes from reading names its file itself.
            if problem.message.contains(&file) {
                problem.message.clone()
            } else {
                format!("{file}: {}", problem.message)
            }
        });
        Ok(Answer {
            ok: found.is_empty(),
            path: shards.folder().to_path_buf(),
            samples,
            bytes: shards.manifest().bytes(),
            problems: problems.collect(),
        })
    }
}
