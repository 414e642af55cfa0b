//! The workflows of a folder, as they are now.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use skysense_engine::{Bindings, Fault, Faults, NodeTypes, Spec, TriggerSpec};

use crate::{
    Result, ServeError,
    trigger::{self, Trigger},
};

/// A workflow that is right.
pub struct Workflow {
    /// Its name: that of its file.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// What it says.
    pub spec: Spec,
    triggers: Vec<(TriggerSpec, Trigger)>,
}

impl std::fmt::Debug for Workflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workflow").field("name", &self.name).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Workflow {
    /// A trigger by its name.
    pub(crate) fn trigger(&self, name: &str) -> Option<&Trigger> {
        self.triggers.iter().find(|(written, _)| written.name == name).map(|(_, trigger)| trigger)
    }

    /// All triggers, with what the file says of them.
    pub(crate) fn triggers(&self) -> &[(TriggerSpec, Trigger)] {
        &self.triggers
    }
}

/// The workflows of a folder.
pub struct Library {
    folder: PathBuf,
    types: NodeTypes,
    held: RwLock<Held>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Held {
    workflows: BTreeMap<String, Arc<Workflow>>,
    faults: Faults,
    /// What was read: a change of it is what makes them be read again.
    seen: Vec<(PathBuf, Option<SystemTime>, u64)>,
}

impl Library {
    /// Reads the workflows of a folder. Node types have to hold those of triggers.
    ///
    /// # Errors
    /// The folder cannot be read. What is wrong with workflows is told by [`Library::faults`].
    pub fn open(folder: &Path, types: NodeTypes) -> Result<Self> {
        let folder = std::path::absolute(folder).map_err(|error| ServeError::file("find", folder, error))?;
        let library = Self { folder, types, held: RwLock::default() };
        library.refresh()?;
        Ok(library)
    }

    /// Reads again what changed; says whether something had. A workflow that became wrong stays as it was.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn refresh(&self) -> Result<bool> {
        let seen = files(&self.folder)?;
        if self.held().seen == seen {
            return Ok(false);
        }
        let mut workflows = BTreeMap::new();
        let mut faults = Faults::default();
        for (path, ..) in &seen {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match self.read(path, &stem) {
                Ok(workflow) => {
                    if workflows.insert(stem.clone(), Arc::new(workflow)).is_some() {
                        let message = format!("two files name the workflow `{stem}`");
                        faults.push(Fault::new("file", message).hint("keep one of `.yaml` and `.yml`"));
                    }
                }
                Err(wrong) => {
                    faults.append(wrong);
                    if let Some(before) = self.held().workflows.get(&stem) {
                        workflows.insert(stem, before.clone());
                    }
                }
            }
        }
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { workflows, faults, seen };
        Ok(true)
    }

    fn read(&self, path: &Path, stem: &str) -> Result<Workflow, Faults> {
        if !is_name(stem) {
            let fault = Fault::new("file", format!("`{}` cannot name a workflow", path.display()));
            return Err(fault.hint("a name begins with a letter and holds letters, digits, `-` and `_`").into());
        }
        let spec = Spec::load(path, &self.types, &Bindings::of_process(&[]).open())?;
        let triggers = trigger::triggers(&spec).map_err(|faults| faults.into_iter().collect::<Faults>().sorted())?;
        Ok(Workflow { name: stem.to_owned(), file: path.to_owned(), spec, triggers })
    }

    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is wrong with workflows.
    pub fn faults(&self) -> Faults {
        self.held().faults.clone()
    }

    /// A workflow by its name.
    pub fn get(&self, name: &str) -> Option<Arc<Workflow>> {
        self.held().workflows.get(name).cloned()
    }

    /// All workflows, by name.
    pub fn all(&self) -> Vec<Arc<Workflow>> {
        self.held().workflows.values().cloned().collect()
    }

    /// The node types that workflows are checked against.
    pub fn types(&self) -> &NodeTypes {
        &self.types
    }
}

/// The workflow files of a folder, with what changes when they do.
fn files(folder: &Path) -> Result<Vec<(PathBuf, Option<SystemTime>, u64)>> {
    let failed = |error| ServeError::file("read", folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden || !matches!(ending.as_str(), "yaml" | "yml") {
            continue;
        }
        // One that is just being replaced is seen the next time.
        let Ok(known) = std::fs::metadata(&path) else { continue };
        files.push((path, known.modified().ok(), known.len()));
    }
    files.sort();
    Ok(files)
}

/// Whether a text can name a workflow; such a name is safe in paths and addresses.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
