//! `data.inspect`: what a folder of training shards holds, with a map and a sheet of samples.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, Level, NodeError, Tool};
use skysense_shards::{Part, Split};

use super::summary::{ModalitySummary, PartSummary, summary};
use super::{map, open, sheet};
use crate::settings::path;

/// Which folder, and which pictures.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the shards.
    data: PathBuf,
    /// Folder for `map.png` and `samples.png`; left out, none are drawn.
    #[serde(default)]
    out: Option<PathBuf>,
    /// Samples on the sheet.
    #[serde(default = "samples")]
    #[schemars(range(min = 1, max = 300))]
    samples: usize,
}

fn samples() -> usize {
    24
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    path: PathBuf,
    /// Samples of both parts.
    samples: usize,
    /// Pixels along a side, and metres of a pixel, on the 10 m grid.
    size: usize,
    resolution: f64,
    split: Split,
    parts: BTreeMap<Part, PartSummary>,
    modalities: BTreeMap<String, ModalitySummary>,
    /// Pictures that were drawn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<PathBuf>,
}

/// The tool.
pub(crate) struct DataInspect;

impl Tool for DataInspect {
    const NAME: &'static str = "data.inspect";
    const SUMMARY: &'static str =
        "Counts samples, dates and valid shares of training shards, and draws a map and a sheet of samples";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        if !(1..=300).contains(&arguments.samples) {
            return Err(NodeError::new(
                "arguments.invalid",
                format!("samples is {}, expected 1 to 300", arguments.samples),
            ));
        }
        let shards = open(&arguments.data, host)?;
        let found = summary(&shards, host)?;
        let mut pictures = Vec::new();
        if let Some(out) = &arguments.out {
            let folder = path(&host.about().base, &out.display().to_string());
            let title = format!("{} samples in {}", found.samples, shards.folder().display());
            let (sheet, bad) = sheet::draw(&shards, arguments.samples);
            for error in bad {
                host.log(Level::Warn, format!("a sample is not on the sheet: {error}"));
            }
            for (name, canvas) in [("map.png", map::draw(&found.dots, &title)), ("samples.png", sheet)] {
                let file = folder.join(name);
                canvas.save(&file)?;
                pictures.push(file);
            }
        }
        let header = &shards.manifest().header;
        Ok(Answer {
            path: shards.folder().to_path_buf(),
            samples: found.samples,
            size: header.size,
            resolution: header.resolution,
            split: header.split,
            parts: found.parts,
            modalities: found.modalities,
            pictures,
        })
    }
}
