//! `skysense simulate`: data with known truth.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Subcommand, path_text, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a scene: Sentinel-2, Sentinel-1 and high-resolution COGs with a STAC catalog and true classes
    Scene(Scene),
}

/// What the scene is like. What is left out takes the default of the plugin's tool.
#[derive(Debug, Args, Serialize)]
struct Scene {
    /// Folder to write
    #[arg(short, long, value_name = "FOLDER", value_parser = path_text)]
    out: PathBuf,
    /// Side of the square scene in pixels of 10 m
    #[arg(long, value_name = "PIXELS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    /// How many Sentinel-2 dates
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    dates: Option<u32>,
    /// How many Sentinel-1 dates
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    radar_dates: Option<u32>,
    /// Year of all dates
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    /// First and last day of the year that dates may fall on
    #[arg(long, value_name = "DAY,DAY", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    season: Option<Vec<u32>>,
    /// Everything random follows from this number
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Mean share of the scene under clouds, 0 to 0.9
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud: Option<f64>,
    /// UTM zones, 1 or 2
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    zones: Option<u32>,
    /// Overlapping Sentinel-2 granules side by side in each zone
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    granules: Option<u32>,
    /// High-resolution RGB over this many 10 m pixels in the middle of the scene
    #[arg(long, value_name = "PIXELS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    hr: Option<u32>,
    /// Greenhouses and halls on the high-resolution RGB, with their true outlines
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<u32>,
    /// Classes that may occur, with commas between; all if left out
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    /// Longitude and latitude of the middle of the scene
    #[arg(long, value_name = "LON,LAT", value_delimiter = ',', allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    center: Option<Vec<f64>>,
    /// Share of the fields, meadows and woods that are built over after the year: adds the year after and what changed
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<f64>,
    /// Add the true share of green ground in July, in percent
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cover: bool,
    /// Overwrite a folder that holds a simulated scene
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
}

impl Subcommand for Simulate {
    const NAME: &'static str = "simulate";
    const ABOUT: &'static str = "Write data with known truth, for tests, teaching and sizing";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let What::Scene(scene) = self.what;
        let answer: Value = context.call("simulate.scene", &json!(scene))?;
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(Exit::Ok)
    }
}
