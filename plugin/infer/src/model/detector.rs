//! A detector: two graphs with the arithmetic of boxes between and behind them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ort::value::TensorElementType;
use safetensors::SafeTensors;
use skysense_contract::{Detector as Stages, Dtype, Modality, Module, Package};
use skysense_detect::{Found, LevelMaps, Region, RotatedBox, anchors, detections, level_of, places, pool, proposals};

use super::Record;
use super::graphs::{encoder, tensor};
use super::record::{inputs, record};
use crate::prepare::Shape;
use crate::session::{Build, Graph, choose};
use crate::{ChipInput, Device, InferError, Options, Pixel, ProbeReport, probe, runtime};

/// A loaded detector. Shared between threads; calls take turns.
///
/// Chips go through one by one, so what is found in a chip has the same bits whatever comes before it.
pub struct Detector {
    package: Package,
    stages: Stages,
    dense: Mutex<Graph>,
    head: Mutex<Graph>,
    /// Of each level.
    anchors: Vec<Vec<RotatedBox>>,
    modality: Modality,
    bands: Vec<Option<usize>>,
    side: usize,
    classes: usize,
    record: Record,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").field("package", &self.package.folder()).field("record", &self.record).finish()
    }
}

/// What the dense graph gives for a chip, level by level.
struct Maps {
    objectness: Vec<Vec<f32>>,
    codes: Vec<Vec<f32>>,
    features: Vec<Vec<f32>>,
}

impl Detector {
    /// Opens a package on a device, and holds its probe against it once per package, runtime and device.
    ///
    /// # Errors
    /// As [`crate::Model::load`], and a package that is no detector.
    pub fn load(package: Package, options: Options) -> Result<Self, InferError> {
        let runtime = runtime::runtime(options.library.as_deref())?;
        let device = choose(options.device, &runtime)?;
        probe::hold(&package, &runtime, device, &options)?;
        Self::build(package, &runtime, device, &options)
    }

