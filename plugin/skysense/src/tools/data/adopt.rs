//! `data.adopt`: a downloaded data set as a STAC catalog, by the layout in which it is published.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_layouts::{Adopted, LAYOUTS, LayoutError, adopt, layout};

use crate::errors;
use crate::settings::path;

/// Items between two tellings of how far it is.
const EVERY: usize = 100;

/// Which data set, and where its catalog goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Layout of the folder, such as `levir-cd`; docs/DATASETS.md has all.
    layout: String,
    /// Folder of the downloaded data set.
    folder: PathBuf,
    /// Folder for the catalog, which must not be there or be empty.
    out: PathBuf,
}

/// What was adopted.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// The data set.
    title: &'static str,
    /// `task` of `skysense.finetune` that it is for.
    task: &'static str,
    #[serde(flatten)]
    adopted: Adopted,
}

/// The tool.
pub(crate) struct DataAdopt;

impl Tool for DataAdopt {
    const NAME: &'static str = "data.adopt";
    const SUMMARY: &'static str =
        "Writes a STAC catalog for a downloaded data set, by the layout in which it is published";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = host.about().base;
        let of = |folder: &PathBuf| path(&base, &folder.display().to_string());
        let mut tell = |items: usize| {
            if items.is_multiple_of(EVERY) {
                host.progress(items as u64, None, "items");
            }
            !host.cancelled()
        };
        let adopted = adopt(&arguments.layout, &of(&arguments.folder), &of(&arguments.out), &mut tell);
        let adopted = adopted.map_err(|error| told(&error))?;
        let layout = layout(&arguments.layout).map_err(|error| told(&error))?;
        Ok(Answer { title: layout.title, task: layout.task, adopted })
    }
}

fn told(error: &LayoutError) -> NodeError {
    match error {
        LayoutError::Unknown { name, .. } => {
            let known: Vec<&str> = LAYOUTS.iter().map(|layout| layout.name).collect();
            NodeError::new("arguments.invalid", format!("there is no layout {name:?}")).hint(known.join(", "))
        }
        LayoutError::Exists(folder) => {
            NodeError::new("output.exists", format!("{} exists and is not empty", folder.display()))
                .hint("name another folder for the catalog")
        }
        LayoutError::Content { path, .. } => NodeError::from_error("data.layout", error)
            .at("path", path.display())
            .hint("compare the folder with what docs/DATASETS.md says of the layout"),
        LayoutError::Raster(raster) => errors::raster(raster),
        LayoutError::Cancelled { .. } => NodeError::cancelled(),
        _ => NodeError::from_error("data.layout", error),
    }
}
