//! How a model is opened.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use skysense_contract::{Binding, Modality};

use crate::Device;

/// Most threads of one session. Up to here the bits of a result were measured not to depend on the count;
/// from 8 threads on a product of two activations splits differently.
pub const MOST_THREADS: usize = 4;

/// When the package's probe is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProbeRule {
    /// Once per package, runtime and device; a marker in the cache folder remembers.
    #[default]
    Once,
    /// At every opening.
    Always,
}

/// How a model is opened. `Options::default()` runs it as its contract says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where it runs.
    pub device: Device,
    /// Threads of one session; 0 takes as many as there are cores. Held to [`MOST_THREADS`].
    pub threads: usize,
    /// Chips that fusion and head take at a time; 0 lets the device decide. Changes no bit on the CPU.
    pub batch: usize,
    /// Most dates of any chip of the plan, by modality; a modality that is left out has as many as the
    /// contract allows. The sequence is padded to these, so that a chip's result does not depend on its batch.
    pub dates: BTreeMap<Modality, usize>,
    /// Which band of the data feeds which of the model, from `Contract::bind`; without it the data must have the
    /// model's bands in the model's order. Modalities that the binding lacks take no part.
    pub binding: Option<Binding>,
    /// Gives the features of this modality's encoder alone, for chips with one date of it; others are not looked at.
    pub encoder: Option<Modality>,
    /// ONNX Runtime's library; without it the usual places are searched.
    pub library: Option<PathBuf>,
    /// Folder for markers; without it [`cache_folder`].
    pub cache: Option<PathBuf>,
    /// When the package's probe is run.
    pub probe: ProbeRule,
}

/// `$XDG_CACHE_HOME/skysense`, else `~/.cache/skysense`.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("skysense"))
}

impl Options {
    pub(crate) fn session_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let asked = if self.threads == 0 { cores() } else { self.threads };
        asked.min(MOST_THREADS)
    }
}
