//! The probe: a stored batch that must give its stored output on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype as Stored, SafeTensors};
use serde::Serialize;
use skysense_contract::{Contract, Dtype, Modality, Package, sha256_bytes};

use crate::model::{Keep, Record, is_detector, probe_detector};
use crate::runtime::Runtime;
use crate::{
    ChipInput, Device, InferError, Maps, Model, OPTIMISATION, Options, Pixel, Pixels, ProbeRule, Series, cache_folder,
};

/// Place of the time that is looked at.
pub(crate) const NOW: usize = 0;
/// Place of the earlier time.
pub(crate) const BEFORE: usize = 1;

/// How a probe came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeReport {
    /// Name of the model.
    pub model: String,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// Device that it ran on.
    pub device: String,
    /// Count of values compared.
    pub values: usize,
    /// Largest absolute difference.
    pub largest: f64,
}

/// Runs the probe unless a marker says that it has passed.
pub(crate) fn hold(package: &Package, runtime: &Runtime, device: Device, options: &Options) -> Result<(), InferError> {
    let folder = options.cache.clone().or_else(cache_folder);
    let marker = folder.map(|folder| folder.join("probes").join(format!("{}.json", key(package, runtime, device))));
    if options.probe == ProbeRule::Once && marker.as_ref().is_some_and(|marker| marker.is_file()) {
        return Ok(());
    }
    package.verify()?;
    let report = run(package, runtime, device, options, Keep::All)?;
    if let Some(marker) = marker {
        // A cache that cannot be written costs a run of the probe next time, nothing else.
        let _ = remember(&marker, &report);
    }
    Ok(())
}

/// Runs the probe through all modalities of the model and compares every value.
pub(crate) fn run(
    package: &Package,
    runtime: &Runtime,
    device: Device,
    options: &Options,
    keep: Keep,
) -> Result<ProbeReport, InferError> {
    if is_detector(package) {
        return probe_detector(package, runtime, device, options);
    }
    let (model, batch) = model(package, runtime, device, options, keep)?;
    held(&model, &batch)
}

/// A model that is opened as the probe needs it, and the probe.
pub(crate) fn model(
    package: &Package,
    runtime: &Runtime,
    device: Device,
    options: &Options,
    keep: Keep,
) -> Result<(Model, Batch), InferError> {
    let batch = Batch::read(package, &package.probe())?;
    let model = Model::build(package.clone(), runtime, device, &batch.options(options), keep)?;
    Ok((model, batch))
}

/// Runs the probe through a model that was opened for it.
pub(crate) fn held(model: &Model, batch: &Batch) -> Result<ProbeReport, InferError> {
    let package = model.package();
    let found = last(model, batch)?;
    compare(package, model.record(), &found.values, batch.output(package)?)
}

/// What the last graph gives for a batch.
pub(crate) fn last(model: &Model, batch: &Batch) -> Result<Maps, InferError> {
    match &model.package().contract().head {
        Some(head) if head.task.compares() => model.compared(&batch.chips(BEFORE), &batch.chips(NOW)),
        Some(_) => model.logits(&batch.chips(NOW)),
        None => model.features(&batch.chips(NOW)),
    }
}

/// Holds what a model gave against what it must give.
pub(crate) fn compare(
    package: &Package,
    record: &Record,
    found: &[f32],
    expected: &[f32],
) -> Result<ProbeReport, InferError> {
    let contract = package.contract();
    if found.len() != expected.len() {
        let message = format!("output has {} values, the model gives {}", expected.len(), found.len());
        return Err(InferError::ProbeFile { path: package.probe(), message });
    }
    let mut largest = 0.0_f64;
    let mut worst: Option<(f64, usize)> = None;
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        let over = difference - allowed(package, *b);
        // What is not a number is further off than any number.
        let over = if over.is_nan() { f64::INFINITY } else { over };
        if over > 0.0 && worst.is_none_or(|(most, _)| over > most) {
            worst = Some((over, index));
        }
        largest = largest.max(difference);
    }
    match worst {
        Some((_, index)) => Err(InferError::Probe {
            model: contract.name.clone(),
            device: record.device.clone(),
            runtime: record.runtime.clone(),
            index,
            found: found[index],
            expected: expected[index],
            difference: (f64::from(found[index]) - f64::from(expected[index])).abs(),
            allowed: allowed(package, expected[index]),
        }),
        None => Ok(ProbeReport {
            model: contract.name.clone(),
            runtime: record.runtime.clone(),
            device: record.device.clone(),
            values: found.len(),
            largest,
        }),
    }
}

