//! `skysense model import`: published weights as a model package.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{path_text, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Files and what they do not say. What is left out takes the default of the plugin's tool.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Import {
    /// Folder to write
    #[arg(short, long, value_name = "FOLDER", value_parser = path_text)]
    out: PathBuf,
    /// Weights of the high-resolution encoder, .pth or .safetensors
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hr: Option<PathBuf>,
    /// Weights of the Sentinel-2 encoder
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    s2: Option<PathBuf>,
    /// Weights of the Sentinel-1 encoder
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    s1: Option<PathBuf>,
    /// Weights of the up head of Sentinel-2
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    head_s2: Option<PathBuf>,
    /// Weights of the up head of Sentinel-1
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    head_s1: Option<PathBuf>,
    /// Weights of the fusion
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    fusion: Option<PathBuf>,
    /// Prototypes by region, as model export writes them
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_context: Option<PathBuf>,
    /// Which regions the prototypes are of: equal_area:CELLS, web_mercator:ZOOM, or the geo_context.json of an export
    #[arg(long, value_name = "DIVISION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<String>,
    /// Weights of all modules in one file; files of single modules win over it
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<PathBuf>,
    /// Which weights to take from files that hold several: ema, teacher, student, or the name of a container
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// Go on where weights lack or do not fit: what lacks starts untrained, what does not fit is skipped
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_missing: bool,
    /// Name of the model; that of the folder if left out
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Licence of the weights as an SPDX expression; `proprietary` if left out
    #[arg(long, value_name = "SPDX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    /// Side of a chip in pixels of 10 m; 16 if left out
    #[arg(long, value_name = "PIXELS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    chip_size: Option<usize>,
    /// Bands of the high-resolution encoder in order, such as red,green,blue,nir: nir gets a copy of the weights of red
    #[arg(long, value_name = "BANDS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    hr_bands: Option<Vec<String>>,
    /// Bands of the Sentinel-2 encoder in order, such as B02,B03,B04,B08: weights are taken out of the ten and rescaled
    #[arg(long, value_name = "BANDS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    s2_bands: Option<Vec<String>>,
    /// Bands of the Sentinel-1 encoder in order
    #[arg(long, value_name = "BANDS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    s1_bands: Option<Vec<String>>,
    /// Seed of what starts untrained
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Heads of the series encoders and the fusion, where no preset tells
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    heads: Option<usize>,
    /// Heads of the Sentinel-2 encoder, where they are others than --heads says
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s2_heads: Option<usize>,
    /// Heads of the Sentinel-1 encoder, where they are others than --heads says
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s1_heads: Option<usize>,
    /// Heads of the fusion, where they are others than --heads says
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    fusion_heads: Option<usize>,
    /// Side of an attention window of the high-resolution encoder; 8 if neither this nor the file tells
    #[arg(long, value_name = "TOKENS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<usize>,
    /// Windows of pre-training by stage, 0 where it is the same
    #[arg(long, value_name = "TOKENS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    pretrained_windows: Option<Vec<usize>>,
    /// Pad maps that are smaller than a window
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pad_small_map: bool,
    /// Whether the class token takes part in attention; it does not if left out
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    class_token: Option<bool>,
    /// Rows and columns of the position table of the Sentinel-2 encoder, where it is no square
    #[arg(long, value_name = "ROWS,COLUMNS", value_delimiter = ',', num_args = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    s2_positions: Option<Vec<usize>>,
    /// Rows and columns of the position table of the Sentinel-1 encoder, where it is no square
    #[arg(long, value_name = "ROWS,COLUMNS", value_delimiter = ',', num_args = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    s1_positions: Option<Vec<usize>>,
    /// How position tables are resized; bicubic if left out
    #[arg(long, value_name = "RULE", value_parser = ["bicubic", "bilinear", "nearest"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    interpolation: Option<String>,
    /// Which tokens carry the calendar encoding; those of Sentinel-2 where the weights have a table, if left out
    #[arg(long, value_name = "TOKENS", value_parser = ["none", "s2_only", "all"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    calendar: Option<String>,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let answer = context.call("model.import", &json!(self))?;
        context.answer(&answer, || summary(&answer))?;
        Ok(Exit::Ok)
    }
}

/// Of some thousand tensors people want to know how many, and which ones are not as they should be.
fn summary(answer: &Value) -> String {
    let mut short = answer.clone();
    short["loaded"] = json!(answer["loaded"].as_array().map_or(0, Vec::len));
    if let Some(ignored) = answer["ignored"].as_array() {
        short["ignored"] = json!(ignored.len());
    }
    for part in ["missing", "mismatched", "unexpected"] {
        let lines = answer[part].as_array().into_iter().flatten().map(line);
        short[part] = json!(lines.collect::<Vec<_>>());
    }
    let next = "next: skysense model inspect runs its probe\n";
    format!("{}{next}", outline(&short, 0))
}

fn line(entry: &Value) -> String {
    let name = entry["name"].as_str().or(entry["key"].as_str()).unwrap_or_default();
    match (&entry["found"], &entry["start"]) {
        (Value::Null, Value::String(start)) => format!("{name} {}, starts as {start}", entry["shape"]),
        (Value::Null, _) => format!("{name} {}", entry["shape"]),
        (found, _) => format!("{name} {found}, expected {}", entry["expected"]),
    }
}
