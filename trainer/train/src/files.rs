//! Graphs and weights of a package for other software: what `skysense model export` writes.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use skysense_contract::{ContractError, Modality, Module, Package, PackageWriter};
use skysense_model::checkpoint::{Stored, Values, WeightFile, load_stored, write_weights};
use skysense_model::{ModelError, export_head};

use crate::TrainError;
use crate::alone::AloneSizes;
use crate::encoder::EncoderConfig;
use crate::graphs::{Graphs, INSIDE, SHARD};
use crate::import::check_grid;
use crate::network::HEAD;
use crate::tensors::{holds_checkpoint, lacks_weights};

/// Files of weights as they are published: the module of a whole checkpoint, the stem of its file, and the modules of a
/// package that it belongs to. The calendar table goes with the fusion.
const FILES: &[(&str, &str, Module)] = &[
    ("backbone_hr", "skysense_model_backbone_hr", Module::Hr),
    ("pyramid", "pyramid", Module::Hr),
    ("backbone_s2", "skysense_model_backbone_s2", Module::S2),
    ("head_s2", "skysense_model_head_s2", Module::S2),
    ("backbone_s1", "skysense_model_backbone_s1", Module::S1),
    ("head_s1", "skysense_model_head_s1", Module::S1),
    ("fusion", "skysense_model_fusion", Module::Fusion),
    ("geo_context", GEO_CONTEXT, Module::GeoContext),
    (HEAD, "segmentation_head", Module::Head),
];
/// Stem of the files of the prototypes: their weights, under keys of ours, and which regions they are of.
const GEO_CONTEXT: &str = "geo_context";
/// The calendar table of a whole checkpoint.
const CALENDAR: &str = "ctpe";

/// What is asked of an export.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FilesConfig {
    /// Modules; all of the package where there are none.
    pub modules: Vec<Module>,
    /// Side of a chip in pixels of the 10 m grid; that of the package where it is `None`.
    pub chip_size: Option<usize>,
    /// Weights alone, no graphs.
    pub weights_only: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Side of a chip of the graphs.
    pub chip_size: usize,
    /// Files of each module's graph.
    pub graphs: BTreeMap<Module, Vec<String>>,
    /// Files of weights with the number of tensors in them, by the name of the module in checkpoints.
    pub weights: BTreeMap<String, WrittenWeights>,
    /// File that says which regions the prototypes are of, for [`crate::ImportConfig::regions`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<String>,
}

/// Files of one module's weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenWeights {
    /// One file, or shards with their list at the end.
    pub files: Vec<String>,
    /// Tensors in them.
    pub tensors: usize,
}

