//! A model package, loaded and ready to run.

mod detector;
mod graphs;
mod pass;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use skysense_contract::{Modality, Module, Package};

use self::graphs::{encoder, open, widths};
use self::record::{inputs, record};
use crate::measure::ModuleRanges;
use crate::session::{Build, Graph, choose};
use crate::tokens::Slots;
use crate::{Device, InferError, Options, ProbeReport, probe, runtime};

pub use self::detector::Detector;
pub(crate) use self::detector::{is_detector, probe_detector};
pub use self::record::Record;

/// Acquisitions that an encoder takes at a time: bounds memory, changes no bit.
const ACQUISITIONS: usize = 16;

/// A loaded model. Shared between threads; calls into one module take turns.
pub struct Model {
    package: Package,
    /// Loaded graphs; those that are opened when they run, and dropped again, are not among them.
    graphs: BTreeMap<Module, Mutex<Graph>>,
    loader: Loader,
    /// Graphs that were opened to run and kept their contract.
    opened: Mutex<BTreeSet<Module>>,
    inputs: BTreeMap<Modality, Vec<Option<usize>>>,
    dates: BTreeMap<Modality, usize>,
    slots: Slots,
    /// Channels of what the fusion reads; `None` where what encoders give is what the model gives.
    token_channels: Option<usize>,
    /// The encoder whose features alone are asked for, and its channels.
    only: Option<(Modality, usize)>,
    batch: usize,
    acquisitions: usize,
    record: Record,
}

/// What opens a graph.
struct Loader {
    runtime: runtime::Runtime,
    device: Device,
    threads: usize,
}

/// Whether graphs stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of them, from the opening of the model on.
    All,
    /// One at a time: each is opened when it runs, for models that are larger than the memory.
    OneAtATime,
}

/// What a run of the probe found, and the graphs that were opened for it and kept their contract.
type Probed = (Result<ProbeReport, InferError>, BTreeSet<Module>);

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("package", &self.package.folder()).field("record", &self.record).finish()
    }
}

impl Model {
    /// Opens a package (its folder, or its `model.yaml`) on a device, and holds its probe against it once per
    /// package, runtime and device.
    ///
    /// # Errors
    /// [`InferError`]: no runtime, no such device, a damaged package, a graph that does not keep its contract, a
    /// probe that does not match.
    pub fn open(package: impl AsRef<std::path::Path>, options: Options) -> Result<Self, InferError> {
        Self::load(Package::open(package)?, options)
    }

