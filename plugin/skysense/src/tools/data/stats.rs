//! `data.stats`: mean and standard deviation of every band, as normalisation takes them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{Host, Level, NodeError, Tool};
use skysense_shards::{BandStatistics, Part, stats};

use super::{PartName, open};
use crate::errors;
use crate::settings::path;

/// Which folder, and which part of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the shards.
    data: PathBuf,
    /// The part: what is learned from is what normalisation may know.
    #[serde(default)]
    part: PartName,
    /// JSON file for bands, means and standard deviations by modality; left out, none is written.
    #[serde(default)]
    out: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    path: PathBuf,
    part: Part,
    samples: usize,
    /// Samples that could not be read and count for nothing.
    bad_samples: usize,
    /// By modality and band, in the unit of the pixels; pixels that are not valid do not count.
    statistics: BTreeMap<String, BandStatistics>,
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<PathBuf>,
}

/// The tool.
pub(crate) struct DataStats;

impl Tool for DataStats {
    const NAME: &'static str = "data.stats";
    const SUMMARY: &'static str = "Computes mean and standard deviation of every band of training shards, in one pass";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let shards = open(&arguments.data, host)?;
        let part = Part::from(arguments.part);
        let reader = shards.part(part);
        let mut bad_samples = 0;
        let bad = |error: skysense_shards::ShardError| {
            bad_samples += 1;
            host.log(Level::Warn, format!("a sample does not count: {error}"));
            Ok(())
        };
        let going_on = |done: usize| {
            host.progress(done as u64, Some(reader.count() as u64), "samples");
            host.check_cancelled()
        };
        let statistics = stats(&reader, bad, going_on)?;
        let out = arguments.out.map(|out| path(&host.about().base, &out.display().to_string()));
        if let Some(file) = &out {
            // The words of a model's contract: `bands`, `mean`, `std` of each modality.
            let of = |(modality, found): (&String, &BandStatistics)| {
                (modality.clone(), json!({"bands": found.bands, "mean": found.mean, "std": found.std}))
            };
            let normalisation: serde_json::Map<String, serde_json::Value> = statistics.iter().map(of).collect();
            skysense_catalog::write_json(file, &normalisation.into()).map_err(|error| errors::catalog(&error))?;
        }
        Ok(Answer { path: shards.folder().to_path_buf(), part, samples: reader.count(), bad_samples, statistics, out })
    }
}
