//! `simulate.scene`: writes a simulated scene.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use skysense_abi::{Host, NodeError, Tool};
use skysense_simulate::{SceneReport, SceneSpec, SimulateError, simulate};

use crate::errors;

/// Folder of a scene, where nothing else is asked for.
const OUT: &str = "scene";

/// Arguments of `simulate.scene`: the fields of [`SceneSpec`], and `out`. docs/SIMULATION.md describes what is made.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    /// Folder to write; it must be new or empty.
    out: PathBuf,
    spec: SceneSpec,
}

// `flatten` would let unknown fields pass, and name no field where a value is wrong.
impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let out = match fields.remove("out") {
            None => OUT.into(),
            Some(out) => PathBuf::deserialize(out).map_err(|error| D::Error::custom(format!("out: {error}")))?,
        };
        let spec = serde_path_to_error::deserialize(Value::Object(fields)).map_err(D::Error::custom)?;
        Ok(Self { out, spec })
    }
}

impl JsonSchema for Arguments {
    fn schema_name() -> Cow<'static, str> {
        "Arguments".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = SceneSpec::json_schema(generator);
        let fields = schema.get_mut("properties").and_then(Value::as_object_mut).map(std::mem::take);
        let out = json!({"type": "string", "description": "Folder to write; it must be new or empty.", "default": OUT});
        let mut properties = Map::from_iter([("out".to_owned(), out)]);
        properties.extend(fields.unwrap_or_default());
        schema.insert("properties".into(), Value::Object(properties));
        schema
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
        simulate(&arguments.spec, host.about().base.join(&arguments.out)).map_err(|error| match &error {
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
    fn arguments_are_those_of_the_library_and_a_folder() {
        let empty: Arguments = serde_json::from_str("{}").unwrap();
        assert_eq!((empty.out, empty.spec), (PathBuf::from("scene"), SceneSpec::default()));
        let given: Arguments = serde_json::from_str(r#"{"out": "here", "size": 96}"#).unwrap();
        assert_eq!((given.out, given.spec.size), (PathBuf::from("here"), 96));
        let fault = |text: &str| serde_json::from_str::<Arguments>(text).unwrap_err().to_string();
        assert!(fault(r#"{"sise": 1}"#).contains("sise"));
        assert!(fault(r#"{"season": [1, "x"]}"#).contains("season[1]"));
        assert!(fault(r#"{"out": 1}"#).contains("out"));
    }

    #[test]
    fn the_schema_names_the_folder_first() {
        let schema = schemars::schema_for!(Arguments);
        let properties = schema.get("properties").and_then(Value::as_object).unwrap();
        assert_eq!(properties.keys().next().map(String::as_str), Some("out"));
        assert_eq!(
            properties.len(),
            1 + serde_json::to_value(SceneSpec::default()).unwrap().as_object().unwrap().len()
        );
        assert_eq!(properties["size"]["minimum"], 64);
    }
}
