//! One raster of a workflow, as GDAL has it open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use skysense_maps::Layer;
use skysense_raster::CogSpec;

use crate::chips::Computing;
use crate::name::Name;
use crate::options::Options;
use crate::plugins::apart;
use crate::workflow::{check, listed, planned};

/// Pixels a side of a block, at least: whole strides of chips.
const LEAST_BLOCK: usize = 64;
/// The smallest overview is no larger than this.
const SMALLEST_OVERVIEW: usize = 256;

/// One raster of a workflow.
pub(crate) struct Map {
    pub(crate) computing: Arc<Computing>,
    pub(crate) layer: Layer,
    pub(crate) spec: CogSpec,
    /// Number of its period.
    pub(crate) period: usize,
    pub(crate) max_chips: usize,
    name: Name,
    params: Vec<(String, String)>,
}

/// Workflows that somebody has open: datasets of one workflow share its nodes and its chips.
fn open_ones() -> &'static Mutex<HashMap<String, Weak<Computing>>> {
    static OPEN: OnceLock<Mutex<HashMap<String, Weak<Computing>>>> = OnceLock::new();
    OPEN.get_or_init(Mutex::default)
}

impl Map {
    /// Opens a raster by its name.
    ///
    /// # Errors
    /// In words: what is wrong with the name, the options or the workflow.
    pub(crate) fn open(name: &str, given: &[(String, String)], threads: Option<&str>) -> Result<Self, String> {
        let name = Name::parse(name)?;
        let options = Options::read(given, threads)?;
        let (computing, warnings) = {
            let (name, options) = (name.clone(), options.clone());
            apart(move || shared(&name, &options))?
        };
        let workflow = computing.workflow();
        let layers: Vec<&str> = workflow.layers.iter().map(Layer::name).collect();
        let layer = pick("layer", name.part("layer").or(options.layer.as_deref()), &layers)?;
        let periods: Vec<&str> = workflow.facts.chips.periods.iter().map(|period| period.name.as_str()).collect();
        let period = pick("period", name.part("period").or(options.period.as_deref()), &periods)?;
        let layer = workflow.layers[layer].clone();
        let spec = layer.spec(workflow.facts.chips.geobox.clone());
        warnings.iter().for_each(|told| crate::message::warn(told));
        let params = name.params.iter().chain(&options.params).cloned().collect();
        Ok(Self { layer, spec, period, max_chips: options.max_chips, name, params, computing })
    }

    /// Pixels a side of a block.
    pub(crate) fn block(&self) -> usize {
        let stride = self.computing.workflow().grid.stride();
        stride * LEAST_BLOCK.div_ceil(stride)
    }

    /// Number of overviews; each is half of the one before.
    pub(crate) fn levels(&self) -> usize {
        let side = self.spec.geobox.width.max(self.spec.geobox.height);
        (1..32).take_while(|level| side.div_ceil(1 << (level - 1)) > SMALLEST_OVERVIEW).count()
    }

    /// Name and description of every raster of the workflow, where there is more than one.
    pub(crate) fn siblings(&self) -> Vec<(String, String)> {
        let workflow = self.computing.workflow();
        let mut all = Vec::new();
        for period in &workflow.facts.chips.periods {
            for layer in &workflow.layers {
                let parts =
                    [("node", workflow.writer.as_str()), ("layer", layer.name()), ("period", period.name.as_str())];
                all.push((self.name.with(&self.params, &parts), format!("{}, {}", layer.title(), period.name)));
            }
        }
        // Of other writers nothing is known but that they are there.
        for writer in workflow.writers.iter().filter(|writer| **writer != workflow.writer) {
            all.push((self.name.with(&self.params, &[("node", writer)]), format!("what {writer} writes")));
        }
        if all.len() > 1 { all } else { Vec::new() }
    }
}

/// The workflow as others have it open, else planned anew, with what was left out. Whoever comes at the same time waits and
/// shares it.
fn shared(name: &Name, options: &Options) -> Result<(Arc<Computing>, Vec<String>), String> {
    let checked = check(name, options)?;
    let key = format!("{}{:?}", checked.identity, options.cache);
    let mut open = open_ones().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(computing) = open.get(&key).and_then(Weak::upgrade) {
        return Ok((computing, Vec::new()));
    }
    let mut workflow = planned(checked, options)?;
    let warnings = std::mem::take(&mut workflow.warnings);
    let computing = Arc::new(Computing::new(workflow, &options.device, options.cache.clone())?);
    open.retain(|_, one| one.strong_count() > 0);
    open.insert(key, Arc::downgrade(&computing));
    Ok((computing, warnings))
}

/// The one that is wanted, else the first.
fn pick(what: &str, wanted: Option<&str>, there: &[&str]) -> Result<usize, String> {
    let Some(wanted) = wanted else { return Ok(0) };
    let found = there.iter().position(|name| *name == wanted);
    found.ok_or_else(|| format!("the workflow has no {what} `{wanted}`; it has {}", listed(there)))
}
