//! `model.import`: a model package of published weights.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_contract::Modality;
use skysense_train::{
    EncodedCalendar, ImportConfig, ImportFiles, ImportReport, Imported, Interpolation, Regions, ShapeSettings, import,
};

use crate::errors;
use crate::settings::path;

/// What is asked. Files are `.pth` of torch.save or `.safetensors`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folder of the package to make; it must not exist.
    out: PathBuf,
    /// File of the high-resolution encoder.
    #[serde(default)]
    hr: Option<PathBuf>,
    /// File of the Sentinel-2 encoder.
    #[serde(default)]
    s2: Option<PathBuf>,
    /// File of the Sentinel-1 encoder.
    #[serde(default)]
    s1: Option<PathBuf>,
    /// File of the up head of Sentinel-2.
    #[serde(default)]
    head_s2: Option<PathBuf>,
    /// File of the up head of Sentinel-1.
    #[serde(default)]
    head_s1: Option<PathBuf>,
    /// File of the fusion.
    #[serde(default)]
    fusion: Option<PathBuf>,
    /// File of prototypes by region, with the keys `prototypes`, `query.weight` and `context.weight`, as `model.export`
    /// writes it.
    #[serde(default)]
    geo_context: Option<PathBuf>,
    /// Which regions the prototypes are of: `equal_area:CELLS`, `web_mercator:ZOOM`, or the file `geo_context.json` of an
    /// export.
    #[serde(default)]
    regions: Option<String>,
    /// File that holds all modules; files of single modules win over it.
    #[serde(default)]
    full: Option<PathBuf>,
    /// Version of the weights in files that hold several: `ema`, `teacher`, `student`, or the name of a container.
    #[serde(default)]
    variant: Option<String>,
    /// Goes on where weights lack or do not fit: what lacks starts untrained, what does not fit is skipped.
    #[serde(default)]
    allow_missing: bool,
    /// Name of the model; that of the folder if left out.
    #[serde(default)]
    name: Option<String>,
    /// Licence of the weights as an SPDX expression; `proprietary` if left out.
    #[serde(default)]
    licence: Option<String>,
    /// Side of a chip in pixels of the 10 m grid; 16 if left out.
    #[serde(default)]
    chip_size: Option<usize>,
    /// Bands of the high-resolution encoder, in order; `red`, `green`, `blue` if left out. Of the published weights,
    /// `nir` gets a copy of the inputs of red; a file of four bands keeps its own.
    #[serde(default)]
    hr_bands: Option<Vec<String>>,
    /// Bands of the Sentinel-2 encoder, in order; the ten published ones if left out. Fewer are taken out of the ten, and
    /// their weights multiplied by 10 and divided by their number, as the official code does for four.
    #[serde(default)]
    s2_bands: Option<Vec<String>>,
    /// Bands of the Sentinel-1 encoder, in order; `VV`, `VH` if left out.
    #[serde(default)]
    s1_bands: Option<Vec<String>>,
    /// Seed of what starts untrained.
    #[serde(default)]
    seed: u64,
    /// Heads of the series encoders and the fusion, where no preset tells.
    #[serde(default)]
    heads: Option<usize>,
    /// Heads of the Sentinel-2 encoder, where they are others than `heads`.
    #[serde(default)]
    s2_heads: Option<usize>,
    /// Heads of the Sentinel-1 encoder, where they are others than `heads`.
    #[serde(default)]
    s1_heads: Option<usize>,
    /// Heads of the fusion, where they are others than `heads`.
    #[serde(default)]
    fusion_heads: Option<usize>,
    /// Side of an attention window of the high-resolution encoder, where the file does not tell.
    #[serde(default)]
    window: Option<usize>,
    /// Windows of pre-training by stage, 0 where it is the same.
    #[serde(default)]
    pretrained_windows: Option<Vec<usize>>,
    /// Pads maps that are smaller than a window.
    #[serde(default)]
    pad_small_map: bool,
    /// The class token takes part in attention.
    #[serde(default)]
    class_token: Option<bool>,
    /// Rows and columns of the position table of the Sentinel-2 encoder, where it is no square.
    #[serde(default)]
    s2_positions: Option<[usize; 2]>,
    /// The same for Sentinel-1.
    #[serde(default)]
    s1_positions: Option<[usize; 2]>,
    /// How position tables are resized: `bicubic`, `bilinear` or `nearest`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    interpolation: Option<Interpolation>,
    /// Which tokens carry the calendar encoding: `none`, `s2_only` or `all`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    calendar: Option<EncodedCalendar>,
}

