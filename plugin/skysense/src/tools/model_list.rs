//! `model.list`: the model packages below some folders.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::{CONTRACT_FILE, Modality, Module, Package, Task};

use crate::errors;
use crate::settings::path;

/// Names the folders to look in where none are given, separated as in `PATH`.
pub(crate) const SEARCH_PATH: &str = "SKYSENSE_MODEL_PATH";
/// Folders in folders that are gone through.
const DEPTH: usize = 8;

/// Where to look.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folders; those of `SKYSENSE_MODEL_PATH` if left out, or the one where the caller is.
    #[serde(default)]
    folders: Vec<PathBuf>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Folders that were looked in.
    folders: Vec<PathBuf>,
    models: Vec<Listed>,
    /// Folders with a `model.yaml` that are no sound package, and why.
    broken: Vec<Broken>,
}

/// A package.
#[derive(Debug, Serialize)]
struct Listed {
    path: PathBuf,
    name: String,
    preset: String,
    modules: Vec<Module>,
    /// Bands by modality, in order.
    bands: BTreeMap<Modality, Vec<String>>,
    /// Most dates by modality.
    dates: BTreeMap<Modality, usize>,
    chip_size: usize,
    /// What it was trained for; none for a model that gives features alone.
    task: Option<Task>,
    /// Names of the classes; none for a model that has none.
    classes: Vec<String>,
    precision: String,
    licence: String,
    /// Bytes of graphs and weights.
    bytes: u64,
}

/// What is no package.
#[derive(Debug, Serialize)]
struct Broken {
    path: PathBuf,
    reason: String,
}

/// The tool.
pub(crate) struct ModelList;

impl Tool for ModelList {
    const NAME: &'static str = "model.list";
    const SUMMARY: &'static str = "Lists the model packages below some folders, and what is broken among them";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = host.about().base;
        let mut folders: Vec<PathBuf> =
            arguments.folders.iter().map(|folder| path(&base, &folder.display().to_string())).collect();
        let from_environment = folders.is_empty();
        if from_environment {
            let set = env::var_os(SEARCH_PATH).filter(|value| !value.is_empty());
            folders = set.map_or_else(|| vec![base.clone()], |value| env::split_paths(&value).collect());
        }
        let mut answer = Answer { folders: folders.clone(), models: Vec::new(), broken: Vec::new() };
        for folder in &folders {
            if let Err(error) = fs::read_dir(folder) {
                let message = format!("cannot read {}: {error}", folder.display());
                if from_environment {
                    // One folder that is gone does not hide the models of the others.
                    let reason = format!("{message}; it is named by {SEARCH_PATH}");
                    answer.broken.push(Broken { path: folder.clone(), reason });
                    continue;
                }
                return Err(NodeError::new("model.folder", message).hint("name folders that hold model packages"));
            }
            walk(folder, DEPTH, &mut answer, host)?;
        }
        Ok(answer)
    }
}

/// Goes through a folder in the order of names; a package is not looked into, and links are not followed.
fn walk(folder: &Path, depth: usize, answer: &mut Answer, host: &Host) -> Result<(), NodeError> {
    host.check_cancelled()?;
    if folder.join(CONTRACT_FILE).is_file() {
        match Package::open(folder) {
            Ok(package) => answer.models.push(listed(&package)),
            Err(error) => {
                let reason = errors::contract(&error).message;
                answer.broken.push(Broken { path: folder.to_path_buf(), reason });
            }
        }
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    // A folder that may not be read holds no model that could be used.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let mut folders: Vec<PathBuf> =
        entries.filter(|entry| is_folder(entry) && !hidden(entry)).map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().try_for_each(|folder| walk(folder, depth - 1, answer, host))
}

fn listed(package: &Package) -> Listed {
    let contract = package.contract();
    let bands = contract.modalities.iter().map(|(modality, input)| (*modality, input.bands.clone()));
    let classes = contract.head.iter().flat_map(|head| &head.classes);
    Listed {
        path: package.folder().to_path_buf(),
        name: contract.name.clone(),
        preset: contract.preset.clone(),
        modules: contract.graphs.keys().copied().collect(),
        bands: bands.collect(),
        dates: contract.modalities.iter().map(|(modality, input)| (*modality, input.dates)).collect(),
        chip_size: contract.chip_size,
        task: contract.head.as_ref().map(|head| head.task),
        classes: classes.map(|class| class.name.clone()).collect(),
        precision: contract.precision(),
        licence: contract.licence.clone(),
        bytes: package.bytes(),
    }
}