/// `absolute + relative·|b|` of the contract.
fn allowed(package: &Package, expected: f32) -> f64 {
    let probe = &package.contract().probe;
    probe.absolute + probe.relative * f64::from(expected.abs())
}

/// Name of the marker: it changes with the package (its contract holds the checksums), with its files, the
/// library, the device and the optimisation level.
fn key(package: &Package, runtime: &Runtime, device: Device) -> String {
    let contract = package.contract();
    let graphs = contract.graphs.values();
    let names = graphs.flat_map(|graph| [Some(&graph.path), graph.data.as_ref().map(|data| &data.path)]).flatten();
    let files = names.map(|name| package.folder().join(name)).chain([package.probe()]);
    let stamp = |path: PathBuf| {
        let about = fs::metadata(&path).ok();
        let changed = about.as_ref().and_then(|about| about.modified().ok());
        format!("{path:?} {:?} {changed:?}", about.map(|about| about.len()))
    };
    let files: Vec<String> = files.map(stamp).collect();
    let info = &runtime.info;
    let text = format!("{contract:?} {files:?} {} {} {device} {OPTIMISATION}", info.version, info.build);
    sha256_bytes(text.as_bytes())
}

fn remember(marker: &Path, report: &ProbeReport) -> std::io::Result<()> {
    if let Some(folder) = marker.parent() {
        fs::create_dir_all(folder)?;
    }
    let temporary = marker.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, serde_json::to_vec(report)?)?;
    fs::rename(temporary, marker)
}

/// A stored batch, read.
pub(crate) struct Batch {
    /// Of the time that is looked at, and of an earlier one where the model compares two.
    series: [BTreeMap<Modality, Stack>; 2],
    output: Option<Vec<f32>>,
    regions: Option<Vec<i64>>,
    chips: usize,
}

/// One modality of the batch.
struct Stack {
    pixels: Values,
    datetimes: Vec<i64>,
    time: usize,
}

enum Values {
    U8(Vec<u8>),
    I16(Vec<i16>),
    F32(Vec<f32>),
}

impl Batch {
    /// Reads a file laid out as the package's probe; the output may be lacking.
    pub(crate) fn read(package: &Package, path: &Path) -> Result<Self, InferError> {
        let fault = |message: String| InferError::ProbeFile { path: path.to_path_buf(), message };
        let bytes = fs::read(path).map_err(|error| fault(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| fault(error.to_string()))?;
        let contract = package.contract();
        let mut chips = None;
        let now = series(contract, &file, "", &mut chips).map_err(fault)?;
        let before = series(contract, &file, "before.", &mut chips).map_err(fault)?;
        let output = file.tensor("output").ok();
        if let Some(output) = output.as_ref().filter(|output| output.dtype() != Stored::F32) {
            return Err(fault(format!("output is {:?}, expected F32", output.dtype())));
        }
        let chips = chips.ok_or_else(|| fault("it holds no modality of the model".into()))?;
        let regions = file.tensor("region").ok().map(|regions| integers(regions.data()));
        if regions.as_ref().is_some_and(|regions| regions.len() != chips) {
            return Err(fault(format!("region must have one value for each of {chips} chips")));
        }
        let output = output.map(|output| numbers(output.data()));
        Ok(Self { series: [now, before], output, regions, chips })
    }

    /// What the float model gives for the batch.
    pub(crate) fn output(&self, package: &Package) -> Result<&[f32], InferError> {
        let lacks = || InferError::ProbeFile { path: package.probe(), message: "it holds no tensor output".into() };
        self.output.as_deref().ok_or_else(lacks)
    }

    /// How a model is opened to run this batch: with all bands, its sequence as long as the batch's.
    pub(crate) fn options(&self, options: &Options) -> Options {
        let mut dates = BTreeMap::new();
        for (modality, series) in self.series.iter().flatten() {
            let most = dates.entry(*modality).or_insert(0);
            *most = series.time.max(*most);
        }
        Options { binding: None, encoder: None, dates, ..options.clone() }
    }

    /// How many chips it has.
    pub(crate) fn count(&self) -> usize {
        self.chips
    }

    /// The chips of the batch at a time.
    pub(crate) fn chips(&self, time: usize) -> Vec<ChipInput<'_>> {
        let chip = |index: usize| {
            let mut chip = ChipInput { region: self.regions.as_ref().map(|r| r[index]), ..ChipInput::default() };
            for (modality, stack) in &self.series[time] {
                let series = stack.of(index, self.chips);
                match modality {
                    Modality::Hr => chip.hr = Some(series),
                    Modality::S2 => chip.s2 = Some(series),
                    Modality::S1 => chip.s1 = Some(series),
                }
            }
            chip
        };
        (0..self.chips).map(chip).collect()
    }
}

