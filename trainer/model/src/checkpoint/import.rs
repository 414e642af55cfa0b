//! Files of a checkpoint, put together to one model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;

use super::assembly::{Assembly, Ignored, Part, PartFile, Unexpected};
use super::module::{LoadReport, load_stored, parameters};
use super::names::{CALENDAR, MODULES, module};
use super::shapes::{self, Alone, ShapeSettings};
use super::stored::{Element, Stored};
use crate::Result;
use crate::calendar::Calendar;
use crate::encoder::SkySenseConfig;

/// A model in files: what it looks like, where its tensors lie, and what was found. Nothing is read yet.
#[derive(Debug)]
pub struct Import {
    /// What the model looks like. Of encoders alone, the fusion has no layer, and an up head that no file has is no part
    /// of the model.
    pub config: SkySenseConfig,
    /// The encoders, where the files hold no fusion.
    pub alone: Vec<Alone>,
    /// The preset whose sizes these are, if any.
    pub preset: Option<&'static str>,
    /// Every tensor that fits, by its published name in the whole model.
    pub tensors: BTreeMap<String, Stored>,
    /// What was found and what lacks.
    pub report: ImportReport,
}

/// What an import found, for people and as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct ImportReport {
    /// The files, and how the weights were found in them.
    pub files: Vec<PartFile>,
    /// Where numbers are from that do not stand in shapes.
    pub choices: BTreeMap<String, String>,
    /// Each module with its counts.
    pub modules: Vec<ModuleReport>,
    /// Tensors that are used.
    pub loaded: Vec<Loaded>,
    /// Parameters of the model that the files lack.
    pub missing: Vec<Missing>,
    /// Tensors of another shape than the model's parameter.
    pub mismatched: Vec<Mismatched>,
    /// Tensors that the model does not have and no table knows.
    pub unexpected: Vec<Unexpected>,
    /// Tensors that are known to be of no use here.
    pub ignored: Vec<Ignored>,
}

/// A module and how much of it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleReport {
    /// Name in checkpoints.
    pub module: &'static str,
    /// Number of its parameters.
    pub parameters: u64,
    /// How many of them the files have.
    pub loaded: u64,
}

/// A tensor that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Published name.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Type of its values in the file.
    pub element: Element,
    /// Key in the file, without containers.
    pub key: String,
    /// Place of its file among the files.
    pub file: usize,
}

/// A parameter that the files lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Published name.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// What it starts as.
    pub start: &'static str,
    /// Whether it may be missing: the norms of HR outputs that the fusion does not read.
    pub allowed: bool,
}

/// A tensor of another shape than the model's parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatched {
    /// Published name.
    pub name: String,
    /// Sides in the file.
    pub found: Vec<usize>,
    /// Sides in the model.
    pub expected: Vec<usize>,
    /// Key in the file.
    pub key: String,
    /// The file.
    pub file: PathBuf,
}

