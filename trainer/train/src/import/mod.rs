//! The published weights as a package.
//!
//! Files are opened, the model's sizes are told from their shapes, and what lacks is said before anything is written.
//! Then one module after the other is made, filled, exported as a graph and dropped, and the weights go from file to
//! file: memory holds one module and what is computed with it, never the model.

mod bands;
mod config;
mod inputs;
mod modules;
mod probe;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use skysense_contract::{
    CONTRACT_VERSION, Calendar, Contract, GeoContext, MlmContext, Modality, Package, PackageWriter,
    Probe as ContractProbe,
};
use skysense_model::checkpoint::{Import, ImportReport, Missing, ShapeSettings, Values, WEIGHTS_STEM, write_weights};
use skysense_model::{Calendar as ModelCalendar, ModelError, SkySenseConfig};

use crate::TrainError;
use crate::alone::{AloneSizes, encoder_channels};
use crate::graphs::Graphs;
use crate::normalise::NIR;
use crate::setup::check_licence;
pub use config::{ImportConfig, ImportFiles, Regions};
pub(crate) use inputs::check_grid;
use modules::Modules;

/// A package that was made, and what was found in the files.
#[derive(Debug)]
pub struct Imported {
    /// The package.
    pub package: Package,
    /// What was found.
    pub report: ImportReport,
}

/// Makes a package at `folder`, which must not exist, of weights in files. The same files and settings give the same
/// bytes.
///
/// # Errors
/// [`TrainError::Weights`] for a file that cannot be used, [`TrainError::Incomplete`] when weights lack that may not
/// lack and `allow_missing` is not set, [`TrainError::Contract`] when the folder exists or cannot be written.
pub fn import(config: &ImportConfig, folder: &Path) -> Result<Imported, TrainError> {
    check_licence(&config.licence)?;
    // What may lack is made: a fusion too, where the files have none.
    let shapes = ShapeSettings { untrained_fusion: config.allow_missing, ..config.shapes.clone() };
    let mut opened =
        Import::open(&config.files.listed(), config.variant.as_deref(), &shapes).map_err(TrainError::from)?;
    if !config.allow_missing && !opened.report.complete() {
        return Err(incomplete(&opened.report));
    }
    let bands = bands::convert(&mut opened, &config.bands)?;
    let Import { config: model, alone, preset, tensors, report } = opened;
    // Without a fusion nothing brings several dates together.
    let dates = if alone.is_empty() { config.dates } else { [1, 1] };
    let inputs = inputs::inputs(&bands.names, config, dates)?;
    if let Some(hr) = &model.hr {
        hr.check_size([32 * config.chip_size; 2])?;
    }
    // The fusion reads all modalities position by position, so all must come out on the grid of the chip.
    check_grid(&model, config.chip_size)?;
    let geo_context = geo_context(&model, config.regions.as_ref())?;
    let mut writer = PackageWriter::new(folder)?;
    let mut modules = Modules::new(&tensors, config.seed);
    let mut graphs = Graphs { writer: &mut writer, inside: config.graph_limit, chip_size: config.chip_size };
    let probe = probe::run((&model, &alone), &inputs, &mut modules, &mut graphs)?;
    let fresh = modules.into_fresh();
    let named = tensors.iter().map(|(name, stored)| (name.clone(), stored.shape().to_vec(), Values::Stored(stored)));
    let drawn = fresh.iter().map(|(name, (shape, values))| (name.clone(), shape.clone(), Values::Floats(values)));
    let mut all: Vec<_> = named.chain(drawn).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let parameters: u64 = report.modules.iter().map(|module| module.parameters).sum();
    let files = write_weights(writer.folder(), WEIGHTS_STEM, &all, config.shard_limit).map_err(ModelError::from)?;
    writer.weights_written(&files)?;
    writer.probe(&probe.bytes, probe.absolute, probe.relative)?;
    let name = folder.file_name().map_or_else(|| "skysense".into(), |name| name.to_string_lossy().into_owned());
    let contract = Contract {
        contract: CONTRACT_VERSION,
        name: config.name.clone().unwrap_or(name),
        preset: preset.unwrap_or("custom").into(),
        modalities: inputs,
        chip_size: config.chip_size,
        // As for trained models.
        margin: config.chip_size / 8,
        channels: model.channels(),
        calendar: match model.fusion.calendar {
            ModelCalendar::None => Calendar::None,
            ModelCalendar::S2Only => Calendar::S2Only,
            ModelCalendar::All => Calendar::All,
        },
        encoders: encoder_channels(&model, &alone),
        geo_context,
        head: None,
        graphs: BTreeMap::new(),
        probe: ContractProbe { path: String::new(), sha256: String::new(), absolute: 0.0, relative: 0.0 },
        licence: config.licence.clone(),
        weights_sha256: String::new(),
        weights_shards: Vec::new(),
        architecture: Some(match alone.is_empty() {
            false => AloneSizes::new(&alone, &model).stated()?,
            true => serde_json::to_value(&model).map_err(|error| TrainError::Model(error.to_string()))?,
        }),
        notes: notes(&report, &bands),
    };
    let package = writer.finish(contract, &MlmContext { parameters: Some(parameters), ..MlmContext::default() })?;
    Ok(Imported { package, report })
}

