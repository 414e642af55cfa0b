//! Tensors of several files under the names of one model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{CheckpointError, Result};
use super::file::{Found, WeightFile};
use super::names::{BACKBONE, CALENDAR, MODULES, ignored, module, spelled};
use super::stored::Stored;

/// The part of a model that a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All modules, each under its own prefix.
    Full,
    /// High-resolution encoder.
    Hr,
    /// Sentinel-2 encoder.
    S2,
    /// Sentinel-1 encoder.
    S1,
    /// Up head of Sentinel-2.
    HeadS2,
    /// Up head of Sentinel-1.
    HeadS1,
    /// Fusion.
    Fusion,
    /// Prototypes by region, with their projections.
    GeoContext,
}

impl Part {
    /// Name of the module in the whole model.
    pub fn module(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Hr => Some("backbone_hr"),
            Self::S2 => Some("backbone_s2"),
            Self::S1 => Some("backbone_s1"),
            Self::HeadS2 => Some("head_s2"),
            Self::HeadS1 => Some("head_s1"),
            Self::Fusion => Some("fusion"),
            Self::GeoContext => Some("geo_context"),
        }
    }
}

/// A file, and what of it was used.
#[derive(Debug, Clone, Serialize)]
pub struct PartFile {
    /// What it was given for.
    pub part: Part,
    /// The file.
    pub path: PathBuf,
    /// How the weights in it were found.
    #[serde(flatten)]
    pub found: Found,
    /// Number of its tensors.
    pub tensors: usize,
}

/// A tensor that is known to be of no use here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Key in the file.
    pub key: String,
    /// The file.
    pub file: PathBuf,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Why.
    pub reason: String,
}

/// A tensor that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unexpected {
    /// Key in the file.
    pub key: String,
    /// The file.
    pub file: PathBuf,
    /// Its sides.
    pub shape: Vec<usize>,
}

/// Tensors of several files under the names of one model.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    pub(super) tensors: BTreeMap<String, (Part, Stored)>,
    pub(super) files: Vec<PartFile>,
    pub(super) ignored: Vec<Ignored>,
    pub(super) unexpected: Vec<Unexpected>,
}

impl Assembly {
    /// Opens the files; a module's own file wins over a combined one.
    pub(super) fn open(files: &[(Part, PathBuf)], variant: Option<&str>) -> Result<Self> {
        let mut assembly = Self::default();
        for (part, path) in files {
            let file = WeightFile::open(path, variant)?;
            assembly.add(*part, path, file)?;
        }
        Ok(assembly)
    }

    fn add(&mut self, part: Part, path: &Path, file: WeightFile) -> Result<()> {
        let mut found = file.found;
        let tensors = file.tensors.len();
        let spelled: Vec<(String, Stored)> =
            file.tensors.into_iter().map(|(key, stored)| (spelled(&key), stored)).collect();
        let whole = |key: &str| module(key.strip_prefix(BACKBONE).unwrap_or(key));
        // A combined file may be given for one of its modules: then the others are left out of it.
        let combined = part.module().is_none_or(|own| spelled.iter().any(|(key, _)| whole(key) == Some(own)));
        let stripped = spelled.iter().any(|(key, _)| key.starts_with(BACKBONE));
        if stripped {
            found.prefixes.push(BACKBONE.into());
        }
        for (key, stored) in spelled {
            let bare = key.strip_prefix(BACKBONE);
            let name = match part.module() {
                _ if bare.unwrap_or(&key) == CALENDAR => self.calendar(part, &stored),
                _ if combined => Some(bare.unwrap_or(&key).to_string()),
                // Beside keys with the prefix, others belong to something else, such as a detector's head.
                Some(own) if bare.is_some() || !stripped => Some(format!("{own}.{}", bare.unwrap_or(&key))),
                _ => None,
            };
            match name {
                Some(name) if name == CALENDAR => self.insert(part, name, stored)?,
                Some(name) => self.sort(part, name, stored)?,
                None if bare.unwrap_or(&key) == CALENDAR => {}
                None => self.stray(&stored),
            }
        }
        self.files.push(PartFile { part, path: path.to_path_buf(), found, tensors });
        Ok(())
    }

    /// The name of a calendar table, or `None` where it is left out.
    fn calendar(&mut self, part: Part, stored: &Stored) -> Option<String> {
        match part {
            Part::Full | Part::Fusion | Part::S2 => Some(CALENDAR.to_string()),
            _ => {
                self.leave(stored, "a calendar table, which the fusion or the Sentinel-2 file gives");
                None
            }
        }
    }

    fn sort(&mut self, part: Part, name: String, stored: Stored) -> Result<()> {
        if let Some(reason) = ignored(&name) {
            self.leave(&stored, reason);
            return Ok(());
        }
        match (module(&name), part.module()) {
            (Some(found), Some(own)) if found != own => {
                self.leave(&stored, &format!("of {found}, and the file was given for {own}"));
                Ok(())
            }
            (Some(_), _) => self.insert(part, name, stored),
            (None, _) => {
                self.stray(&stored);
                Ok(())
            }
        }
    }

    fn insert(&mut self, part: Part, name: String, stored: Stored) -> Result<()> {
        let Some((before, known)) = self.tensors.get(&name) else {
            let _new = self.tensors.insert(name, (part, stored));
            return Ok(());
        };
        // The calendar belongs to the fusion: what the Sentinel-2 file has is second to it.
        let rank = |part: Part| if name == CALENDAR && part == Part::S2 { 0 } else { 1 + u8::from(part != Part::Full) };
        if rank(*before) == rank(part) {
            return Err(CheckpointError::Tensor {
                path: stored.path().to_path_buf(),
                key: stored.key().to_string(),
                found: format!("a second {name}, after {} of {}", known.key(), known.path().display()),
                expected: "each weight once".into(),
                hint: "the keys differ only in prefixes or spelling: choose a variant, or take one of them out",
            });
        }
        let (kept, lost) = if rank(*before) > rank(part) {
            ((*before, known.clone()), stored)
        } else {
            ((part, stored), known.clone())
        };
        self.leave(&lost, &format!("{name} is taken from {}", kept.1.path().display()));
        let _previous = self.tensors.insert(name, kept);
        Ok(())
    }

    pub(super) fn leave(&mut self, stored: &Stored, reason: &str) {
        self.ignored.push(Ignored {
            key: stored.key().into(),
            file: stored.path().to_path_buf(),
            shape: stored.shape().to_vec(),
            reason: reason.into(),
        });
    }

    pub(super) fn stray(&mut self, stored: &Stored) {
        self.unexpected.push(Unexpected {
            key: stored.key().into(),
            file: stored.path().to_path_buf(),
            shape: stored.shape().to_vec(),
        });
    }

    /// Shape of a tensor of a module.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, stored)| stored.shape())
    }

    /// Whether any tensor of a module is there.
    pub(super) fn has(&self, module: &str) -> bool {
        debug_assert!(MODULES.contains(&module), "{module} is no module");
        self.tensors.keys().any(|name| self::module(name) == Some(module))
    }
}