impl Import {
    /// Opens the files and finds out what they are the weights of. Reads names and shapes alone.
    ///
    /// # Errors
    /// A file that cannot be used, or shapes that do not say what the model looks like.
    pub fn open(files: &[(Part, PathBuf)], variant: Option<&str>, settings: &ShapeSettings) -> Result<Self> {
        let mut assembly = Assembly::open(files, variant)?;
        let inferred = shapes::infer(&assembly, settings)?;
        let config = inferred.config;
        if config.fusion.calendar == Calendar::None
            && let Some((_, stored)) = assembly.tensors.remove(CALENDAR)
        {
            let reason = match settings.calendar {
                _ if !inferred.alone.is_empty() => "a calendar table, and there is no fusion".to_string(),
                Some(_) => "the calendar encoding is switched off".to_string(),
                None => format!("its shape {:?} is not that of a table of the fusion", stored.shape()),
            };
            assembly.leave(&stored, &reason);
        }
        let wanted = wanted(&config, &inferred.alone)?;
        let mut report = ImportReport {
            files: assembly.files.clone(),
            choices: inferred.choices,
            modules: Vec::new(),
            loaded: Vec::new(),
            missing: Vec::new(),
            mismatched: Vec::new(),
            unexpected: Vec::new(),
            ignored: Vec::new(),
        };
        let mut tensors = BTreeMap::new();
        for (name, shape) in &wanted {
            let found = assembly.tensors.remove(name);
            match found {
                Some((_, stored)) if fits(stored.shape(), shape) => {
                    let _new = tensors.insert(name.clone(), stored);
                }
                Some((_, stored)) => report.mismatched.push(Mismatched {
                    name: name.clone(),
                    found: stored.shape().to_vec(),
                    expected: shape.clone(),
                    key: stored.key().into(),
                    file: stored.path().to_path_buf(),
                }),
                None => report.missing.push(missing(&config, name, shape)),
            }
        }
        let strays: Vec<Stored> =
            std::mem::take(&mut assembly.tensors).into_values().map(|(_, stored)| stored).collect();
        strays.iter().for_each(|stored| assembly.stray(stored));
        report.loaded = tensors
            .iter()
            .map(|(name, stored)| Loaded {
                name: name.clone(),
                shape: stored.shape().to_vec(),
                element: stored.element(),
                key: stored.key().into(),
                file: report.files.iter().position(|file| of(&file.path, stored)).unwrap_or_default(),
            })
            .collect();
        report.modules = modules(&wanted, &tensors);
        (report.unexpected, report.ignored) = (assembly.unexpected, assembly.ignored);
        Ok(Self { config, alone: inferred.alone, preset: inferred.preset, tensors, report })
    }
}

impl Import {
    /// Gives a series encoder or the high-resolution encoder other inputs: those at these places of the file's patch
    /// embedding, in this order, multiplied by `factor`; `note` goes among the choices.
    ///
    /// # Errors
    /// A module that is not there, or a place that it does not have.
    pub fn take_inputs(&mut self, module: &'static str, order: &[usize], factor: f32, note: String) -> Result<()> {
        let name = format!("{module}.patch_embed.projection.weight");
        let bands = match (module, &mut self.config) {
            ("backbone_hr", SkySenseConfig { hr: Some(hr), .. }) => Some(&mut hr.bands),
            ("backbone_s2", SkySenseConfig { s2: Some((vit, _)), .. }) => Some(&mut vit.bands),
            ("backbone_s1", SkySenseConfig { s1: Some((vit, _)), .. }) => Some(&mut vit.bands),
            _ => None,
        };
        let taken = self.tensors.get(&name).and_then(|stored| stored.with_inputs(order, factor));
        let (Some(bands), Some(taken)) = (bands, taken) else {
            return Err(crate::ModelError::Config(format!("{name} has no inputs {order:?}")));
        };
        *bands = order.len();
        let sides = |shape: &[usize]| shape.iter().map(|side| *side as u64).product::<u64>();
        let before = sides(self.tensors[&name].shape());
        let after = sides(taken.shape());
        if let Some(report) = self.report.modules.iter_mut().find(|report| report.module == module) {
            (report.parameters, report.loaded) = (report.parameters + after - before, report.loaded + after - before);
        }
        if let Some(loaded) = self.report.loaded.iter_mut().find(|loaded| loaded.name == name) {
            loaded.shape = taken.shape().to_vec();
        }
        let _previous = self.report.choices.insert(format!("{module}.bands"), note);
        let _previous = self.tensors.insert(name, taken);
        Ok(())
    }
}