/// The prototypes of the files, and the regions that these are said to be of.
fn geo_context(model: &SkySenseConfig, regions: Option<&Regions>) -> Result<Option<GeoContext>, TrainError> {
    let setting = |value: String, expected: String| TrainError::Setting { setting: "regions", value, expected };
    match (&model.geo_context, regions) {
        (None, None) => Ok(None),
        (None, Some(regions)) => {
            Err(setting(regions.division.to_string(), "nothing, for the files hold no prototypes".into()))
        }
        (Some(sizes), None) => {
            let expected = format!("the division whose {} regions the prototypes are of", sizes.regions);
            Err(setting("lacking".into(), expected))
        }
        (Some(sizes), Some(Regions { division, cells })) => {
            let (division, cells) = (*division, cells.clone());
            let context = GeoContext { division, cells, prototypes: sizes.prototypes, width: sizes.width };
            if context.regions() != sizes.regions {
                let value = format!("{division} with {} regions", context.regions());
                return Err(setting(value, format!("{}, as many as the file has prototypes of", sizes.regions)));
            }
            Ok(Some(context))
        }
    }
}

/// Where the weights are from; no path of this machine goes into a package.
fn notes(report: &ImportReport, bands: &bands::Bands) -> BTreeMap<String, serde_json::Value> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let files: Vec<_> = report
        .files
        .iter()
        .map(|file| json!({"part": file.part, "file": name(&file.path), "containers": file.found.containers}))
        .collect();
    let untrained: Vec<_> = report.missing.iter().filter(|missing| !missing.allowed).map(|m| &m.name).collect();
    let skipped: Vec<_> = report.mismatched.iter().map(|mismatched| &mismatched.name).collect();
    let plain: Vec<_> = report.missing.iter().filter(|missing| missing.allowed).map(|m| &m.name).collect();
    let near_infrared = bands.names.get(&Modality::Hr).is_some_and(|names| names.iter().any(|name| name == NIR));
    let normalisation = match near_infrared {
        true => "constants of the official code; nir, of which there are none, has those of red",
        false => "constants of the official code",
    };
    let mut notes = BTreeMap::from([
        ("imported_from".into(), json!(files)),
        ("choices".into(), json!(report.choices)),
        ("untrained".into(), json!([untrained, skipped].concat())),
        ("identity".into(), json!(plain)),
        ("normalisation".into(), json!(normalisation)),
    ]);
    if !bands.conversions.is_empty() {
        let _new = notes.insert("conversions".into(), json!(bands.conversions));
    }
    notes
}

/// The error of files that lack weights: modules that lack wholly by name, else parameter by parameter.
fn incomplete(report: &ImportReport) -> TrainError {
    const SHOWN: usize = 8;
    let mut lines = Vec::new();
    let absent: Vec<&str> =
        report.modules.iter().filter(|module| module.loaded == 0).map(|module| module.module).collect();
    if !absent.is_empty() {
        lines.push(format!("no weights of {}", absent.join(", ")));
    }
    let of_absent = |missing: &&Missing| {
        !absent.iter().any(|module| missing.name == *module || missing.name.starts_with(&format!("{module}.")))
    };
    let missing: Vec<_> = report.missing.iter().filter(|missing| !missing.allowed).filter(of_absent).collect();
    lines.extend(missing.iter().take(SHOWN).map(|m| format!("missing {} of shape {:?}", m.name, m.shape)));
    if missing.len() > SHOWN {
        lines.push(format!("and {} more missing", missing.len() - SHOWN));
    }
    lines.extend(
        report.mismatched.iter().take(SHOWN).map(|m| {
            format!("{}, key {}: found shape {:?}, expected {:?}", m.file.display(), m.key, m.found, m.expected)
        }),
    );
    if report.mismatched.len() > SHOWN {
        lines.push(format!("and {} more of another shape", report.mismatched.len() - SHOWN));
    }
    if !report.unexpected.is_empty() {
        let names: Vec<&str> = report.unexpected.iter().take(SHOWN).map(|u| u.key.as_str()).collect();
        lines.push(format!("{} keys that nothing knows, such as {}", report.unexpected.len(), names.join(", ")));
    }
    TrainError::Incomplete {
        found: lines.join("; "),
        hint: "name the files that lack, or go on with --allow-missing: what lacks then starts untrained, and what does not fit is skipped",
    }
}