/// Writes ONNX graphs and weights of modules into `folder`, which must not exist. Weights carry the keys of the published
/// files, so that the official code and [`crate::import()`] take them back. Modules are made one at a time.
///
/// # Errors
/// A module that the package lacks, a chip size that the model cannot have, a package that does not hold its whole
/// checkpoint, files that cannot be read or written.
pub fn export_files(package: &Package, config: &FilesConfig, folder: &Path) -> Result<Written, TrainError> {
    package.verify()?;
    let contract = package.contract();
    if contract.head.as_ref().is_some_and(|head| head.detector.is_some()) {
        let expected =
            "a model of maps: the graphs of a detector are for the chip size that they were trained on".into();
        return Err(TrainError::Setting { setting: "model", value: format!("{:?}", contract.name), expected });
    }
    let modules = chosen(package, &config.modules)?;
    if !holds_checkpoint(contract) {
        return Err(lacks_weights(package));
    }
    let alone = AloneSizes::of(contract)?;
    let of_alone = alone.as_ref().map(|alone| EncoderConfig::Fused(alone.sizes()));
    let encoder = of_alone.map_or_else(|| EncoderConfig::of_package(package), Ok)?;
    let chip_size = config.chip_size.unwrap_or(contract.chip_size);
    if !(1..=1024).contains(&chip_size) {
        let value = chip_size.to_string();
        return Err(TrainError::Setting { setting: "chip_size", value, expected: "1 to 1024".into() });
    }
    match &encoder {
        EncoderConfig::Pixels(config) => config.hr.check_size([chip_size; 2])?,
        EncoderConfig::Fused(sizes) => {
            if let Some(hr) = sizes.hr.as_ref().filter(|_| modules.contains(&Module::Hr)) {
                hr.check_size([32 * chip_size; 2])?;
            }
            check_grid(sizes, chip_size)?;
        }
    }
    let file = WeightFile::open(&package.weights(), None).map_err(ModelError::from)?;
    let tensors: BTreeMap<String, Stored> =
        file.tensors().map(|(name, stored)| (name.to_owned(), stored.clone())).collect();
    let mut writer = PackageWriter::new(folder)?;
    let mut written = Written { chip_size, graphs: BTreeMap::new(), weights: BTreeMap::new(), regions: None };
    for (prefix, stem, _) in FILES.iter().filter(|(_, _, module)| modules.contains(module)) {
        let own = format!("{prefix}.");
        let mut named: Vec<(String, Vec<usize>, Values<'_>)> = tensors
            .iter()
            .filter_map(|(name, stored)| {
                let bare = match *prefix {
                    "fusion" if name == CALENDAR => name.as_str(),
                    _ => name.strip_prefix(&own)?,
                };
                Some((bare.to_owned(), stored.shape().to_vec(), Values::Stored(stored)))
            })
            .collect();
        if named.is_empty() {
            // An up head that an encoder alone does not have.
            continue;
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let files = write_weights(writer.folder(), stem, &named, SHARD)?;
        let about = WrittenWeights { files, tensors: named.len() };
        let _new = written.weights.insert((*prefix).to_owned(), about);
    }
    if let Some(context) = contract.geo_context.as_ref().filter(|_| modules.contains(&Module::GeoContext)) {
        let name = format!("{GEO_CONTEXT}.json");
        let text = serde_json::to_string(context).map_err(|error| TrainError::Model(error.to_string()))?;
        let path = writer.folder().join(&name);
        std::fs::write(&path, text).map_err(|source| ContractError::Write { path, source })?;
        written.regions = Some(name);
    }
    if !config.weights_only {
        for module in &modules {
            let raised = |modality| alone.as_ref().is_none_or(|alone| alone.raised(modality));
            graph(package, (&encoder, &raised), &tensors, (*module, chip_size), &mut writer)?;
            let data = PackageWriter::data_name(*module);
            let beside = writer.folder().join(&data).exists();
            let files = std::iter::once(format!("{module}.onnx")).chain(beside.then_some(data));
            let _new = written.graphs.insert(*module, files.collect());
        }
    }
    writer.finish_files()?;
    Ok(written)
}

/// The modules that were asked for, each once, in the order of the package.
fn chosen(package: &Package, asked: &[Module]) -> Result<Vec<Module>, TrainError> {
    let known: Vec<Module> = package.contract().graphs.keys().copied().collect();
    if let Some(module) = asked.iter().find(|module| !known.contains(module)) {
        let names: Vec<&str> = known.iter().map(|module| module.name()).collect();
        let expected = format!("modules of the package: {}", names.join(", "));
        return Err(TrainError::Setting { setting: "modules", value: module.name().into(), expected });
    }
    Ok(known.into_iter().filter(|module| asked.is_empty() || asked.contains(module)).collect())
}

/// Makes a module of its weights, and writes its graph.
fn graph(
    package: &Package,
    (encoder, raised): (&EncoderConfig, &dyn Fn(Modality) -> bool),
    tensors: &BTreeMap<String, Stored>,
    (module, chip_size): (Module, usize),
    writer: &mut PackageWriter,
) -> Result<(), TrainError> {
    let contract = package.contract();
    let device = Device::flex();
    let mut graphs = Graphs { writer, inside: INSIDE, chip_size };
    if module == Module::Head {
        let Some(record) = &contract.head else { return Ok(()) };
        let head = filled(encoder.head(record).init(&device), HEAD, tensors)?;
        let channels = if record.task.compares() { 2 * encoder.channels() } else { encoder.channels() };
        let graph = export_head(&head, channels, [chip_size; 2]);
        return Ok(graphs.writer.graph(module, &graph, None)?);
    }
    let sizes = match encoder {
        EncoderConfig::Pixels(config) => {
            let encoder = filled(config.init(&device)?, "", tensors)?;
            return graphs.pixels(&encoder, &contract.modalities[&Modality::Hr]);
        }
        EncoderConfig::Fused(sizes) => sizes,
    };
    match module {
        Module::Hr => {
            let Some(hr) = &sizes.hr else { return Ok(()) };
            let backbone = filled(hr.init(&device)?, "backbone_hr", tensors)?;
            graphs.hr(&backbone, &contract.modalities[&Modality::Hr])
        }
        Module::S2 | Module::S1 => {
            let (modality, series) = match module {
                Module::S2 => (Modality::S2, &sizes.s2),
                _ => (Modality::S1, &sizes.s1),
            };
            let Some((vit, up)) = series else { return Ok(()) };
            let backbone = filled(vit.init(&device), &format!("backbone_{modality}"), tensors)?;
            if !raised(modality) {
                return graphs.vit(modality, &backbone, &contract.modalities[&modality]);
            }
            let head = filled(up.init(&device), &format!("head_{modality}"), tensors)?;
            graphs.series(modality, &backbone, &head, &contract.modalities[&modality])
        }
        Module::Fusion => {
            let fusion = filled(sizes.fusion.init(&device), "fusion", tensors)?;
            graphs.fusion(&fusion)
        }
        Module::GeoContext | Module::Head => {
            let Some(context) = &sizes.geo_context else { return Ok(()) };
            let context = filled(context.init(&device), "geo_context", tensors)?;
            graphs.geo_context(&context)
        }
    }
}

/// A module with all its weights.
fn filled<M: burn::module::Module>(made: M, prefix: &str, tensors: &BTreeMap<String, Stored>) -> Result<M, TrainError> {
    let (made, mut report) = load_stored(made, prefix, tensors)?;
    report.unexpected.clear();
    report.strict()?;
    Ok(made.no_grad())
}