/// What was made.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// The package.
    model: PathBuf,
    name: String,
    preset: String,
    #[serde(flatten)]
    report: ImportReport,
}

/// The tool.
pub(crate) struct ModelImport;

impl Tool for ModelImport {
    const NAME: &'static str = "model.import";
    const SUMMARY: &'static str = "Makes a model package of published weights and tells what was found in the files";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = host.about().base;
        let out = path(&base, &arguments.out.display().to_string());
        let config = arguments.config(&base)?;
        let Imported { package, report } = import(&config, &out).map_err(|error| errors::train(&error))?;
        let contract = package.contract();
        Ok(Answer { model: out, name: contract.name.clone(), preset: contract.preset.clone(), report })
    }
}

impl Arguments {
    fn config(self, base: &Path) -> Result<ImportConfig, NodeError> {
        let regions = self.regions.as_deref().map(|regions| regions_of(base, regions)).transpose()?;
        let file = |file: Option<PathBuf>| file.map(|file| path(base, &file.display().to_string()));
        let default = ImportConfig::default();
        Ok(ImportConfig {
            files: ImportFiles {
                full: file(self.full),
                hr: file(self.hr),
                s2: file(self.s2),
                s1: file(self.s1),
                head_s2: file(self.head_s2),
                head_s1: file(self.head_s1),
                fusion: file(self.fusion),
                geo_context: file(self.geo_context),
            },
            regions,
            variant: self.variant,
            shapes: ShapeSettings {
                heads: self.heads,
                s2_heads: self.s2_heads,
                s1_heads: self.s1_heads,
                fusion_heads: self.fusion_heads,
                window: self.window,
                pretrained_windows: self.pretrained_windows,
                class_token: self.class_token,
                s2_positions: self.s2_positions,
                s1_positions: self.s1_positions,
                interpolation: self.interpolation,
                calendar: self.calendar,
                pad_small_map: self.pad_small_map,
                untrained_fusion: self.allow_missing,
            },
            bands: [(Modality::Hr, self.hr_bands), (Modality::S2, self.s2_bands), (Modality::S1, self.s1_bands)]
                .into_iter()
                .filter_map(|(modality, bands)| Some((modality, bands?)))
                .collect(),
            allow_missing: self.allow_missing,
            seed: self.seed,
            name: self.name,
            licence: self.licence.unwrap_or(default.licence),
            chip_size: self.chip_size.unwrap_or(default.chip_size),
            ..default
        })
    }
}

/// A division by its name, or the regions that a file names.
fn regions_of(base: &Path, text: &str) -> Result<Regions, NodeError> {
    let fault = |message: String| {
        let hint = "write equal_area:4096, web_mercator:9, or the file geo_context.json that model export wrote";
        NodeError::new("settings.invalid", format!("regions {text:?}: {message}")).hint(hint)
    };
    let file = path(base, text);
    if !file.is_file() {
        return Ok(Regions { division: text.parse().map_err(fault)?, cells: Vec::new() });
    }
    let read = std::fs::read_to_string(&file).map_err(|error| fault(error.to_string()))?;
    serde_json::from_str(&read).map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_a_division_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let found = regions_of(folder.path(), "web_mercator:9").unwrap();
        assert_eq!((found.division.cells(), found.cells.len()), (1 << 18, 0));
        let text = r#"{"division": "equal_area:64", "cells": [3, 9], "prototypes": 5, "width": 8}"#;
        std::fs::write(folder.path().join("geo_context.json"), text).unwrap();
        assert_eq!(regions_of(folder.path(), "geo_context.json").unwrap().cells, [3, 9]);
        for wrong in ["somewhere.json", "4096", "equal_area:none"] {
            let error = regions_of(folder.path(), wrong).unwrap_err();
            assert!(error.message.contains(wrong) && error.message.contains("expected"), "{error:?}");
        }
        std::fs::write(folder.path().join("broken.json"), "{").unwrap();
        assert!(regions_of(folder.path(), "broken.json").is_err());
    }
}