/// The acquisitions of one time; `chips` is their number, which all must agree on.
fn series(
    contract: &Contract,
    file: &SafeTensors<'_>,
    prefix: &str,
    chips: &mut Option<usize>,
) -> Result<BTreeMap<Modality, Stack>, String> {
    let mut found = BTreeMap::new();
    for (modality, input) in &contract.modalities {
        let Ok(tensor) = file.tensor(&format!("{prefix}{modality}")) else { continue };
        let side = contract.chip_size * input.scale;
        let &[batch, time, band, height, width] = tensor.shape() else {
            return Err(format!("{prefix}{modality} is {:?}, expected five axes", tensor.shape()));
        };
        if (band, height, width) != (input.bands.len(), side, side) || *chips.get_or_insert(batch) != batch {
            return Err(format!("{prefix}{modality} is {:?}", tensor.shape()));
        }
        let pixels = match (input.dtype, tensor.dtype()) {
            (Dtype::U8, Stored::U8) => Values::U8(tensor.data().to_vec()),
            (Dtype::I16, Stored::I16) => Values::I16(numbers(tensor.data())),
            (Dtype::F32, Stored::F32) => Values::F32(numbers(tensor.data())),
            (expected, found) => return Err(format!("{prefix}{modality} is {found:?}, expected {expected:?}")),
        };
        let days = match file.tensor(&format!("{prefix}{modality}.day")) {
            Ok(days) => integers(days.data()),
            Err(_) => vec![0; batch * time],
        };
        if days.len() != batch * time {
            return Err(format!("{prefix}{modality}.day has {} values for {batch} × {time} dates", days.len()));
        }
        // 1970 is no leap year, so its days are the rows of the calendar encoding.
        let datetimes = days.iter().map(|day| day.clamp(&0, &364) * 86_400_000).collect();
        found.insert(*modality, Stack { pixels, datetimes, time });
    }
    Ok(found)
}

impl Stack {
    fn of(&self, chip: usize, chips: usize) -> Series<'_> {
        fn part<T>(values: &[T], chip: usize, chips: usize) -> &[T] {
            let length = values.len() / chips;
            &values[chip * length..(chip + 1) * length]
        }
        let pixels = match &self.pixels {
            Values::U8(values) => Pixels::U8(part(values, chip, chips)),
            Values::I16(values) => Pixels::I16(part(values, chip, chips)),
            Values::F32(values) => Pixels::F32(part(values, chip, chips)),
        };
        Series { pixels, valid: None, datetimes: part(&self.datetimes, chip, chips) }
    }
}

fn numbers<T: Pixel>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(T::from_le).collect()
}

fn integers(bytes: &[u8]) -> Vec<i64> {
    bytes
        .chunks_exact(8)
        .map(|piece| i64::from_le_bytes(piece.try_into().expect("chunks_exact cuts pieces of eight")))
        .collect()
}
