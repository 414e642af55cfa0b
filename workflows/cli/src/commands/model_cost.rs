//! `skysense model cost`: what a preset costs, as tables.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{context::Context, exit::Exit, failure::Failure};

/// What to count. What is left out takes the default of the plugin's tool.
#[derive(Debug, Args, Serialize)]
pub(super) struct Cost {
    /// Name of the preset: tiny, small, base, large or skysense
    #[arg(long, value_name = "NAME")]
    preset: String,
    /// Modalities of the model, of hr, s2 and s1, with commas between; all if left out
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = ["hr", "s2", "s1"])]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    modalities: Vec<String>,
    /// Side of a chip in pixels of 10 m, 16 if left out; high resolution has 32 times as many
    #[arg(long, value_name = "PIXELS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    chip_size: Option<u32>,
    /// Sentinel-2 dates of a chip, 8 if left out
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    dates_s2: Option<u32>,
    /// Sentinel-1 dates of a chip, 4 if left out
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    dates_s1: Option<u32>,
    /// Chips of a batch, 1 if left out
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u32>,
    /// Classes of the segmentation head, 10 if left out
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<u32>,
    /// Side of the position table of the Sentinel encoders in tokens; the preset's own if left out
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    positions: Option<u32>,
    /// Count a slot for the class token in that table
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    position_of_class: bool,
    /// Regions, prototypes of each, and their width where it is their own, with projections: 4096,100,512
    #[arg(long, value_name = "REGIONS,PROTOTYPES[,WIDTH]", value_parser = parse_geo_context)]
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_context: Option<GeoContext>,
    /// What training computes in: f32, bf16 or f16; f32 if left out
    #[arg(long, value_name = "TYPE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    /// What training keeps for the backward pass: off (all) or blocks (their inputs); off if left out
    #[arg(long, value_name = "MODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpointing: Option<String>,
    /// Samples to train on, all epochs together, for the GPU days
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<u64>,
    /// Assumed speed of a GPU in training in TFLOP/s, 30 if left out
    #[arg(long, value_name = "SPEED")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tflops: Option<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct GeoContext {
    regions: u32,
    prototypes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
}

fn parse_geo_context(text: &str) -> Result<GeoContext, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[regions, prototypes]) => Ok(GeoContext { regions, prototypes, width: None }),
        Ok(&[regions, prototypes, width]) => Ok(GeoContext { regions, prototypes, width: Some(width) }),
        _ => Err("two or three whole numbers with commas between, like 4096,100".to_owned()),
    }
}

impl Cost {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let answer = context.call("model.cost", &json!(self))?;
        context.answer(&answer, || tables(&answer))?;
        Ok(Exit::Ok)
    }
}

/// The answer of the tool for people.
fn tables(answer: &Value) -> String {
    let (settings, flops, memory) = (&answer["settings"], &answer["flops"], &answer["memory"]);
    let mut text =
        format!("{}, chips of {} px", settings["preset"].as_str().unwrap_or_default(), settings["chip_size"]);
    for modality in settings["modalities"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let dates = &settings[format!("dates_{modality}")];
        let _ = if dates.is_null() {
            write!(text, ", {modality}")
        } else {
            write!(text, ", {modality} with {dates} dates")
        };
    }
    text.push_str("\n\n");
    let _ = writeln!(text, "{:<18} {:>15} {:>16} {:>16}", "module", "parameters", "GFLOP forward", "GFLOP training");
    for (name, count) in fields(&answer["parameters"]) {
        let giga =
            |of: &str| flops[of][name].as_f64().map_or_else(|| "–".to_owned(), |flop| format!("{:.3}", flop / 1e9));
        let _ = writeln!(text, "{name:<18} {:>15} {:>16} {:>16}", grouped(count), giga("forward"), giga("training"));
    }
    let _ = writeln!(text, "\n{:<18} {:>12} {:>12} {:>12} {:>12}", "GFLOP forward of", "s2", "s1", "fusion", "all");
    for row in flops["by_dates"].as_array().into_iter().flatten() {
        let giga = |of: &str| row[of].as_f64().map_or_else(|| "–".to_owned(), |flop| format!("{:.3}", flop / 1e9));
        let dates = format!("dates each: {}", row["dates"]);
        let (s2, s1, fusion, all) = (giga("s2"), giga("s1"), giga("fusion"), giga("total"));
        let _ = writeln!(text, "{dates:<18} {s2:>12} {s1:>12} {fusion:>12} {all:>12}");
    }
    let _ = writeln!(
        text,
        "\n{:<18} {:>15} {:>16}",
        format!("MiB at batch {}", settings["batch"]),
        "inference",
        "training"
    );
    for (name, bytes) in fields(&memory["training"]) {
        let inference = memory["inference"][name].as_f64().map_or_else(|| "–".to_owned(), mebibytes);
        let training = mebibytes(bytes.as_f64().unwrap_or_default());
        let _ = writeln!(text, "{name:<18} {inference:>15} {training:>16}");
    }
    if let Some(days) = answer["gpu_days"].as_f64() {
        let (samples, speed) = (grouped(&settings["samples"]), &settings["tflops"]);
        let _ =
            writeln!(text, "\n{days:.3} GPU days for {samples} samples, if a GPU keeps up {speed} TFLOP/s in training");
    }
    text
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().map(Map::iter).into_iter().flatten()
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1}", bytes / 1024.0 / 1024.0)
}

/// A whole number with commas between thousands.
fn grouped(number: &Value) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (655_079_632, "655,079,632")] {
            assert_eq!(grouped(&json!(number)), text);
        }
    }

    #[test]
    fn prototypes_are_two_or_three_numbers() {
        assert!(parse_geo_context("4096,100").is_ok_and(|context| context.width.is_none()));
        assert!(parse_geo_context("4096,100,512").is_ok_and(|context| context.width == Some(512)));
        for wrong in ["", "4096", "4096,x", "1,2,3,4", "-1,2"] {
            assert!(parse_geo_context(wrong).is_err(), "{wrong}");
        }
    }
}
