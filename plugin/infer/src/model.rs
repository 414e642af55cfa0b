//! A model package, loaded and ready to run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ort::session::SessionInputValue;
use ort::value::{TensorElementType, TensorRef};
use serde::Serialize;
use skysense_contract::{Contract, Dtype, Modality, Module, Package};

use crate::measure::ModuleRanges;
use crate::prepare::{Prepared, Shape};
use crate::session::{Build, Graph, choose, element};
use crate::subset::{patch_embedding, subset_fault};
use crate::tokens::{Slots, Tokens};
use crate::{ChipInput, Device, InferError, Maps, OPTIMISATION, Options, Pixel, ProbeReport, Series, probe, runtime};

/// Acquisitions that an encoder takes at a time: bounds memory, changes no bit.
const ACQUISITIONS: usize = 16;

/// A loaded model. Shared between threads; calls into one module take turns.
pub struct Model {
    package: Package,
    /// Loaded graphs; those that are opened when they run, and dropped again, are not among them.
    graphs: BTreeMap<Module, Mutex<Graph>>,
    loader: Loader,
    inputs: BTreeMap<Modality, Vec<Option<usize>>>,
    dates: BTreeMap<Modality, usize>,
    slots: Slots,
    token_channels: usize,
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

/// What a result was made with, for provenance: results with equal records have equal bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Name of the model.
    pub model: String,
    /// Checksum of its weights.
    pub weights_sha256: String,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// Device that it ran on: what `auto` stood for.
    pub device: String,
    /// Graph optimisation level.
    pub optimisation: String,
    /// Bands of the model that the data lacked, by modality; the patch embedding was rescaled for these.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<Modality, Vec<String>>,
    /// Slots of the sequence, by modality.
    pub dates: BTreeMap<Modality, usize>,
}

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

    /// Opens each graph by itself, and tells what is wrong with it; then runs the probe, as [`Self::verify`], with one graph
    /// in memory at a time. Where a graph cannot be opened the probe is not run.
    ///
    /// # Errors
    /// No runtime, no such device.
    pub fn check(package: &Package, options: &Options) -> Result<Check, InferError> {
        let runtime = runtime::runtime(options.library.as_deref())?;
        let device = choose(options.device, &runtime)?;
        let build = Build { runtime: &runtime, device, threads: options.session_threads() };
        let contract = package.contract();
        let inputs = inputs(contract, &Options { binding: None, ..options.clone() });
        let mut check = Check { modules: Vec::new(), problems: Vec::new(), probe: None };
        for module in contract.graphs.keys() {
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
        if check.problems.is_empty() {
            match probe::run(package, &runtime, device, options, Keep::OneAtATime) {
                Ok(report) => check.probe = Some(report),
                Err(error) => check.problems.push(error),
            }
        }
        Ok(check)
    }

    pub(crate) fn build(
        package: Package,
        runtime: &runtime::Runtime,
        device: Device,
        options: &Options,
        keep: Keep,
    ) -> Result<Self, InferError> {
        let contract = package.contract();
        let build = Build { runtime, device, threads: options.session_threads() };
        let inputs = inputs(contract, options);
        let dates: BTreeMap<Modality, usize> = inputs
            .keys()
            .map(|m| (*m, options.dates.get(m).copied().unwrap_or(usize::MAX).min(contract.modalities[m].dates)))
            .collect();
        let mut graphs = BTreeMap::new();
        let fused = contract.graphs.contains_key(&Module::Fusion);
        let fusion = fused.then(|| open(&package, &build, Module::Fusion)).transpose()?;
        let token_channels = match &fusion {
            Some(fusion) => check_fusion(fusion, contract)?,
            // An encoder alone: its tokens are the features.
            None => contract.channels,
        };
        if keep == Keep::All {
            graphs.extend(fusion.map(|fusion| (Module::Fusion, fusion)));
            for (modality, bands) in &inputs {
                graphs.insert(Module::from(*modality), encoder(&package, &build, *modality, bands)?);
            }
            let rest = [Module::GeoContext, Module::Head];
            for module in rest.into_iter().filter(|module| contract.graphs.contains_key(module)) {
                graphs.insert(module, open(&package, &build, module)?);
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
        let slots = Slots::new(&dates);
        Ok(Self { package, graphs, loader, inputs, dates, slots, token_channels, batch, acquisitions, record })
    }

    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// What results are made with.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Feature maps of the chips, `[chip, channel, height, width]`.
    ///
    /// # Errors
    /// [`InferError::Chip`] for a chip that does not fit, [`InferError::Run`] when a graph fails.
    pub fn features(&self, chips: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        let contract = self.package.contract();
        let mut maps = Maps::new(contract.channels, contract.chip_size);
        for (group, members) in chips.chunks(self.batch).enumerate() {
            self.group(group * self.batch, members, false, &mut maps)?;
        }
        Ok(maps)
    }

    /// Probabilities of the head's classes, `[chip, class, height, width]`, in the order of the contract.
    ///
    /// # Errors
    /// As [`Self::features`], and a contract error when the package has no head.
    pub fn segment(&self, chips: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        let mut maps = self.logits(chips)?;
        let area = maps.size * maps.size;
        for chip in 0..maps.chips {
            if maps.chip_valid(chip).contains(&1) {
                let length = maps.channels * area;
                softmax(&mut maps.values[chip * length..(chip + 1) * length], area);
            }
        }
        Ok(maps)
    }

    /// What the head gives before the softmax.
    pub(crate) fn logits(&self, chips: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        let contract = self.package.contract();
        self.package.graph(Module::Head)?;
        let classes = contract.head.as_ref().map_or(0, |head| head.classes.len());
        let mut maps = Maps::new(classes, contract.chip_size);
        for (group, members) in chips.chunks(self.batch).enumerate() {
            self.group(group * self.batch, members, true, &mut maps)?;
        }
        Ok(maps)
    }

    /// Runs a group of chips, the first of which is the `from`-th of its batch.
    fn group(&self, from: usize, chips: &[ChipInput<'_>], head: bool, maps: &mut Maps) -> Result<(), InferError> {
        let contract = self.package.contract();
        let size = contract.chip_size;
        let mut tokens = Tokens::new(chips.len(), self.slots.count, self.token_channels * size * size);
        let mut valid = vec![vec![0_u8; size * size]; chips.len()];
        for (index, chip) in chips.iter().enumerate() {
            for modality in Modality::ALL {
                let Some(series) = chip.series(modality) else { continue };
                let mask = self.encode((from + index, index), modality, series, &mut tokens)?;
                valid[index].iter_mut().zip(mask).for_each(|(all, one)| *all |= one);
            }
        }
        let mut values = self.fuse(&tokens)?;
        if contract.graphs.contains_key(&Module::GeoContext) {
            values = self.geo_context(from, chips, &values)?;
        }
        if head {
            values = self.head(chips.len(), &values)?;
        }
        let length = values.len() / chips.len();
        for (index, valid) in valid.iter().enumerate() {
            let values = &mut values[index * length..(index + 1) * length];
            if !tokens.any(index) {
                values.fill(0.0);
            }
            maps.push(values, valid);
        }
        Ok(())
    }

    /// Encodes a chip's acquisitions of one modality into its slots; gives their validity on the 10 m grid.
    fn encode(
        &self,
        (chip, place): (usize, usize),
        modality: Modality,
        series: &Series<'_>,
        tokens: &mut Tokens,
    ) -> Result<Vec<u8>, InferError> {
        let contract = self.package.contract();
        let Some(bands) = self.inputs.get(&modality) else {
            let fault = "the model was opened without this modality".into();
            return Err(InferError::Chip { chip, modality, fault });
        };
        let input = &contract.modalities[&modality];
        let shape = Shape { modality, input, bands, size: contract.chip_size, dates: self.dates[&modality] };
        match input.dtype {
            Dtype::U8 => self.encode_as(&shape, shape.prepare::<u8>(series, chip)?, place, tokens),
            Dtype::I16 => self.encode_as(&shape, shape.prepare::<i16>(series, chip)?, place, tokens),
            Dtype::F32 => self.encode_as(&shape, shape.prepare::<f32>(series, chip)?, place, tokens),
        }
    }

    fn encode_as<T: Pixel>(
        &self,
        shape: &Shape<'_>,
        prepared: Prepared<'_, T>,
        place: usize,
        tokens: &mut Tokens,
    ) -> Result<Vec<u8>, InferError> {
        let (modality, size) = (shape.modality, shape.size);
        let side = size * shape.input.scale;
        let one = shape.bands.len() * side * side;
        let mut first = self.slots.first(modality);
        tokens.mark(place, first, &prepared.days, self.package.contract().calendar.covers(modality));
        for piece in prepared.pixels.chunks(one * self.acquisitions) {
            let dates = piece.len() / one;
            let pixels = tensor(Module::from(modality), vec![dates, shape.bands.len(), side, side], piece)?;
            let to = tokens.values_mut(place, first, dates);
            self.with(Module::from(modality), |graph| {
                graph.run(vec![("pixels", pixels)], &[dates, self.token_channels, size, size], |from| {
                    to.copy_from_slice(from);
                })
            })?;
            first += dates;
        }
        Ok(prepared.valid)
    }

    fn fuse(&self, tokens: &Tokens) -> Result<Vec<f32>, InferError> {
        let (batch, time, size) = (tokens.batch, tokens.time, self.package.contract().chip_size);
        let of = Module::Fusion;
        if !self.package.contract().graphs.contains_key(&of) {
            // One date, as the contract holds.
            return Ok(tokens.values.clone());
        }
        let inputs = vec![
            ("tokens", tensor(of, vec![batch, time, self.token_channels, size, size], &tokens.values)?),
            ("day", tensor(of, vec![batch, time], &tokens.day)?),
            ("calendar", tensor(of, vec![batch, time], &tokens.calendar)?),
            ("present", tensor(of, vec![batch, time], &tokens.present)?),
        ];
        let channels = self.fused_channels();
        self.with(of, |graph| graph.run(inputs, &[batch, channels, size, size], <[f32]>::to_vec))
    }

    /// Channels that the fusion gives: prototypes double them.
    fn fused_channels(&self) -> usize {
        let contract = self.package.contract();
        let attached = contract.graphs.contains_key(&Module::GeoContext);
        if attached { contract.channels / 2 } else { contract.channels }
    }

    fn geo_context(&self, from: usize, chips: &[ChipInput<'_>], features: &[f32]) -> Result<Vec<f32>, InferError> {
        let contract = self.package.contract();
        let (batch, size, of) = (chips.len(), contract.chip_size, Module::GeoContext);
        let known = contract.regions.unwrap_or(0);
        let of_chip = |(index, chip): (usize, &ChipInput<'_>)| {
            let found = chip.region.filter(|region| usize::try_from(*region).is_ok_and(|region| region < known));
            let model = &contract.name;
            found.ok_or_else(|| InferError::Region {
                chip: from + index,
                region: chip.region,
                regions: known,
                model: model.clone(),
            })
        };
        let regions: Vec<i64> = chips.iter().enumerate().map(of_chip).collect::<Result<_, _>>()?;
        let inputs = vec![
            ("features", tensor(of, vec![batch, self.fused_channels(), size, size], features)?),
            ("region", tensor(of, vec![batch], &regions)?),
        ];
        self.with(of, |graph| graph.run(inputs, &[batch, contract.channels, size, size], <[f32]>::to_vec))
    }

    fn head(&self, batch: usize, features: &[f32]) -> Result<Vec<f32>, InferError> {
        let contract = self.package.contract();
        let (size, of) = (contract.chip_size, Module::Head);
        let classes = contract.head.as_ref().map_or(0, |head| head.classes.len());
        let inputs = vec![("features", tensor(of, vec![batch, contract.channels, size, size], features)?)];
        self.with(of, |graph| graph.run(inputs, &[batch, classes, size, size], <[f32]>::to_vec))
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

/// Loads a graph behind the encoders, whose inputs must be those of its module.
fn open(package: &Package, build: &Build<'_>, module: Module) -> Result<Graph, InferError> {
    let contract = package.contract();
    let graph = build.graph(module, package.graph(module)?, None)?;
    let side = Some(contract.chip_size);
    match module {
        Module::Fusion => check_fusion(&graph, contract).map(drop)?,
        Module::GeoContext => {
            let channels = Some(contract.channels / 2);
            graph.check_input("features", TensorElementType::Float32, &[None, channels, side, side])?;
            graph.check_input("region", TensorElementType::Int64, &[None])?;
        }
        Module::Head => {
            let channels = Some(contract.channels);
            graph.check_input("features", TensorElementType::Float32, &[None, channels, side, side])?;
        }
        Module::Hr | Module::S2 | Module::S1 => {}
    }
    Ok(graph)
}

/// Source of each band of the modalities that take part.
fn inputs(contract: &Contract, options: &Options) -> BTreeMap<Modality, Vec<Option<usize>>> {
    let identity = |modality: &Modality| (0..contract.modalities[modality].bands.len()).map(Some).collect();
    let known = contract.modalities.keys();
    match &options.binding {
        None => known.map(|modality| (*modality, identity(modality))).collect(),
        Some(binding) => known.filter_map(|m| Some((*m, binding.bands(*m)?.to_vec()))).collect(),
    }
}

fn record(
    contract: &Contract,
    runtime: &runtime::Runtime,
    device: Device,
    inputs: &BTreeMap<Modality, Vec<Option<usize>>>,
    dates: &BTreeMap<Modality, usize>,
) -> Record {
    let left_out = |(modality, bands): (&Modality, &Vec<Option<usize>>)| {
        let names = contract.modalities[modality].bands.iter().zip(bands);
        let names: Vec<_> = names.filter(|(_, source)| source.is_none()).map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then_some((*modality, names))
    };
    Record {
        model: contract.name.clone(),
        weights_sha256: contract.weights_sha256.clone(),
        runtime: runtime.info.version.clone(),
        device: device.to_string(),
        optimisation: OPTIMISATION.into(),
        left_out: inputs.iter().filter_map(left_out).collect(),
        dates: dates.clone(),
    }
}

/// Loads an encoder; where bands are lacking, with rescaled weights, and shows that these took effect.
fn encoder(
    package: &Package,
    build: &Build<'_>,
    modality: Modality,
    bands: &[Option<usize>],
) -> Result<Graph, InferError> {
    let contract = package.contract();
    let input = &contract.modalities[&modality];
    let module = Module::from(modality);
    let subset = bands.contains(&None);
    let weights = subset.then(|| patch_embedding(package, modality, bands)).transpose()?;
    let mut graph = build.graph(module, package.graph(module)?, weights)?;
    let side = contract.chip_size * input.scale;
    let shape = [None, Some(input.bands.len()), Some(side), Some(side)];
    graph.check_input("pixels", element(input.dtype), &shape)?;
    if subset {
        let absent: Vec<bool> = bands.iter().map(Option::is_none).collect();
        let unseen = match input.dtype {
            Dtype::U8 => deaf::<u8>(&mut graph, module, side, &absent)?,
            Dtype::I16 => deaf::<i16>(&mut graph, module, side, &absent)?,
            Dtype::F32 => deaf::<f32>(&mut graph, module, side, &absent)?,
        };
        if !unseen {
            let reason = "the graph does not take its patch embedding by name; export the model again";
            return Err(subset_fault(package, modality, reason.into()));
        }
    }
    Ok(graph)
}

/// Whether a graph gives the same whatever stands in the absent bands. The runtime takes weights for a name that
/// it does not know without a word, so this is looked at and not believed.
fn deaf<T: Pixel>(graph: &mut Graph, module: Module, side: usize, absent: &[bool]) -> Result<bool, InferError> {
    let mut outputs = Vec::new();
    for absent_value in [0.0, 100.0] {
        let values: Vec<T> = absent
            .iter()
            .flat_map(|absent| {
                (0..side * side).map(|i| T::from_f64(if *absent { absent_value } else { (i % 97) as f64 }))
            })
            .collect();
        let pixels = tensor(module, vec![1, absent.len(), side, side], &values)?;
        outputs.push(graph.run_any(vec![("pixels", pixels)])?);
    }
    Ok(outputs[0] == outputs[1])
}

/// Checks the fusion's inputs; gives the width of its tokens.
fn check_fusion(fusion: &Graph, contract: &Contract) -> Result<usize, InferError> {
    let size = Some(contract.chip_size);
    let dims = fusion.check_input("tokens", TensorElementType::Float32, &[None, None, None, size, size])?;
    for (name, dtype) in [
        ("day", TensorElementType::Int64),
        ("calendar", TensorElementType::Float32),
        ("present", TensorElementType::Bool),
    ] {
        fusion.check_input(name, dtype, &[None, None])?;
    }
    dims[2].ok_or_else(|| fusion.fault("input tokens does not fix its channels".into()))
}

/// A tensor over borrowed values.
fn tensor<'v, T>(module: Module, shape: Vec<usize>, values: &'v [T]) -> Result<SessionInputValue<'v>, InferError>
where
    T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    let tensor = TensorRef::from_array_view((shape, values))
        .map_err(|error| InferError::Run { module, message: error.to_string() })?;
    Ok(tensor.into())
}

/// Softmax over the classes of `[class, area]`, in place.
fn softmax(values: &mut [f32], area: usize) {
    for place in 0..area {
        let largest = values[place..].iter().step_by(area).copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for value in values[place..].iter_mut().step_by(area) {
            *value = (*value - largest).exp();
            sum += *value;
        }
        values[place..].iter_mut().step_by(area).for_each(|value| *value /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_runs_over_classes_and_sums_to_one() {
        let mut values = [0.0, 1000.0, 0.0, 1000.0, 0.0, -1000.0];
        softmax(&mut values, 2);
        let third = 1.0_f32 / 3.0;
        assert_eq!(values, [third, 0.5, third, 0.5, third, 0.0]);
    }
}
