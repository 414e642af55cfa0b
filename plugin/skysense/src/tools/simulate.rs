//! `simulate.scene`: writes a simulated scene.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{Host, NodeError, Tool};
use skysense_simulate::{SceneReport, SceneSpec, SimulateError, simulate};

use crate::errors;

/// Arguments of `simulate.scene`; docs/SIMULATION.md describes what is made.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Arguments {
    /// Folder to write; it must be new or empty.
    out: PathBuf,
    /// Side of the square scene in pixels of 10 m.
    #[schemars(range(min = 64, max = 10980))]
    size: usize,
    /// Sentinel-2 dates.
    #[schemars(range(min = 1, max = 120))]
    dates: usize,
    /// Sentinel-1 dates.
    #[schemars(range(min = 0, max = 120))]
    radar_dates: usize,
    /// Year of all dates.
    year: i32,
    /// First and last day of the year that dates may fall on.
    season: [u32; 2],
    /// Everything random follows from this number.
    seed: u64,
    /// Mean share under clouds.
    #[schemars(range(min = 0, max = 0.9))]
    cloud: f64,
    /// UTM zones, 1 or 2.
    #[schemars(range(min = 1, max = 2))]
    zones: usize,
    /// Overlapping granules side by side in each zone.
    #[schemars(range(min = 1, max = 16))]
    granules: usize,
    /// High-resolution RGB over so many 10 m pixels in the middle; 0 for none.
    #[schemars(range(min = 0, max = 512))]
    hr: usize,
    /// Names of the classes that may occur; all when left out.
    classes: Vec<String>,
    /// Longitude and latitude of the middle.
    center: [f64; 2],
    /// Overwrite a folder that holds a simulated scene.
    replace: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        let SceneSpec {
            size,
            dates,
            radar_dates,
            year,
            season,
            seed,
            cloud,
            zones,
            granules,
            hr,
            classes,
            center,
            replace,
        } = SceneSpec::default();
        Self {
            out: PathBuf::from("scene"),
            size,
            dates,
            radar_dates,
            year,
            season,
            seed,
            cloud,
            zones,
            granules,
            hr,
            classes,
            center,
            replace,
        }
    }
}

/// The tool.
pub(crate) struct SimulateScene;

impl Tool for SimulateScene {
    const NAME: &'static str = "simulate.scene";
    const SUMMARY: &'static str =
        "Writes a seeded scene with known truth: Sentinel-2, Sentinel-1, high-resolution RGB, labels";
    type Arguments = Arguments;
    type Answer = SceneReport;

    fn call(arguments: Arguments, host: &Host) -> Result<SceneReport, NodeError> {
        let Arguments {
            out,
            size,
            dates,
            radar_dates,
            year,
            season,
            seed,
            cloud,
            zones,
            granules,
            hr,
            classes,
            center,
            replace,
        } = arguments;
        let spec = SceneSpec {
            size,
            dates,
            radar_dates,
            year,
            season,
            seed,
            cloud,
            zones,
            granules,
            hr,
            classes,
            center,
            replace,
        };
        simulate(&spec, host.about().base.join(out)).map_err(|error| match &error {
            SimulateError::Raster(raster) => errors::raster(raster),
            SimulateError::Spec { field, .. } => {
                NodeError::from_error("arguments.invalid", &error).at("argument", field)
            }
            SimulateError::Exists(path) => {
                NodeError::new("output.exists", format!("{} exists and is not empty", path.display()))
                    .hint("name another folder, or set `replace` if it holds a simulated scene")
            }
            _ => NodeError::from_error("output.write", &error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_default_to_those_of_the_library() {
        let empty: Arguments = serde_json::from_str("{}").unwrap();
        assert_eq!((empty.size, empty.dates), (SceneSpec::default().size, SceneSpec::default().dates));
        assert!(serde_json::from_str::<Arguments>(r#"{"sise": 1}"#).is_err());
    }
}