/// Sets the parameters of a module whose configuration is known, from files whose keys may have every spelling, prefix and
/// addition that an import takes. `prefix` is the module's name in the whole model, or empty for the whole model.
///
/// A calendar table is left out where the module has no place for it.
///
/// # Errors
/// A file that cannot be used or read.
pub fn load_files<M: Module>(
    module: M,
    prefix: &str,
    files: &[(Part, PathBuf)],
    variant: Option<&str>,
) -> Result<(M, LoadReport)> {
    let assembly = Assembly::open(files, variant)?;
    let mut tensors: BTreeMap<String, Stored> =
        assembly.tensors.into_iter().map(|(name, (_, stored))| (name, stored)).collect();
    if parameters(&module, prefix).iter().all(|(name, _)| name != CALENDAR) {
        let _unused = tensors.remove(CALENDAR);
    }
    let (module, mut report) = load_stored(module, prefix, &tensors)?;
    report.unexpected.extend(assembly.unexpected.into_iter().map(|unexpected| unexpected.key));
    Ok((module, report))
}

impl ImportReport {
    /// Whether something lacks that may not lack.
    pub fn complete(&self) -> bool {
        self.mismatched.is_empty() && self.missing.iter().all(|missing| missing.allowed)
    }
}

/// Whether a tensor is of a file, or of a shard that lies beside the index.
fn of(path: &std::path::Path, stored: &Stored) -> bool {
    path == stored.path()
        || (path.extension().is_some_and(|ending| ending == "json") && path.parent() == stored.path().parent())
}

/// The weights of a 1 × 1 convolution may come as a matrix.
fn fits(found: &[usize], wanted: &[usize]) -> bool {
    found == wanted || (wanted.len() == 4 && wanted.ends_with(&[1, 1]) && found == &wanted[..2])
}

/// Names and shapes of all parameters; none is made.
fn wanted(config: &SkySenseConfig, alone: &[Alone]) -> Result<Vec<(String, Vec<usize>)>> {
    let device = Device::default();
    let mut all = Vec::new();
    if let Some(hr) = &config.hr {
        all.extend(parameters(&hr.init(&device)?, "backbone_hr"));
    }
    for (name, head, series) in [("backbone_s2", "head_s2", &config.s2), ("backbone_s1", "head_s1", &config.s1)] {
        if let Some((vit, up)) = series {
            all.extend(parameters(&vit.init(&device), name));
            if alone.iter().all(|alone| alone.module != name || alone.raised) {
                all.extend(parameters(&up.init(&device), head));
            }
        }
    }
    if alone.is_empty() {
        all.extend(parameters(&config.fusion.init(&device), "fusion"));
    }
    if let Some(context) = &config.geo_context {
        all.extend(parameters(&context.init(&device), "geo_context"));
    }
    Ok(all)
}

fn missing(config: &SkySenseConfig, name: &str, shape: &[usize]) -> Missing {
    // Only the last output goes into the fusion; the class behind some files has no norm on the others.
    let last = config.hr.as_ref().map_or(0, |hr| hr.depths.len() - 1);
    let outer = name.strip_prefix("backbone_hr.norm").and_then(|rest| rest.split_once('.'));
    let allowed = outer.and_then(|(stage, _)| stage.parse::<usize>().ok()).is_some_and(|stage| stage < last);
    Missing {
        name: name.into(),
        shape: shape.to_vec(),
        start: if allowed { "the identity" } else { "a value drawn from the seed" },
        allowed,
    }
}

fn modules(wanted: &[(String, Vec<usize>)], tensors: &BTreeMap<String, Stored>) -> Vec<ModuleReport> {
    let count = |shape: &[usize]| shape.iter().map(|side| *side as u64).product::<u64>();
    let names: BTreeSet<&str> = wanted.iter().filter_map(|(name, _)| module(name)).collect();
    let all = MODULES.iter().filter(|module| names.contains(**module)).chain([&CALENDAR]);
    all.map(|own| {
        let belongs = |name: &String| module(name).map_or(name == own, |module| module == *own);
        let parameters = wanted.iter().filter(|(name, _)| belongs(name));
        let loaded = tensors.iter().filter(|(name, _)| belongs(name));
        ModuleReport {
            module: own,
            parameters: parameters.map(|(_, shape)| count(shape)).sum(),
            loaded: loaded.map(|(_, stored)| count(stored.shape())).sum(),
        }
    })
    .filter(|report| report.parameters > 0)
    .collect()
}
