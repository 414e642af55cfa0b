//! `doctor`: which GDAL, ONNX Runtime and devices were found, and why one was not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_infer::RuntimeInfo;
use skysense_raster::Versions;
use skysense_train::TrainingDevice;

/// No arguments.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Arguments {}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether workflows can run.
    ok: bool,
    gdal: Option<Versions>,
    onnxruntime: Option<RuntimeInfo>,
    /// Devices that training can run on in this build; whether one is there is asked when it is used.
    training_devices: Vec<&'static str>,
    /// What is missing, and what to do about it.
    problems: Vec<String>,
    threads: usize,
}

/// The tool.
pub(crate) struct Doctor;

impl Tool for Doctor {
    const NAME: &'static str = "doctor";
    const SUMMARY: &'static str = "Says which GDAL, ONNX Runtime and devices were found, and why one was not";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(_: Arguments, _: &Host) -> Result<Answer, NodeError> {
        let mut problems = Vec::new();
        let gdal = skysense_raster::versions().map_err(|error| problems.push(error.to_string())).ok();
        if let Some(found) = &gdal {
            if !found.proj_database {
                problems.push(
                    "PROJ does not find its database: install proj-data, or set PROJ_DATA to the folder of proj.db"
                        .into(),
                );
            }
            if !found.cog_writer {
                problems
                    .push("this GDAL has no COG driver, so no map can be written: install GDAL 3.6 or newer".into());
            }
            let lacking: Vec<&str> =
                found.formats.iter().filter(|(_, there)| !there).map(|(name, _)| name.as_str()).collect();
            if lacking.contains(&"GTiff") {
                problems.push("this GDAL has no GeoTIFF driver: install GDAL 3.6 or newer".into());
            }
        }
        let onnxruntime = skysense_infer::runtime_info(None).map_err(|error| problems.push(error.to_string())).ok();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let training_devices = TrainingDevice::built();
        Ok(Answer { ok: problems.is_empty(), gdal, onnxruntime, training_devices, problems, threads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skysense_abi::NoHost;

    #[test]
    fn gdal_is_found_and_what_is_missing_is_told() {
        let answer = Doctor::call(Arguments::default(), &Host::new(NoHost)).unwrap();
        let gdal = answer.gdal.expect("the tests are linked with GDAL");
        assert!(gdal.cog_writer && gdal.proj_database, "{gdal:?}");
        assert_eq!(answer.training_devices[0], "cpu");
        assert_eq!(answer.ok, answer.problems.is_empty());
        assert_eq!(
            answer.onnxruntime.is_none(),
            answer.problems.iter().any(|problem| problem.contains("ONNX Runtime"))
        );
    }
}