    /// As [`Self::open`] for a package that is open already.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn load(package: Package, options: Options) -> Result<Self, InferError> {
        let runtime = runtime::runtime(options.library.as_deref())?;
        let device = choose(options.device, &runtime)?;
        probe::hold(&package, &runtime, device, &options)?;
        Self::build(package, &runtime, device, &options, Keep::All)
    }

    /// Runs the package's probe now, whatever was remembered of an earlier run, and tells how far it was off.
    ///
    /// # Errors
    /// [`InferError::Probe`] when it is off by more than the package allows, and as [`Self::open`].
    pub fn verify(package: &Package, options: &Options) -> Result<ProbeReport, InferError> {
        let runtime = runtime::runtime(options.library.as_deref())?;
        let device = choose(options.device, &runtime)?;
        probe::run(package, &runtime, device, options, Keep::All)
    }

    /// Runs the probe, as [`Self::verify`], with one graph in memory at a time; then opens by itself each graph that the
    /// probe did not come to, and tells what is wrong with it. Where a graph cannot be opened the probe does not count.
    ///
    /// # Errors
    /// No runtime, no such device.
    pub fn check(package: &Package, options: &Options) -> Result<Check, InferError> {
        let runtime = runtime::runtime(options.library.as_deref())?;
        let device = choose(options.device, &runtime)?;
        if is_detector(package) {
            return Ok(Check::of(package, probe::run(package, &runtime, device, options, Keep::All)));
        }
        let build = Build { runtime: &runtime, device, threads: options.session_threads() };
        let contract = package.contract();
        let inputs = inputs(contract, &Options { binding: None, encoder: None, ..options.clone() });
        let mut check = Check { modules: Vec::new(), problems: Vec::new(), probe: None };
        let (probed, opened) = Self::probed(package, &runtime, device, options);
        for module in contract.graphs.keys() {
            if opened.contains(module) {
                check.modules.push(*module);
                continue;
            }
            let modality = inputs.keys().copied().find(|modality| Module::from(*modality) == *module);
            let opened = match modality {
                Some(modality) => encoder(package, &build, modality, &inputs[&modality]).map(drop),
                None => open(package, &build, *module).map(drop),
            };
            match opened {
                Ok(()) => check.modules.push(*module),
                Err(error) => check.problems.push(error),
            }
        }
        // What a broken graph did to the probe was just told.
        if check.problems.is_empty() {
            match probed {
                Ok(report) => check.probe = Some(report),
                Err(error) => check.problems.push(error),
            }
        }
        Ok(check)
    }

    fn probed(package: &Package, runtime: &runtime::Runtime, device: Device, options: &Options) -> Probed {
        let model = match probe::model(package, runtime, device, options, Keep::OneAtATime) {
            Ok(model) => model,
            Err(error) => return (Err(error), BTreeSet::new()),
        };
        let report = probe::held(&model.0, &model.1);
        (report, model.0.opened.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn build(
        package: Package,
        runtime: &runtime::Runtime,
        device: Device,
        options: &Options,
        keep: Keep,
    ) -> Result<Self, InferError> {
        let contract = package.contract();
        if is_detector(&package) {
            let (model, what) =
                (contract.name.clone(), "map of features or classes: it finds objects; use Detector".into());
            return Err(skysense_contract::ContractError::Lacks { model, what }.into());
        }
        let build = Build { runtime, device, threads: options.session_threads() };
        let inputs = inputs(contract, options);
        if let Some(only) = options.encoder {
            package.graph(Module::from(only))?;
        }
        // One date where no fusion brings dates together.
        let fused = options.encoder.is_none() && contract.graphs.contains_key(&Module::Fusion);
        let most = |modality: &Modality| if fused { contract.modalities[modality].dates } else { 1 };
        let dates: BTreeMap<Modality, usize> =
            inputs.keys().map(|m| (*m, options.dates.get(m).copied().unwrap_or(usize::MAX).min(most(m)))).collect();
        let (widths, fusion) = widths(&package, &build)?;
        let mut graphs = BTreeMap::new();
        if keep == Keep::All {
            for (modality, bands) in &inputs {
                graphs.insert(Module::from(*modality), encoder(&package, &build, *modality, bands)?);
            }
            if fused {
                let opened = fusion.map_or_else(|| open(&package, &build, Module::Fusion), Ok)?;
                graphs.insert(Module::Fusion, opened);
            }
            if options.encoder.is_none() {
                let rest = [Module::GeoContext, Module::Head];
                for module in rest.into_iter().filter(|module| contract.graphs.contains_key(module)) {
                    graphs.insert(module, open(&package, &build, module)?);
                }
            }
        }
        let loader = Loader { runtime: runtime.clone(), device, threads: build.threads };
        // Where a result depends on what else is in a batch, nothing else is.
        let alone = contract.reduced().is_some_and(|reduced| reduced.batch_dependent);
        let acquisitions = if alone { 1 } else { ACQUISITIONS };
        let batch = match options.batch {
            _ if alone => 1,
            0 if device == Device::Cpu => 1,
            0 => 8,
            asked => asked,
        };
        let record = record(contract, runtime, device, &inputs, &dates);
        let graphs = graphs.into_iter().map(|(module, graph)| (module, Mutex::new(graph))).collect();
        let only = options.encoder.and_then(|modality| Some((modality, *widths.get(&modality)?)));
        // Side by side, a modality that the data lacks keeps its place.
        let places = match fused || only.is_some() {
            true => dates.clone(),
            false => contract.modalities.keys().map(|modality| (*modality, 1)).collect(),
        };
        let slots = Slots::new(&places, |modality| widths[&modality] * contract.chip_size.pow(2));
        let token_channels = widths.values().next().copied().filter(|_| fused);
        let opened = Mutex::default();
        Ok(Self {
            package,
            graphs,
            loader,
            opened,
            inputs,
            dates,
            slots,
            token_channels,
            only,
            batch,
            acquisitions,
            record,
        })
    }

    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// Channels of the features.
    pub fn channels(&self) -> usize {
        self.only.map_or(self.package.contract().channels, |(_, channels)| channels)
    }

    /// Whether acquisitions of a modality are looked at.
    fn takes(&self, modality: Modality) -> bool {
        self.only.is_none_or(|(only, _)| only == modality)
    }

    /// What results are made with.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the graphs have shown of their products' inputs since the model was opened: nothing, where the package does not
    /// show any.
    pub fn ranges(&self) -> ModuleRanges {
        // A poisoned lock means that a thread died inside the runtime, whose session takes no harm from it.
        let ranges = |graph: &Mutex<Graph>| graph.lock().unwrap_or_else(PoisonError::into_inner).ranges().clone();
        self.graphs.iter().map(|(module, graph)| (*module, ranges(graph))).collect()
    }

    /// Runs a graph, which is opened for this where it does not stay in memory.
    fn with<R>(&self, module: Module, run: impl FnOnce(&mut Graph) -> Result<R, InferError>) -> Result<R, InferError> {
        if let Some(graph) = self.graphs.get(&module) {
            return run(&mut graph.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let Loader { runtime, device, threads } = &self.loader;
        let build = Build { runtime, device: *device, threads: *threads };
        let modality = self.inputs.iter().find(|(modality, _)| Module::from(**modality) == module);
        let mut graph = match modality {
            Some((modality, bands)) => encoder(&self.package, &build, *modality, bands)?,
            None => open(&self.package, &build, module)?,
        };
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(module);
        run(&mut graph)
    }
}

/// What opening the graphs of a package and running its probe found.
#[derive(Debug)]
pub struct Check {
    /// Modules whose graphs open and keep their contract.
    pub modules: Vec<Module>,
    /// Everything that was wrong.
    pub problems: Vec<InferError>,
    /// How the probe came out, where all graphs could be opened and it held.
    pub probe: Option<ProbeReport>,
}

impl Check {
    /// Of a package whose graphs are opened for its probe all at once.
    fn of(package: &Package, probed: Result<ProbeReport, InferError>) -> Self {
        match probed {
            Ok(report) => {
                let modules = package.contract().graphs.keys().copied().collect();
                Self { modules, problems: Vec::new(), probe: Some(report) }
            }
            Err(error) => Self { modules: Vec::new(), problems: vec![error], probe: None },
        }
    }
}