    pub(crate) fn build(
        package: Package,
        runtime: &runtime::Runtime,
        device: Device,
        options: &Options,
    ) -> Result<Self, InferError> {
        let contract = package.contract();
        let lacks = |what: &str| skysense_contract::ContractError::Lacks {
            model: contract.name.clone(),
            what: format!("{what}; train one with a detection task"),
        };
        let head = contract.head.as_ref().ok_or_else(|| lacks("head"))?;
        let stages = head.detector.clone().ok_or_else(|| lacks("detector"))?;
        // With two threads products over the smallest maps are cut otherwise than with one, and differ in their last bits.
        let build = Build { runtime, device, threads: 1 };
        let mut bound = inputs(contract, options);
        let (modality, bands) = bound.pop_first().ok_or_else(|| lacks("image"))?;
        let input = &contract.modalities[&modality];
        let side = contract.chip_size * input.scale;
        let dense = encoder(&package, &build, modality, &bands)?;
        let regions = build.graph(Module::Head, package.graph(Module::Head)?, None)?;
        let pool = Some(stages.pool);
        regions.check_input("pooled", TensorElementType::Float32, &[None, Some(contract.channels), pool, pool])?;
        let anchors = stages.strides.iter().map(|stride| anchors(&stages, *stride, [side; 2])).collect();
        let dates = BTreeMap::from([(modality, 1)]);
        let record = record(contract, runtime, device, &BTreeMap::from([(modality, bands.clone())]), &dates);
        let classes = head.classes.len();
        let (dense, head) = (Mutex::new(dense), Mutex::new(regions));
        Ok(Self { package, stages, dense, head, anchors, modality, bands, side, classes, record })
    }

    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// What results are made with.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How its stages are put together.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Side of a chip in pixels of the image.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Objects of each chip in pixels of its image, by falling score; none of a chip without a valid pixel.
    ///
    /// # Errors
    /// A chip that does not fit, a graph that fails.
    pub fn detect(&self, chips: &[ChipInput<'_>]) -> Result<Vec<Vec<Found>>, InferError> {
        chips.iter().enumerate().map(|(index, chip)| self.detect_in(index, chip)).collect()
    }

    fn detect_in(&self, index: usize, chip: &ChipInput<'_>) -> Result<Vec<Found>, InferError> {
        let Some(maps) = self.dense(index, chip)? else { return Ok(Vec::new()) };
        let levels: Vec<LevelMaps<'_>> = self
            .anchors
            .iter()
            .enumerate()
            .map(|(level, anchors)| LevelMaps {
                anchors,
                objectness: &maps.objectness[level],
                codes: &maps.codes[level],
            })
            .collect();
        let image = [self.side as f32; 2];
        let found = proposals(&self.stages, &levels, image).map_err(|error| self.failed(&error))?;
        let areas: Vec<RotatedBox> = found.into_iter().map(|(area, _)| area).collect();
        let (logits, codes) = self.judge(&maps, &areas)?;
        detections(&self.stages, &areas, (&logits, &codes), image).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> InferError {
        InferError::Run { module: Module::Head, message: error.to_string() }
    }

    /// The dense part of a chip, `None` where it has no valid pixel.
    fn dense(&self, index: usize, chip: &ChipInput<'_>) -> Result<Option<Maps>, InferError> {
        let Some(series) = chip.series(self.modality) else { return Ok(None) };
        let contract = self.package.contract();
        let input = &contract.modalities[&self.modality];
        let shape = Shape { modality: self.modality, input, bands: &self.bands, size: contract.chip_size, dates: 1 };
        match input.dtype {
            Dtype::U8 => self.run_dense(&shape.prepare::<u8>(series, index)?.pixels),
            Dtype::I16 => self.run_dense(&shape.prepare::<i16>(series, index)?.pixels),
            Dtype::F32 => self.run_dense(&shape.prepare::<f32>(series, index)?.pixels),
        }
    }

    fn run_dense<T: Pixel>(&self, pixels: &[T]) -> Result<Option<Maps>, InferError> {
        if pixels.is_empty() {
            return Ok(None);
        }
        let module = Module::from(self.modality);
        let pixels = tensor(module, vec![1, self.bands.len(), self.side, self.side], pixels)?;
        let mut graph = self.dense.lock().unwrap_or_else(PoisonError::into_inner);
        let mut given = graph.run_all(vec![("pixels", pixels)])?;
        let mut maps = Maps { objectness: Vec::new(), codes: Vec::new(), features: Vec::new() };
        let ratios = self.stages.anchor_ratios.len();
        for (level, anchors) in self.anchors.iter().enumerate() {
            let mut take = |name: &str, length: usize| match given.remove(&format!("{name}.{level}")) {
                Some(values) if values.len() == length => Ok(values),
                found => {
                    let found = found.map(|values| values.len());
                    Err(graph.fault(format!("output {name}.{level} has {found:?} values, expected {length}")))
                }
            };
            maps.objectness.push(take("objectness", anchors.len())?);
            maps.codes.push(take("codes", anchors.len() * self.stages.proposal_codes())?);
            if level < self.stages.pooled {
                let channels = self.package.contract().channels;
                maps.features.push(take("features", anchors.len() / ratios * channels)?);
            }
        }
        Ok(Some(maps))
    }

    /// Logits and codes of regions, in their order.
    fn judge(&self, maps: &Maps, areas: &[RotatedBox]) -> Result<(Vec<f32>, Vec<f32>), InferError> {
        if areas.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let (channels, bins) = (self.package.contract().channels, self.stages.pool);
        let length = channels * bins * bins;
        let mut pooled = vec![0.0; areas.len() * length];
        for (level, features) in maps.features.iter().enumerate() {
            let own: Vec<usize> =
                (0..areas.len()).filter(|at| level_of(&areas[*at], self.stages.pooled) == level).collect();
            let regions: Vec<Region> = own.iter().map(|at| Region { image: 0, area: areas[*at] }).collect();
            let stride = self.stages.strides[level];
            let side = self.side.div_ceil(stride);
            let places = places(&regions, stride, [side; 2], (bins, self.stages.samples));
            let found = pool(features, channels, side * side, &places, bins);
            for (at, values) in own.iter().zip(found.chunks_exact(length)) {
                pooled[at * length..(at + 1) * length].copy_from_slice(values);
            }
        }
        let pooled = tensor(Module::Head, vec![areas.len(), channels, bins, bins], &pooled)?;
        let mut graph = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut given = graph.run_all(vec![("pooled", pooled)])?;
        let mut take = |name: &str, width: usize| match given.remove(name) {
            Some(values) if values.len() == areas.len() * width => Ok(values),
            _ => Err(graph.fault(format!("output {name} has not {width} values for each region"))),
        };
        Ok((take("logits", self.classes + 1)?, take("codes", self.stages.deviations().len())?))
    }

    /// What the graphs give for the package's probe, in the order of its output: of each level objectness, codes and
    /// features, then logits and codes of the probe's regions.
    pub(crate) fn probed(&self, chip: &ChipInput<'_>) -> Result<Vec<f32>, InferError> {
        let path = self.package.probe();
        let fault = |message: String| InferError::ProbeFile { path: path.clone(), message };
        let bytes = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| fault(error.to_string()))?;
        let regions = file.tensor("regions").map_err(|error| fault(error.to_string()))?;
        let numbers: Vec<f32> = regions.data().chunks_exact(4).map(f32::from_le).collect();
        let area = |values: &[f32]| RotatedBox {
            centre: [values[0], values[1]],
            size: [values[2], values[3]],
            angle: values[4],
        };
        let areas: Vec<RotatedBox> = numbers.chunks_exact(5).map(area).collect();
        let maps = self.dense(0, chip)?.ok_or_else(|| fault("its chip has no valid pixel".into()))?;
        let (logits, codes) = self.judge(&maps, &areas)?;
        let mut output = Vec::new();
        for level in 0..self.anchors.len() {
            output.extend_from_slice(&maps.objectness[level]);
            output.extend_from_slice(&maps.codes[level]);
            maps.features.get(level).into_iter().for_each(|features| output.extend_from_slice(features));
        }
        output.extend(logits.into_iter().chain(codes));
        Ok(output)
    }
}

/// Whether a package is one of a detector.
pub(crate) fn is_detector(package: &Package) -> bool {
    package.contract().head.as_ref().is_some_and(|head| head.detector.is_some())
}

/// Runs the probe of a detector.
pub(crate) fn probe_detector(
    package: &Package,
    runtime: &runtime::Runtime,
    device: Device,
    options: &Options,
) -> Result<ProbeReport, InferError> {
    let batch = probe::Batch::read(package, &package.probe())?;
    let detector = Detector::build(package.clone(), runtime, device, &batch.options(options))?;
    let chips = batch.chips(0);
    let lacking = || InferError::ProbeFile { path: package.probe(), message: "it has no chip".into() };
    let found = detector.probed(chips.first().ok_or_else(lacking)?)?;
    probe::compare(package, detector.record(), &found, batch.output(package)?)
}
